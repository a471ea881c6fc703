"""Two collectors of the same venues: each event counts once, and a killed one is not missed."""

import signal
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from processors.pipeline import Pipeline
from schemas.columns import Batch, Rows, enum_symbols
from schemas.registry import Registry
from streams import log
from streams.config import KafkaConfig
from streams.decoding import BatchDecoder
from tests.conftest import Stack
from tests.venues.live.collecting import Collecting, read, simulated

OPTIONS = (
    "--rate", "400", "--venue", "binance-spot", "--venue", "bybit-linear", "--venue", "okx-spot",
    "--symbol", "BTC-USDT", "--symbol", "ETH-USDT",
)  # fmt: skip
COLLECTED = ("--venues", "binance-spot,bybit-linear,okx-spot", "--symbols", "BTC-USDT,ETH-USDT")
LATER_US = 1_000_000


def derived(stack: Stack, tape: str) -> tuple[dict[str, list[Rows]], dict[str, int]]:
    """What the processors make of a tape, by topic, and their totals."""
    kafka, ids = (
        KafkaConfig(bootstrap=stack.kafka_bootstrap),
        Registry(stack.registry_url).ids(tape),
    )
    decoder, found = BatchDecoder("tape", ids), defaultdict(list)
    totals: dict[str, int] = defaultdict(int)
    for partition in range(4):
        pipeline = Pipeline()
        for records in log.read(kafka, tape, "tape", partition, 0, None):
            batch: Batch = decoder.decode(partition, records)
            for rows in pipeline.process(batch):
                found[rows.topic].append(rows)
        for name, total in pipeline.counts().items():
            totals[name] += total
    return found, totals


def column(rows: Rows, name: str) -> list[Any]:
    return rows.table[name].tolist()  # type: ignore[no-any-return]  # of a numpy column


def instruments(rows: Rows) -> list[tuple[bytes, bytes]]:
    text = rows.text.tobytes()
    spans = zip(
        *(
            column(rows, f"{field}_{part}")
            for field in ("venue", "symbol")
            for part in ("start", "length")
        ),
        strict=True,
    )
    return [(text[a : a + b], text[c : c + d]) for a, b, c, d in spans]


def test_a_killed_collector_is_not_missed(stack: Stack, tape_name: str, tmp_path: Path) -> None:
    with simulated(tmp_path, *OPTIONS) as simulator:
        both = [
            Collecting(
                stack, tape_name, tmp_path, "--address", simulator.address, "--name", name,
                *COLLECTED, silence_s=10.0,
            )
            for name in ("first", "second")
        ]  # fmt: skip
        for each in both:
            each.wait_ready()
        ready_us = time.time_ns() // 1000
        time.sleep(6)
        both[0].end(signal.SIGKILL)
        killed_us = time.time_ns() // 1000
        time.sleep(6)
        assert both[1].end() == 0
    found, totals = derived(stack, tape_name)
    written = read(stack, tape_name).trades()
    distinct = sum(len({trade.trade_id for trade in trades}) for trades in written.values())
    assert totals["seen.trades"] == sum(map(len, written.values())) - distinct > 0
    assert_books_stay_live(found["books"], ready_us)
    assert_bars_are_in_time(found["bars"], ready_us, killed_us)


def assert_books_stay_live(books: list[Rows], since_us: int) -> None:
    live = enum_symbols("Book", "state").index("LIVE")
    seen: dict[tuple[bytes, bytes], list[int]] = defaultdict(list)
    for rows in books:
        for instrument, state, received_us in zip(
            instruments(rows), column(rows, "state"), column(rows, "receive_time"), strict=True
        ):
            if received_us >= since_us:
                assert state == live, (instrument, received_us)
                seen[instrument].append(received_us)
    assert len(seen) == 6
    for instrument, times in seen.items():
        silences = [after - before for before, after in pairwise(sorted(times))]
        assert max(silences) < LATER_US, instrument


def assert_bars_are_in_time(bars: list[Rows], since_us: int, killed_us: int) -> None:
    """Every bar of a second ends as soon after its second as before, and a second more at most."""
    delays: dict[bool, list[int]] = {True: [], False: []}
    for rows in bars:
        text = rows.text.tobytes()
        for open_us, received_us, start, length in zip(
            column(rows, "open_time"), column(rows, "receive_time"),
            column(rows, "interval_start"), column(rows, "interval_length"), strict=True,
        ):  # fmt: skip
            if text[start : start + length] == b"1s" and open_us >= since_us:
                delays[open_us >= killed_us - 1_500_000].append(received_us - open_us - 1_000_000)
    assert delays[True]
    assert delays[False]
    assert max(delays[True]) <= max(delays[False]) + LATER_US
