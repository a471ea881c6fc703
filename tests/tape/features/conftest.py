"""A tape that a worker has derived, and the command line on it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from streams import topics
from tape.cli import build
from tests.conftest import Stack
from tests.streams.derived import Tape, make_tape, workers
from tests.tape.features import made


@pytest.fixture(scope="session")
def tape(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tape]:
    """Made events on two partitions, derived by a worker."""
    found = make_tape(stack, f"t{uuid4().hex[:8]}", 2)
    found.write(made.events())
    with workers(found, tmp_path_factory.mktemp("workers")) as running:
        worker = running.start()
        running.settle(180)
        worker.stop()
    yield found
    topics.delete_tape(found.kafka, found.name)


@pytest.fixture(scope="session")
def frame(tape: Tape, tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Path:
    """The tape's frame, written as a user does."""
    path = tmp_path_factory.mktemp("frame") / "frame.parquet"
    words = ["--tape", tape.name, "features", "export", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "tape", *words],
        env=stack.environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{pq.read_metadata(path).num_rows:,} rows of BTC-USDT, ETH-USDT" in done.stdout
    return path


Call = Callable[..., str]


@pytest.fixture
def call(stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run `tape` with these words; what it printed."""
    for name, value in stack.environment.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)

    def run(*arguments: object) -> str:
        words = [str(argument) for argument in arguments]
        capsys.readouterr()
        build(words)(words, standalone_mode=False)
        return capsys.readouterr().out

    return run
