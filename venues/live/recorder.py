"""Frames into a capture file, as they came: what `tape import` and `tape sim --capture` read.

JSON lines in Zstandard, in cryptofeed's form with more in it (docs/import.md). The file grows by
whole compressed frames, one a second at least, so that it can be read to its end whatever
ended the recording.
"""

import asyncio
import base64
import os
import time
from pathlib import Path

import msgspec
import zstandard

from schemas.errors import ConfigError
from streams.logs import logger
from venues.frames import Frame
from venues.history.cryptofeed import IN_ORDER, Line
from venues.live.connection import State

log = logger("venues.recorder")

_BLOCK_BYTES = 1 << 20
_EVERY_S = 1.0
_TICK_S = 0.25
_STATES = {"connected": "connect", "handover": "connect", "lost": "lost", "refused": "refused"}


class Recorder:
    """Writes a capture; from `max_bytes` on it goes on in another file, `NAME-0002.jsonl.zst`.

    ConfigError when the file is there already or cannot be made. A disk that takes no more ends
    the recording, not the caller: `problem` then says why.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._encode = msgspec.json.Encoder().encode
        self._pack = zstandard.ZstdCompressor(level=3, write_checksum=True).compress
        self._lines: list[bytes] = []
        self._held = 0
        self._connections: dict[tuple[str, str], bytes] = {}
        self._flushed_at = time.monotonic()
        self.files: list[Path] = []
        self.frames = 0
        self.problem = ""
        self._open()

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self.files[-1]

    def take(self, frame: Frame) -> None:
        """Record one message or answer."""
        self.frames += 1
        text, raw = _text(frame.data)
        self._put(
            Line(
                t="http" if frame.request else "recv",
                conn=frame.connection,
                ts=frame.receive_time / 1_000_000,
                venue=frame.venue,
                url=frame.request,
                data=text,
                base64=raw,
            )
        )

    def state(self, state: State, url: str) -> None:
        """Record what became of a connection to a URL."""
        line = self._put(
            Line(
                t=_STATES[state.kind],
                conn=state.connection,
                ts=state.at_us / 1_000_000,
                venue=state.venue,
                addr=url,
                reason=state.reason,
            )
        )
        key = state.venue, state.connection
        if state.kind == "lost":
            self._connections.pop(key, None)
        elif state.kind != "refused":
            self._connections[key] = line

    async def keep(self) -> None:
        """Write what is there once a second, until it is cancelled or has a `problem`."""
        while not self.problem:
            await asyncio.sleep(_TICK_S)
            if time.monotonic() - self._flushed_at >= _EVERY_S:
                self.flush()

    def flush(self) -> None:
        """Write what is there, so that it is in the file whatever happens."""
        self._flushed_at = time.monotonic()
        if not self._lines or self.problem:
            return
        block = self._pack(b"".join(self._lines))
        self._lines.clear()
        self._held = 0
        try:
            _write_whole(self._file, block)
            if os.fstat(self._file).st_size >= self._max_bytes:
                os.close(self._file)
                self._open()
        except (OSError, ConfigError) as error:
            self.problem = getattr(error, "strerror", None) or str(error)
            log.error("recording_ended", file=str(self.path), error=self.problem)

    def close(self) -> None:
        """Write the rest; nothing is recorded afterwards."""
        self.flush()
        self.problem = self.problem or "it was closed"
        os.close(self._file)

    def _put(self, line: Line) -> bytes:
        data = self._encode(line) + b"\n"
        if not self.problem:
            self._lines.append(data)
            self._held += len(data)
            if self._held >= _BLOCK_BYTES:
                self.flush()
        return data

    def _open(self) -> None:
        """Begin a file: its header, and the connections that there are."""
        path = self._path
        if self.files:
            stem, dot, endings = path.name.partition(".")
            path = path.with_name(f"{stem}-{len(self.files) + 1:04d}{dot}{endings}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = os.open(path, flags, 0o644)
        except FileExistsError:
            raise ConfigError(f"{path} is there already: name another file") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
        self.files.append(path)
        header = {"t": "header", "format": 2, "exchange": "tape", "order": IN_ORDER}
        header["recorded"] = time.time()
        lines = [self._encode(header) + b"\n", *self._connections.values()]
        _write_whole(self._file, self._pack(b"".join(lines)))


def _text(data: bytes) -> tuple[str, str]:
    """A message as text; or, where it is none, in base64."""
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return "", base64.b64encode(data).decode()


def _write_whole(file: int, data: bytes) -> None:
    """All of it or, with OSError, nothing."""
    size = os.fstat(file).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, size)
        raise
