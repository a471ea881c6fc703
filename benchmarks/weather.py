"""`weather`: 30 minutes of storm, compressed: what is lost, doubled or out of order; how it heals.

A simulator plays half an hour of market in a storm, faster than time; one collector, its waits
shortened as far as the time is. Trades on the tape are compared with the simulator's ledger. The
books are derived from the tape: a fault is healed, for each instrument that it touched, with the
first live book whose cause was received after the venue answered again. There is no peer; what
stands in its place is the wanted second.
"""

import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks._simulated import asked, collector_environment, simulator
from benchmarks._tapes import BenchTape, bench_tape
from benchmarks.harness import Result, machine, versions
from processors.config import ProcessorsConfig
from processors.pipeline import Pipeline
from schemas.columns import Rows, enum_symbols
from schemas.errors import StoreError
from streams import log
from streams.decoding import BatchDecoder
from tape.demo.truth import Account, account
from venues.symbols import infer

_MARKET_S = 1_800.0
_SPEED = 10.0
_RATE = 300
_SEED = 7
_PARTITIONS = 4
_READY_S = 90.0
_WANTED_S = 1.0
# The default waits, a tenth of them; the longest is shorter still.
_COLLECTOR = {"SILENCE_S": "1", "BACKOFF_FIRST_S": "0.1", "BACKOFF_MOST_S": "1"}

Live = dict[tuple[str, str], list[tuple[int, bool]]]


def run() -> Result:
    """Let it storm, then look at the tape."""
    with bench_tape(ProcessorsConfig(), _PARTITIONS) as tape, TemporaryDirectory() as folder:
        faults = _storm(tape, Path(folder))
        found = account(
            Path(folder) / "ledger.jsonl", tape.kafka, tape.ids, tape.name, tape.partitions,
            tape.processors.seen.trades,
        )  # fmt: skip
        live, counts = _books(tape)
    heals = _heals(faults, live)
    return _result(faults, found, heals, counts)


def _storm(tape: BenchTape, folder: Path) -> list[dict[str, Any]]:
    """Collect half an hour of market; the faults that came."""
    arguments = ["--speed", str(_SPEED), "--rate", str(_RATE), "--seed", str(_SEED)]
    arguments += ["--weather", "storm", "--ledger", str(folder / "ledger.jsonl")]
    environment = collector_environment(tape, folder, **_COLLECTOR)
    with simulator(arguments, folder) as address, (folder / "collector.log").open("w") as out:
        begun_us = asked(address)["market_us"]
        command = [sys.executable, "-m", "tape", "collect", "--address", address]
        collector = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            while asked(address)["market_us"] - begun_us < _MARKET_S * 1e6:
                if collector.poll() is not None:
                    text = (folder / "collector.log").read_text()
                    raise StoreError(f"the collector ended:\n{text[-2000:]}")
                time.sleep(0.5)
            faults: list[dict[str, Any]] = asked(address, "/control/faults")
            # What came last is to be healed too.
            time.sleep(3)
        finally:
            collector.terminate()
            collector.wait(60)
    return faults


def _books(tape: BenchTape) -> tuple[Live, dict[str, int]]:
    """(received µs, live) of each book event by instrument; totals of the stages."""
    live: Live = defaultdict(list)
    totals: Counter[str] = Counter()
    decoder, states = BatchDecoder("tape", tape.ids), enum_symbols("Book", "state")
    for partition in range(tape.partitions):
        pipeline = Pipeline()
        for records in log.read(tape.kafka, tape.name, "tape", partition, 0, None):
            for rows in pipeline.process(decoder.decode(partition, records)):
                if rows.topic == "books":
                    _note(rows, states.index("LIVE"), live)
        totals.update(pipeline.counts())
    return live, dict(totals)


def _note(rows: Rows, code: int, live: Live) -> None:
    table, text = rows.table, rows.text.tobytes()
    places = ("venue_start", "venue_length", "symbol_start", "symbol_length")
    columns = (*places, "receive_time", "state")
    for one in zip(*(table[name].tolist() for name in columns), strict=True):
        venue = text[one[0] : one[0] + one[1]].decode()
        symbol = text[one[2] : one[2] + one[3]].decode()
        live[venue, symbol].append((one[4], one[5] == code))


def _heals(faults: list[dict[str, Any]], live: Live) -> dict[str, list[float]]:
    """Seconds until what a fault touched was right again, after the venue answered, by kind."""
    found: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        ended_us, venue = fault["ended_us"], fault.get("venue", "")
        if not ended_us or venue in ("", "news"):
            continue
        symbol = fault.get("symbol", "")
        touched = {
            key
            for key in live
            if key[0] == venue and (not symbol or _canonical(venue, symbol) == key[1])
        }
        if touched:
            found[fault["fault"]].append(max(_healed_s(live[key], ended_us) for key in touched))
    return found


def _canonical(venue: str, symbol: str) -> str:
    return symbol if "-" in symbol and "SWAP" not in symbol else infer(venue, symbol).symbol


def _healed_s(states: list[tuple[int, bool]], ended_us: int) -> float:
    """Until the first live book that nothing of the fault makes unknown again, seconds."""
    after = [(received, is_live) for received, is_live in states if received >= ended_us]
    for received, is_live in after:
        if is_live:
            return (received - ended_us) / 1e6
    return float("inf")


def _result(
    faults: list[dict[str, Any]],
    found: Account,
    heals: dict[str, list[float]],
    counts: dict[str, int],
) -> Result:
    times = [one for kind in heals.values() for one in kind]
    middle = median(times)
    return Result(
        "weather",
        round(middle, 3),
        _WANTED_S,
        round(_WANTED_S / middle, 2),
        "s (median to heal; for the peer: what is wanted)",
        {"ours": [round(min(times), 3), round(max(times), 3)], "peer": [_WANTED_S, _WANTED_S]},
        machine(),
        versions("picows", "aiohttp", "confluent-kafka"),
        {
            "market_minutes": _MARKET_S / 60,
            "speed": _SPEED,
            "faults": dict(Counter(fault["fault"] for fault in faults)),
            "lost": len(found.missing),
            "doubled": found.doubled + len(found.unknown),
            "out_of_order": found.reordered,
            "trades": found.as_dict(),
            "heal_s": {
                kind: {"median": round(median(each), 3), "most": round(max(each), 3)}
                for kind, each in sorted(heals.items())
            },
            "stages": {name: n for name, n in counts.items() if name.startswith(("seen", "books"))},
        },
    )
