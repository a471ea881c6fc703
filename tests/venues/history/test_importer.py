"""Import to a real broker: each file takes effect once, in order, and never back in time."""

import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from schemas.errors import ConfigError, StoreError
from schemas.rows import decode
from streams import log
from streams.producer import TapeWriter
from streams.topics import delete_tape
from tests.conftest import Stack
from tests.data import shared_data
from tests.venues.history.kafka import records, target_of
from venues.history import importer
from venues.history.ledger import import_id
from venues.history.names import Hints
from venues.history.writer import ImportWriter, Target

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def target(stack: Stack, tape_name: str) -> Target:
    return target_of(stack, tape_name)


def run(target: Target, *paths: Path, **hints: str) -> dict[str, Any]:
    return importer.run(importer.examine_all(paths), Hints(**hints), target)


def candles(path: Path, start_ms: int, count: int = 100) -> Path:
    rows = [[start_ms + 60_000 * i, 1.0, 2.0, 0.5, 1.5, 10.0 + i] for i in range(count)]
    path.write_text(json.dumps(rows))
    return path


def capture(path: Path, name: str, lines: slice) -> Path:
    """Some lines of a recorded capture."""
    text = gzip.decompress((shared_data() / "ws" / name).read_bytes()).splitlines(keepends=True)
    path.write_bytes(b"".join(text[lines]))
    return path


def test_candles_come_with_their_times_and_without_pulses(target: Target, tmp_path: Path) -> None:
    done = run(target, candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000))
    assert done["counts"] == {"okx-spot": {"BTC-USDT": {"Kline": 100}}}
    assert (done["written"], done["clock_pulses"], done["dead_letters"]) == (100, 0, 0)
    (found,) = (partition for partition in records(target) if partition)
    assert {(key, record) for key, record, *_ in found} == {(b"BTC-USDT", "Kline")}
    assert [time_ms for *_, time_ms in found] == [
        1_617_235_260_000 + 60_000 * i for i in range(100)
    ]


def test_second_import_of_a_file_adds_nothing_and_says_so(target: Target, tmp_path: Path) -> None:
    path = candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000)
    run(target, path)
    before = log.ends(target.kafka, target.tape, "tape")
    renamed = path.rename(tmp_path / "okx_ETH_USDT-1m.json")
    again = run(target, renamed, renamed)
    assert again["already_imported"] == ["okx_ETH_USDT-1m.json"]
    assert (again["events"], again["written"]) == (0, 0)
    assert log.ends(target.kafka, target.tape, "tape") == before


def test_new_file_beside_a_known_one_is_imported_alone(target: Target, tmp_path: Path) -> None:
    first = candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000)
    run(target, first)
    second = candles(tmp_path / "okx_ETH_USDT-1m.json", 1_617_235_200_000 + 6_000_000)
    done = run(target, first, second)
    assert done["already_imported"] == ["okx_BTC_USDT-1m.json"]
    assert done["counts"] == {"okx-spot": {"ETH-USDT": {"Kline": 100}}}


def test_file_that_lies_before_the_tape_is_refused_with_advice_and_nothing_is_written(
    target: Target, tmp_path: Path
) -> None:
    run(target, candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000))
    before = log.ends(target.kafka, target.tape, "tape")
    earlier = candles(tmp_path / "okx_ETH_USDT-1m.json", 1_617_000_000_000)
    with pytest.raises(ConfigError, match=r"does not go back in time.*--tape NAME"):
        run(target, earlier)
    assert log.ends(target.kafka, target.tape, "tape") == before
    assert sum(map(len, records(target, "imports"))) == 2


def test_captures_of_one_day_and_the_next_follow_each_other(target: Target, tmp_path: Path) -> None:
    day = capture(tmp_path / "a", "binance_spot_btcusdt_20240808.hft.gz", slice(-500, None))
    next_day = capture(tmp_path / "b", "binance_spot_btcusdt_20240809.hft.gz", slice(500))
    run(target, day)
    assert run(target, next_day)["frames"] == 500
    with pytest.raises(ConfigError, match="does not go back in time"):
        run(
            target,
            capture(tmp_path / "c", "binance_usdm_btcusdt_20240808.hft.gz", slice(500)),
        )


def test_files_given_together_are_merged_by_receive_time_with_pulses_on_every_partition(
    target: Target, tmp_path: Path
) -> None:
    spot = capture(tmp_path / "a", "binance_spot_btcusdt_20240808.hft.gz", slice(2_000))
    linear = capture(tmp_path / "b", "binance_usdm_btcusdt_20240808.hft.gz", slice(4_000))
    done = run(target, linear, spot)
    assert done["frames"] == 6_000
    assert done["dead_letters"] == 0
    partitions = records(target)
    clocks = [
        [decode_time(target, r) for r in partition if r[1] == "Clock"] for partition in partitions
    ]
    assert len(clocks[0]) == done["clock_pulses"] > 5
    assert all(found == clocks[0] for found in clocks)
    assert clocks[0] == list(range(clocks[0][0], clocks[0][-1] + 1_000_000, 1_000_000))
    assert done["written"] == done["events"] + target.partitions * done["clock_pulses"]
    (symbol,) = (p for p in partitions if any(r[1] == "Trade" for r in p))
    times = [receive_time(target, record) for record in symbol]
    # Held book updates come when their snapshot does; all else is in the order of receipt.
    late = sum(later < earlier for earlier, later in itertools.pairwise(times))
    assert late <= 2


def event_of(target: Target, record: Any) -> Any:
    schema_id = target.ids.id("tape", record[1])
    return decode(b"\0" + schema_id.to_bytes(4, "big") + record[2], target.ids.writers)


def decode_time(target: Target, record: Any) -> int:
    return int(event_of(target, record).event_time)


def receive_time(target: Target, record: Any) -> int:
    return int(event_of(target, record).receive_time)


def test_malformed_lines_become_dead_letters_with_file_line_and_reason(
    target: Target, tmp_path: Path
) -> None:
    path = capture(tmp_path / "cut.hft", "binance_spot_btcusdt_20240808.hft.gz", slice(300))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[10] = lines[10][:70] + b"\n"
    lines[20] = lines[20].replace(b'"s":"BTCUSDT"', b'"s":7')
    lines[30] = b"hello\n"
    path.write_bytes(b"".join(lines))
    done = run(target, path)
    letters = [
        decode(
            b"\0" + target.ids.id("dead_letters", "DeadLetter").to_bytes(4, "big") + r[2],
            target.ids.writers,
        )
        for r in records(target, "dead_letters")[0]
    ]
    assert done["dead_letters"] == len(letters) == 3
    assert [letter.offset for letter in letters] == [11, 21, 31]
    assert all(letter.source == "import" and "cut.hft line" in letter.reason for letter in letters)
    assert letters[0].payload == lines[10].rstrip(b"\n")
    assert done["frames"] == 298


class Killed:
    """`tape import` as a process that is killed -9 when the tape has grown so far."""

    def __init__(self, stack: Stack, target: Target, paths: list[Path]) -> None:
        self._command = [sys.executable, "-m", "tape", "import", "--json", "--tape", target.tape]
        self._command += map(str, paths)
        self._environment = stack.environment
        self._target = target

    def kill_at(self, records_written: int) -> bool:
        """Whether it was killed before it ended."""
        process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL
        )
        while process.poll() is None:
            if self._written() >= records_written:
                os.kill(process.pid, signal.SIGKILL)
                return process.wait() == -signal.SIGKILL
            time.sleep(0.01)
        return False

    def complete(self) -> dict[str, Any]:
        done = subprocess.run(
            self._command, cwd=ROOT, env=self._environment, capture_output=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def _written(self) -> int:
        return sum(log.ends(self._target.kafka, self._target.tape, "tape").values())


def test_import_killed_at_several_points_is_completed_to_the_same_bytes(
    stack: Stack, target: Target, tmp_path: Path
) -> None:
    names = ("binance_spot_btcusdt_20240808.hft.gz", "binance_usdm_btcusdt_20240808.hft.gz")
    paths = [capture(tmp_path / f"{name}.hft", name, slice(30_000)) for name in names]
    whole = target_of(stack, f"t{uuid4().hex[:8]}")
    try:
        undisturbed = run(whole, *paths)
        expected = records(whole)
    finally:
        delete_tape(whole.kafka, whole.tape)
    total = sum(map(len, expected))
    killed = Killed(stack, target, paths)
    kills = [killed.kill_at(int(total * share)) for share in (0.001, 0.4, 0.8)]
    assert sum(kills) >= 2
    done = killed.complete()
    assert records(target) == expected
    assert done["counts"] == undisturbed["counts"]
    assert done["already_there"] > 0
    assert done["already_there"] + done["written"] == undisturbed["written"]
    assert done["foreign"] == 0
    assert run(target, *paths)["written"] == 0


def interrupt(target: Target, path: Path, count: int = 40) -> int:
    """Write a file's first events as an import does that is killed; how many."""
    files = importer.examine_all([path])
    ends = log.end_offsets(target.kafka, target.tape, "tape", target.partitions)
    writer = ImportWriter(target, None, Counter())
    identity = import_id(files, Hints())
    writer.record(importer.progress_record(identity, files, "STARTED", ends, ""))
    events = importer.open_files(files, Hints()).events()
    for _, event in zip(range(count), events, strict=False):
        writer.write(event)
    writer.finish()
    return count


def test_another_import_is_refused_while_one_is_interrupted(target: Target, tmp_path: Path) -> None:
    path = candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000)
    interrupt(target, path)
    other = candles(tmp_path / "okx_ETH_USDT-1m.json", 1_627_235_200_000)
    with pytest.raises(ConfigError, match=r"okx_BTC_USDT-1m.json.*was interrupted"):
        run(target, other)
    done = run(target, path)
    assert (done["already_there"], done["written"]) == (40, 60)
    assert run(target, other)["written"] == 100


def test_import_killed_after_its_last_event_is_completed_without_writing_any(
    target: Target, tmp_path: Path
) -> None:
    path = candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000)
    interrupt(target, path, 100)
    done = run(target, path)
    assert (done["already_there"], done["written"]) == (100, 0)
    assert run(target, path)["already_imported"] == [path.name]


def test_records_of_others_between_are_counted_and_the_import_is_completed(
    target: Target, tmp_path: Path
) -> None:
    path = candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000)
    events = list(importer.open_files(importer.examine_all([path]), Hints()).events())
    foreign = interrupt(target, candles(tmp_path / "okx_ETH_USDT-1m.json", 1_617_235_200_001))
    run(target, tmp_path / "okx_ETH_USDT-1m.json")
    assert foreign == 40
    interrupt(target, path)
    writer = TapeWriter(target.kafka, target.ids, target.tape, target.partitions)
    writer.write(events[0])
    writer.write(events[40])
    writer.flush()
    done = run(target, path)
    assert (done["already_there"], done["written"], done["foreign"]) == (41, 59, 1)


def test_records_of_others_after_them_stop_the_import(target: Target, tmp_path: Path) -> None:
    path = candles(tmp_path / "okx_BTC_USDT-1m.json", 1_617_235_200_000)
    events = list(importer.open_files(importer.examine_all([path]), Hints()).events())
    interrupt(target, path)
    writer = TapeWriter(target.kafka, target.ids, target.tape, target.partitions)
    writer.write(events[0])
    writer.flush()
    with pytest.raises(StoreError, match=r"cannot be completed.*--tape NAME"):
        run(target, path)


def test_dead_letters_of_an_interrupted_import_are_not_written_twice(
    target: Target, tmp_path: Path
) -> None:
    path = tmp_path / "okx_BTC_USDT-1m.csv"
    rows = [
        f"{1_617_235_200_000 + 60_000 * i},1,2,0.5,{'x' if i < 5 else 1.5},9" for i in range(50)
    ]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    interrupt(target, path, 3)
    done = run(target, path)
    assert (done["dead_letters"], done["already_there"]) == (5, 3)
    lines = Counter(value for _, _, value, _ in records(target, "dead_letters")[0])
    assert len(lines) == sum(lines.values()) == 5
