"""A tape of two partitions with derived topics, and a folder to archive it to."""

from pathlib import Path

import pytest

from streams.archive.config import ArchiveConfig
from tests.conftest import Stack
from tests.sinks.archive.archives import Archived, derive, session
from tests.streams.derived import make_tape


@pytest.fixture
def archived(stack: Stack, tape_name: str, tmp_path: Path) -> Archived:
    """Not archived yet: what it is to hold."""
    tape = make_tape(stack, tape_name, 2)
    tape.write(session(240))
    derive(tape)
    folder = tmp_path / "archive"
    config = ArchiveConfig(url=str(folder), segment_records=500, keep_records=1_000)
    return Archived(tape, folder, config)
