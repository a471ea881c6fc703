"""What was recorded is read back as it came, and becomes the same events."""

import errno
import itertools
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigError
from schemas.events import Clock, Event
from tests.data import shared_data
from venues.feed import Feed
from venues.frames import Frame
from venues.history import importer
from venues.history.files import examine, no_progress
from venues.history.formats import CRYPTOFEED, open_stream
from venues.history.merge import merge
from venues.history.names import Hints
from venues.live.connection import State
from venues.live.recorder import Recorder
from venues.simulator.market import Market

MB = 1 << 20
NOW_US = 1_700_000_000_123_457


def recorded(folder: Path, frames: list[Frame], max_bytes: int = 64 * MB) -> list[Path]:
    recorder = Recorder(folder / "capture.jsonl.zst", max_bytes)
    for frame in frames:
        recorder.take(frame)
    recorder.close()
    return recorder.files


def read(*paths: Path) -> list[Frame]:
    streams = []
    for number, path in enumerate(paths):
        form, stream = open_stream(examine(path), Hints(), number, no_progress)
        assert form is CRYPTOFEED
        streams.append(stream)
    frames = [what for *_, what in merge(streams)]
    assert all(isinstance(frame, Frame) for frame in frames)
    return frames  # type: ignore[return-value]  # as asserted


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Frame,
            venue=st.sampled_from(("binance-spot", "okx-swap", "cryptopanic")),
            connection=st.sampled_from(("public-1#1", "public-1#2", "rest", "data")),
            receive_time=st.integers(1_000_000_000_000_000, 4_000_000_000_000_000),
            data=st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)),
            request=st.sampled_from(("", "https://api.binance.com/api/v3/depth?symbol=BTCUSDT")),
        ),
        max_size=20,
    )
)
def test_frames_come_back_as_they_were_to_the_microsecond_and_the_byte(
    frames: list[Frame],
) -> None:
    frames.sort(key=lambda frame: frame.receive_time)
    with TemporaryDirectory() as folder:
        assert read(*recorded(Path(folder), frames)) == frames


def test_the_order_of_receiving_is_kept_though_the_clock_goes_back(tmp_path: Path) -> None:
    frames = [
        Frame("okx-spot", f"public-1#{n % 3}", NOW_US + jump, b"%d" % n)
        for n, jump in enumerate((0, 5, -900, 6, 6, 2))
    ]
    assert read(*recorded(tmp_path, frames)) == frames


def test_an_import_of_what_was_recorded_gives_the_events_of_the_feed(tmp_path: Path) -> None:
    frames = list(itertools.islice(Market(seed=3).frames(), 20_000))
    feed = Feed()
    wanted = [event for frame in frames for event in feed.receive(frame)] + feed.finish()
    assert len({frame.venue for frame in frames}) > 3
    assert of_import(recorded(tmp_path, frames)) == wanted


def of_import(paths: list[Path]) -> list[Event]:
    """What an import of these files derives, without the pulses that it adds."""
    derivation = importer.open_files(importer.examine_all(paths), Hints())
    return [event for event in derivation.events() if not isinstance(event, Clock)]


@pytest.mark.parametrize("name", ["bybit_v5_2026-08-09", "binance_usdm_2021-07-22"])
def test_a_capture_recorded_again_gives_the_same_frames(name: str, tmp_path: Path) -> None:
    frames = read(shared_data() / "ws" / f"{name}.jsonl.zst")
    assert read(*recorded(tmp_path, frames)) == frames


def test_at_the_bound_it_goes_on_in_another_file_that_stands_alone(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "capture.jsonl.zst", 100_000)
    url = "wss://stream.bybit.com/v5/public/spot"
    recorder.state(State("bybit-spot", "public-1#1", "connected", (), "", NOW_US), url)
    frames = [
        Frame("bybit-spot", "public-1#1", NOW_US + n, os.urandom(3_000).hex().encode())
        for n in range(100)
    ]
    for frame in frames:
        recorder.take(frame)
        recorder.flush()
    recorder.close()
    names = [path.name for path in recorder.files]
    assert names[:2] == ["capture.jsonl.zst", "capture-0002.jsonl.zst"]
    assert all(path.stat().st_size < 110_000 for path in recorder.files)
    assert read(*recorder.files) == frames
    for path in recorder.files:
        lines = unpacked(path).splitlines()
        assert lines[0].startswith(b'{"t":"header"')
        assert url.encode() in lines[1]


def unpacked(path: Path) -> bytes:
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return reader.read()


def test_killed_the_file_is_whole_up_to_the_last_flush(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, time; from pathlib import Path; "
        "from venues.frames import Frame; from venues.live.recorder import Recorder\n"
        "recorder = Recorder(Path(sys.argv[1]), 1 << 26)\n"
        f"for n in range(5000): recorder.take(Frame('okx-spot', 'a#1', {NOW_US} + n, b'%d' % n))\n"
        "recorder.flush()\n"
        "recorder.take(Frame('okx-spot', 'a#1', 1, b'unwritten'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "capture.jsonl.zst"
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [frame.data for frame in read(path)] == [b"%d" % n for n in range(5_000)]


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "capture.jsonl.zst"
    path.write_bytes(b"somebody's")
    with pytest.raises(ConfigError, match="is there already"):
        Recorder(path, MB)
    assert path.read_bytes() == b"somebody's"


def test_a_disk_that_takes_no_more_ends_the_recording_and_not_the_caller(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "capture.jsonl.zst", MB)
    frame = Frame("okx-spot", "a#1", NOW_US, os.urandom(30_000).hex().encode())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        for _ in range(10):
            recorder.take(frame)
            recorder.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert recorder.problem == os.strerror(errno.EFBIG)
    kept = read(recorder.path)
    assert 0 < len(kept) < 10
    assert set(kept) == {frame}
    recorder.close()
