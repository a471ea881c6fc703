"""The spool on disk: a prefix of whole records survives any crash; bounded, and let go of."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigError
from streams.spool import Spool
from streams.spool_folder import SpoolFolder
from streams.spool_records import Record, packed, unpacked, whole

MB = 1 << 20

records = st.lists(
    st.tuples(
        st.sampled_from(("live.tape", "live.dead_letters")),
        st.integers(0, 1023),
        st.binary(max_size=12),
        st.binary(max_size=300),
        st.integers(0, 1 << 60),
    ),
    max_size=30,
)


def some(count: int, size: int = 100, first: int = 0) -> list[Record]:
    return [("t.tape", n % 4, b"BTC-USDT", bytes([n % 256]) * size, n) for n in range(first, count)]


def spool(root: Path, max_bytes: int = 64 * MB, fsync_s: float = 60.0) -> Spool:
    return Spool(SpoolFolder(root, "t"), max_bytes, fsync_s)


def everything(log: Spool) -> list[Record]:
    """All that waits, in order, without letting go of it."""
    found: list[Record] = []
    position = log.start
    while position < log.end:
        placed, position = log.read(position)
        found += [record for record, _ in placed]
    return found


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.spool"))


def filled(root: Path, wanted: list[Record], max_bytes: int = 64 * MB) -> None:
    log = spool(root, max_bytes)
    assert all(log.append(record) for record in wanted)
    log.close()


@given(records)
def test_what_is_packed_is_unpacked(wanted: list[Record]) -> None:
    data = b"".join(map(packed, wanted))
    assert [record for record, _ in unpacked(data)] == wanted
    assert whole(data) == (len(wanted), len(data))


@settings(max_examples=60, deadline=None)
@given(records, st.data())
def test_cut_at_any_byte_a_prefix_of_whole_records_comes_back(
    wanted: list[Record], data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        filled(root, wanted)
        size = sum(map(len, map(packed, wanted)))
        cut = data.draw(st.integers(0, size))
        for file in files(root):
            os.truncate(file, cut)
        log = spool(root)
        found = everything(log)
        assert found == wanted[: len(found)]
        whole = sum(map(len, map(packed, found)))
        assert whole <= cut
        assert len(found) == len(wanted) or cut < whole + len(packed(wanted[len(found)]))
        assert log.records == len(found)
        assert log.append(("after", 0, b"", b"the crash", 1))
        log.close()
        log = spool(root)
        assert everything(log) == [*found, ("after", 0, b"", b"the crash", 1)]
        log.close()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_torn_end_of_other_bytes_or_of_zeros_is_cut_off(data: st.DataObject) -> None:
    wanted = some(20)
    tail = data.draw(st.one_of(st.binary(min_size=1, max_size=40), st.just(bytes(4096))))
    with TemporaryDirectory() as name:
        root = Path(name)
        filled(root, wanted)
        with files(root)[0].open("ab") as file:
            file.write(tail)
        log = spool(root)
        assert everything(log)[:20] == wanted
        assert log.records == 20
        log.close()


def test_a_bit_that_changed_ends_the_file_there(tmp_path: Path) -> None:
    wanted = some(10)
    filled(tmp_path, wanted)
    data = bytearray(files(tmp_path)[0].read_bytes())
    data[len(data) // 2] ^= 1
    files(tmp_path)[0].write_bytes(data)
    log = spool(tmp_path)
    assert everything(log) == wanted[: log.records]
    assert 0 < log.records < 10


def test_what_is_drained_is_not_there_after_a_restart(tmp_path: Path) -> None:
    log = spool(tmp_path)
    for record in some(10):
        log.append(record)
    placed, _ = log.read(log.start)
    log.drained(placed[3][1], 4)
    log.close()
    log = spool(tmp_path)
    assert log.records == 6
    assert everything(log) == some(10)[4:]
    log.close()


def test_once_all_is_drained_no_file_is_left_and_positions_go_on(tmp_path: Path) -> None:
    log = spool(tmp_path)
    for record in some(10):
        log.append(record)
    log.flush(sync=True)
    assert files(tmp_path)
    log.drained(log.end, 10)
    assert (files(tmp_path), log.records, log.bytes, log.unsynced) == ([], 0, 0, 0)
    end = log.end
    log.append(some(1)[0])
    log.close()
    log = spool(tmp_path)
    assert log.start == end
    assert everything(log) == some(1)
    log.close()


def test_files_are_removed_as_they_are_drained(tmp_path: Path) -> None:
    log = spool(tmp_path, max_bytes=160_000)
    for record in some(1_000):
        assert log.append(record)
        log.flush()
    many = len(files(tmp_path))
    assert many > 10
    position = log.start
    while position < log.end:
        placed, position = log.read(position, 1_000)
        log.drained(position, len(placed))
    assert (files(tmp_path), log.records) == ([], 0)
    log.close()


def test_at_the_bound_nothing_more_is_taken_until_there_is_room(tmp_path: Path) -> None:
    log = spool(tmp_path, max_bytes=32_000)
    taken = 0
    while log.append(some(taken + 1)[-1]):
        log.flush()
        taken += 1
    assert sum(file.stat().st_size for file in files(tmp_path)) <= 32_000
    assert log.bytes <= 32_000 < log.bytes + len(packed(some(1)[0]))
    assert everything(log) == some(taken)
    placed, position = log.read(log.start, 10_000)
    log.drained(position, len(placed))
    assert log.append(some(1)[0])
    assert log.records == taken - len(placed) + 1
    log.close()


def test_a_large_record_is_read_alone(tmp_path: Path) -> None:
    wanted = [*some(3), ("t.tape", 0, b"k", os.urandom(300_000), 1), *some(3)]
    filled(tmp_path, wanted)
    log = spool(tmp_path)
    assert everything(log) == wanted
    log.close()


def test_each_collector_has_a_folder_of_its_own_and_finds_what_waits(tmp_path: Path) -> None:
    one, two = SpoolFolder(tmp_path, "t"), SpoolFolder(tmp_path, "t")
    other = SpoolFolder(tmp_path, "another")
    assert [folder.path.name for folder in (one, two, other)] == ["0", "1", "0"]
    (two.path / f"{0:020d}.spool").write_bytes(packed(some(1)[0]))
    one.close()
    two.close()
    again = SpoolFolder(tmp_path, "t")
    assert again.path.name == "1"
    again.close()
    other.close()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, os, signal; from pathlib import Path; "
        "from streams.spool_folder import SpoolFolder; "
        "SpoolFolder(Path(sys.argv[1]), 't'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert SpoolFolder(tmp_path, "t").path.name == "0"


def test_synced_by_the_policy(tmp_path: Path) -> None:
    at_once = Spool(SpoolFolder(tmp_path, "a"), MB, fsync_s=0)
    at_once.append(some(1)[0])
    assert at_once.unsynced == 0
    later = Spool(SpoolFolder(tmp_path, "b"), MB, fsync_s=3_600)
    later.append(some(1)[0])
    later.flush()
    assert later.unsynced == 1
    assert everything(later) == some(1)
    later.flush(sync=True)
    assert later.unsynced == 0
    at_once.close()
    later.close()


def test_a_folder_that_cannot_be_written_is_an_error_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"spool's folder .*file.*collector\.spool\.folder"):
        SpoolFolder(tmp_path / "file", "t")


@pytest.fixture
def small_files() -> Iterator[int]:
    """A bound on the size of files, which fails writes as a full disk does."""
    limit = 20_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_loses_nothing_that_was_taken(
    tmp_path: Path, small_files: int
) -> None:
    log = spool(tmp_path)
    count = 0
    while log.append(some(count + 1, 2_000)[-1]):
        count += 1
        log.flush()
    assert count > small_files // 2_000
    assert log.problem == os.strerror(errno.EFBIG)
    # What did not fit waits in memory, bounded, and is read from there.
    assert everything(log) == some(count, 2_000)
    assert files(tmp_path)[0].stat().st_size % len(packed(some(1, 2_000)[0])) == 0
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    log.flush(sync=True)
    assert log.problem == ""
    assert log.append(some(1)[0])
    assert log.unsynced == 1
    log.close()
    log = spool(tmp_path)
    assert log.records == count + 1
    log.close()
