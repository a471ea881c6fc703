"""A log on disk of records that wait for Kafka: bounded, synced, read in order, let go when done.

Positions count the bytes of all records ever appended; a file is named by the position of its
first record. Records go to a buffer, from there to the file (`flush`), from there to the disk
(synced every `fsync_s`). What a crash cut in the middle is cut off at the next start.
"""

import os
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from streams.logs import logger
from streams.spool_folder import SUFFIX, SpoolFolder, unusable
from streams.spool_records import Record, packed, unpacked, whole

_log = logger("spool")

_BUFFER_BYTES = 128 << 10
# Records that the disk does not take wait here, then new ones are refused.
_HELD_BYTES = 4 << 20
_RETRY_S = 1.0
_POSITION = struct.Struct("<QI")
_SEGMENT_BYTES = 64 << 20
_SEGMENTS = 16
_LARGE = 4 << 20


@dataclass(slots=True)
class _Segment:
    """A file of records: the positions of its first and after its last."""

    path: Path
    start: int
    end: int


class Spool:
    """Records from `start` (not yet acknowledged by Kafka) to `end` (the newest appended).

    `max_bytes` bounds the files; `fsync_s` is how often they are synced, 0: at each append.
    ConfigError when the folder cannot be written.
    """

    def __init__(self, folder: SpoolFolder, max_bytes: int, fsync_s: float) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(_SEGMENT_BYTES, max(1, max_bytes // _SEGMENTS))
        self._fsync_s = fsync_s
        self._buffer = bytearray()
        self._file = -1
        self._disk = ThreadPoolExecutor(1, "spool")
        self._syncing: Future[int] | None = None
        self._synced_at = time.monotonic()
        self._retry_at = 0.0
        self.problem = ""
        """Why the disk takes nothing now; empty: it does."""
        try:
            self._positions = os.open(folder.path / "drained", os.O_RDWR | os.O_CREAT, 0o600)
            self.start = self._saved()
            self._save()
            self._segments, self.records = self._recovered()
        except OSError as error:
            raise unusable(folder.path, error) from None
        folder.warn_of_room(max_bytes)
        if self._segments:
            self.start = max(self.start, self._segments[0].start)
            self._written = max(self.start, self._segments[-1].end)
        else:
            self._written = self.start
        self._appended = self._sync_count = self.synced = self.records

    @property
    def end(self) -> int:
        """Position after the newest record."""
        return self._written + len(self._buffer)

    @property
    def bytes(self) -> int:
        """Bytes that the spool takes, of those that are drained but still in a file too."""
        first = self._segments[0].start if self._segments else self._written
        return self.end - first

    @property
    def room(self) -> int:
        """Bytes that may still be appended."""
        if len(self._buffer) >= _HELD_BYTES:
            return 0
        return max(0, self._max_bytes - self.bytes)

    @property
    def unsynced(self) -> int:
        """Records that are not on the disk yet."""
        return self._appended - self.synced

    def append(self, record: Record) -> bool:
        """Take a record; False, and nothing is taken, when there is no room for it."""
        return self.append_all((record,))

    def append_all(self, records: Sequence[Record]) -> bool:
        """Take these records, or none of them when there is no room for all."""
        data = b"".join(map(packed, records))
        if len(data) > self.room:
            return False
        self._buffer += data
        self.records += len(records)
        self._appended += len(records)
        if len(self._buffer) >= _BUFFER_BYTES or not self._fsync_s:
            self.flush()
        return True

    def flush(self, sync: bool = False) -> None:
        """Give the buffer to the operating system; sync by the policy, or now and wait."""
        if self._buffer and (time.monotonic() >= self._retry_at or sync):
            try:
                self._write()
            except OSError as error:
                self._failed(error)
        self._sync(sync or not self._fsync_s)

    def read(self, position: int, most: int = 64 << 10) -> tuple[list[tuple[Record, int]], int]:
        """Records from a position on, each with where it ends, and where to read next.

        About `most` bytes of them; no records at the end, and for a file that cannot be read: it is
        logged and passed over.
        """
        if position >= self._written:
            found = _first(
                lambda size: bytes(self._buffer[position - self._written :][:size]), most
            )
        else:
            segment = next(one for one in self._segments if position < one.end)
            position = max(position, segment.start)
            try:
                found = _first(lambda size: _stored(segment, position, size), most)
            except OSError as error:
                _log.error("spool_unreadable", file=str(segment.path), error=error.strerror)
                found = []
            if not found:
                _log.error("spool_lost", file=str(segment.path), bytes=segment.end - position)
                return [], segment.end
        placed = [(record, position + end) for record, end in found]
        return placed, placed[-1][1] if placed else position

    def drained(self, position: int, records: int) -> None:
        """So many records before this position are acknowledged: they are let go."""
        self.start = position
        self.records = max(0, self.records - records)
        if position >= self.end:
            self._let_go_of_all()
        try:
            self._save()
            while self._segments and self._segments[0].end <= position:
                if self._file >= 0 and len(self._segments) == 1:
                    break
                self._segments[0].path.unlink(missing_ok=True)
                self._segments.pop(0)
        except OSError as error:
            self._failed(error)

    def close(self) -> None:
        """Sync what there is and let the folder go."""
        self.flush(sync=True)
        if self._buffer:
            _log.error("spool_lost", bytes=len(self._buffer), error=self.problem)
        self._close_file()
        self._disk.shutdown()
        os.close(self._positions)
        self._folder.close()

    def _write(self) -> None:
        if self._file < 0:
            self._new_segment()
        segment = self._segments[-1]
        size = segment.end - segment.start
        view = memoryview(self._buffer)
        try:
            done = 0
            while done < len(view):
                done += os.pwrite(self._file, view[done:], size + done)
        except OSError:
            # A part of a record in the middle of the file would hide what comes after it.
            os.ftruncate(self._file, size)
            raise
        finally:
            view.release()
        self._written += done
        segment.end = self._written
        self._buffer.clear()
        self._sync_count = self._appended
        if self.problem:
            _log.info("spool_writes_again", folder=str(self._folder.path))
            self.problem = ""
        if segment.end - segment.start >= self._segment_bytes:
            self._close_file()

    def _new_segment(self) -> None:
        path = self._folder.path / f"{self._written:020d}{SUFFIX}"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._segments.append(_Segment(path, self._written, self._written))
        self._sync_folder()

    def _failed(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + _RETRY_S
        if not self.problem:
            _log.error(
                "spool_write_failed", folder=str(self._folder.path), error=error.strerror,
                held_bytes=len(self._buffer),
            )  # fmt: skip
        self.problem = error.strerror or str(error)

    def _sync(self, now: bool) -> None:
        """Sync the file in a thread, one sync at a time; `now`: wait for it."""
        if self._syncing is not None and (now or self._syncing.done()):
            self._take_sync(self._syncing)
        due = now or time.monotonic() - self._synced_at >= self._fsync_s
        if self._syncing is not None or not due:
            return
        if self._file >= 0 and self.synced < self._sync_count:
            self._synced_at = time.monotonic()
            self._syncing = self._disk.submit(self._fsync, self._file, self._sync_count)
            if now:
                self._take_sync(self._syncing)

    def _take_sync(self, sync: "Future[int]") -> None:
        self.synced = max(self.synced, sync.result())
        self._syncing = None

    def _fsync(self, file: int, count: int) -> int:
        """In the thread: sync; the records that this made safe, 0 where it failed."""
        try:
            os.fsync(file)
        except OSError as error:
            _log.error("spool_sync_failed", folder=str(self._folder.path), error=error.strerror)
            return 0
        return count

    def _close_file(self) -> None:
        """End the newest file; it is synced, so that damage can only be at a newest file's end."""
        if self._file >= 0:
            self._sync(now=True)
            os.close(self._file)
            self._file = -1

    def _let_go_of_all(self) -> None:
        if self._file >= 0:
            # After a sync that may be under way, so that nobody waits for it.
            self._disk.submit(os.close, self._file)
            self._file = -1
        self._written = self.end
        self._buffer.clear()
        self._sync_count = self.synced = self._appended

    def _sync_folder(self) -> None:
        folder = os.open(self._folder.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _save(self) -> None:
        number = self.start.to_bytes(8, "little")
        os.pwrite(self._positions, _POSITION.pack(self.start, crc32(number)), 0)

    def _saved(self) -> int:
        data = os.pread(self._positions, _POSITION.size, 0)
        if len(data) < _POSITION.size:
            return 0
        position, crc = _POSITION.unpack(data)
        return int(position) if crc32(data[:8]) == crc else 0

    def _recovered(self) -> tuple[list[_Segment], int]:
        """The files that still hold records, their torn ends cut off; and how many records."""
        segments, records = [], 0
        for path in self._folder.segments:
            start = int(path.name.removesuffix(SUFFIX))
            data = path.read_bytes()
            skipped = min(max(0, self.start - start), len(data))
            count, size = whole(data, skipped)
            if size < len(data):
                _log.warning("spool_cut", file=str(path), at=size, bytes=len(data) - size)
                os.truncate(path, size)
            if not count:
                path.unlink()
                continue
            segments.append(_Segment(path, start, start + size))
            records += count
        return segments, records


def _stored(segment: _Segment, position: int, size: int) -> bytes:
    with segment.path.open("rb") as file:
        file.seek(position - segment.start)
        return file.read(min(size, segment.end - position))


def _first(data: Callable[[int], bytes], most: int) -> list[tuple[Record, int]]:
    """The records in so many bytes of some data, and one if it is larger."""
    return unpacked(data(most)) or unpacked(data(_LARGE), 1) or unpacked(data(_SEGMENT_BYTES), 1)
