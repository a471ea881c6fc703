"""A TCP proxy in a thread: connections through it can be slowed, cut, or left half open."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_CHUNK = 65_536
_T = TypeVar("_T")


class Proxy:
    """Forwards a port of loopback to another.

    `delay`: each chunk waits so long. `cut`: connections are reset, new ones too. `hold`:
    connections stay, nothing passes in either direction until `heal`, then what waited does;
    with `only`, it concerns the connections that began with something that has these bytes.
    """

    def __init__(self, to_port: int) -> None:
        self.to_port, self.port = to_port, 0
        self._delay_s, self._is_cut, self._only = 0.0, False, b""
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._call(self._listen())

    def delay(self, seconds: float) -> None:
        """Let each chunk wait."""
        self._call(self._set(delay_s=seconds))

    def cut(self) -> None:
        """Reset all connections and those that come."""
        self._call(self._set(is_cut=True))

    def hold(self, only: bytes = b"") -> None:
        """Let nothing pass."""
        self._call(self._set(is_open=False, only=only))

    def heal(self) -> None:
        """Forward again, at once."""
        self._call(self._set())

    def close(self) -> None:
        """End it and its connections."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(
        self,
        *,
        delay_s: float = 0.0,
        is_cut: bool = False,
        is_open: bool = True,
        only: bytes = b"",
    ) -> None:
        self._delay_s, self._is_cut, self._only = delay_s, is_cut, only
        if is_open:
            self._open.set()
        else:
            self._open.clear()
        if is_cut:
            self._abort()

    async def _end(self) -> None:
        self._server.close()
        self._abort()
        self._open.set()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far = None
        try:
            begin = await reader.read(_CHUNK)
            await self._pass(begin)
            if self._is_cut:
                return
            there, far = await asyncio.open_connection("127.0.0.1", self.to_port)
            self._writers.add(far)
            far.write(begin)
            await asyncio.gather(self._pump(reader, far, begin), self._pump(there, writer, begin))
        except OSError:
            # One side is gone: so is the other.
            pass
        finally:
            for one in (writer, far):
                if one is not None:
                    one.transport.abort()
                    self._writers.discard(one)

    async def _pass(self, begin: bytes) -> None:
        if self._only in begin:
            await self._open.wait()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begin: bytes
    ) -> None:
        while data := await reader.read(_CHUNK):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._pass(begin)
            writer.write(data)
            await writer.drain()
        # The other direction ends with this one: our protocols close both together.
        raise ConnectionResetError


@contextmanager
def proxy(to_port: int) -> Iterator[Proxy]:
    """A proxy that is gone after the block."""
    made = Proxy(to_port)
    try:
        yield made
    finally:
        made.close()
