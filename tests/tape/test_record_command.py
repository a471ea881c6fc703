"""`tape record` against the simulator: what it writes is imported and played back."""

import asyncio
import json
import os
import sys
from pathlib import Path

from schemas import rows
from schemas.events import BookDelta, FeedStatus, Instrument, Trade
from schemas.registry import Registry
from streams import log
from streams.config import KafkaConfig
from tests.conftest import Stack
from tests.venues.simulator.server.client import simulator
from venues.frames import Frame
from venues.history import importer
from venues.history.names import Hints
from venues.simulator.server.captures import CaptureSource

VENUES = ("binance-usdm", "bybit-linear", "okx-spot")
# Nothing of a stack: a recording needs none.
BARE = {name: value for name, value in os.environ.items() if not name.startswith("TAPE_")}


async def _tape(home: Path, *arguments: str, **addresses: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tape", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=BARE | {"TAPE_HOME": str(home)} | addresses,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), errors.decode()


def test_a_session_with_the_simulator_is_recorded_imported_and_played_back(tmp_path: Path) -> None:
    capture = tmp_path / "capture.jsonl.zst"

    async def record() -> tuple[int, str, str]:
        async with simulator(speed=2, venues=VENUES, rate=600) as running:
            return await _tape(
                tmp_path, "record", str(capture), "--address", running.address, "--seconds", "2.5",
                "--venues", ",".join(VENUES), "--symbols", "BTC-USDT", "--json",
            )  # fmt: skip

    code, out, errors = asyncio.run(record())
    assert code == 0, errors
    told = json.loads(out)
    assert list(told["files"]) == [str(capture)]

    derivation = importer.open_files(importer.examine_all([capture]), Hints())
    events = list(derivation.events())
    kinds = {(type(event), getattr(event, "venue", "")) for event in events}
    for venue in VENUES:
        assert {(Instrument, venue), (Trade, venue), (BookDelta, venue)} <= kinds
    gaps = [e for e in events if isinstance(e, FeedStatus) and e.status == "GAP"]
    assert (gaps, derivation.tally.dead_letters) == ([], 0)
    assert derivation.tally.frames == told["frames"]

    played = CaptureSource([capture])
    assert set(played.venues) >= set(VENUES)
    frames: list[Frame] = [frame for batch in played.batches() for frame in batch]
    assert len(frames) > 100


def test_a_collector_keeps_the_frames_too(stack: Stack, tape_name: str, tmp_path: Path) -> None:
    capture = tmp_path / "capture.jsonl.zst"
    addresses = {
        "TAPE_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
        "TAPE_REGISTRY__URL": stack.registry_url,
    }

    async def collect() -> tuple[int, str, str]:
        async with simulator(speed=2, venues=("bybit-spot",), rate=200) as running:
            return await _tape(
                tmp_path, "--tape", tape_name, "collect", "--address", running.address,
                "--venues", "bybit-spot", "--symbols", "BTC-USDT", "--seconds", "2",
                "--record", str(capture), **addresses,
            )  # fmt: skip

    code, _, errors = asyncio.run(collect())
    assert code == 0, errors
    derivation = importer.open_files(importer.examine_all([capture]), Hints())
    recorded = [event for event in derivation.events() if isinstance(event, Trade)]
    ids = Registry(stack.registry_url).ids(tape_name)
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    collected = [
        rows.decode(batch.value(index), ids.writers)
        for partition in log.ends(kafka, tape_name, "tape")
        for batch in log.read(kafka, tape_name, "tape", partition, 0, None)
        for index in range(len(batch))
    ]
    trades = [event for event in collected if isinstance(event, Trade)]
    assert trades
    # The venue's list of its newest trades, looked at now and then, goes back before the session.
    begun = min(trade.event_time for trade in trades)
    since = {trade.trade_id for trade in recorded if trade.event_time >= begun}
    on_tape = {trade.trade_id for trade in trades}
    assert on_tape == since
    # Nothing that the stream brought is before it.
    assert {trade.trade_id for trade in recorded if not trade.backfilled} <= on_tape


def test_a_file_that_is_there_and_wrong_symbols_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    arguments = ("--address", "http://127.0.0.1:1", "--venues", "okx-spot")
    code, _, errors = asyncio.run(_tape(tmp_path, "record", str(tmp_path / "there"), *arguments))
    assert code == 2, errors
    assert "is there already" in errors
    code, _, errors = asyncio.run(_tape(tmp_path, "record", "x.zst", "--venues", "okx-spott"))
    assert code == 2, errors
    assert "okx-spot" in errors
