"""The folder of a spool: one process's alone, and which it is where several collect."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from schemas.errors import ConfigError
from streams.logs import logger

_log = logger("spool")

SUFFIX = ".spool"


class SpoolFolder:
    """A folder that this process holds the lock of until `close`.

    Below `root` each tape has a folder, and in it each collector of this machine one with a number:
    the lowest that no process holds, those first in which records wait. ConfigError
    where it cannot be written.
    """

    def __init__(self, root: Path, tape: str) -> None:
        home = root / tape
        try:
            home.mkdir(parents=True, exist_ok=True)
            self.path, self._lock = self._claim(home)
        except OSError as error:
            raise unusable(home, error) from None

    @property
    def segments(self) -> list[Path]:
        """The files of records, oldest first."""
        return sorted(self.path.glob(f"*{SUFFIX}"))

    def warn_of_room(self, wanted: int) -> None:
        """Say it when the disk has less room than the spool may take."""
        free = shutil.disk_usage(self.path).free
        if free < wanted:
            _log.warning("spool_room", folder=str(self.path), free_bytes=free, bound_bytes=wanted)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._lock)

    def _claim(self, home: Path) -> tuple[Path, int]:
        for path in _candidates(home):
            path.mkdir(exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            return path, lock
        raise AssertionError("unreachable: numbers do not end")


def _candidates(home: Path) -> Iterator[Path]:
    there = sorted(path for path in home.iterdir() if path.name.isdigit())
    yield from (path for path in there if any(path.glob(f"*{SUFFIX}")))
    yield from (home / str(number) for number in count())


def unusable(path: Path, error: OSError) -> ConfigError:
    """The error that says that a spool cannot be kept here, and what to do."""
    return ConfigError(
        f"the spool's folder {path} cannot be written: {error.strerror}; make room or give it "
        "to this user, or name another folder with collector.spool.folder"
    )
