"""A door to a real server: while it is open bytes pass, once it is shut nobody answers."""

import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Door:
    """Listens on a port of its own and passes each connection on to the server of a URL."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server = (self._parts.hostname or "", self._parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self.passed = 0
        """Connections that went through."""
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        """The server's URL, through the door."""
        return urlunsplit(self._parts._replace(netloc=f"127.0.0.1:{self._port}"))

    def shut(self) -> None:
        """Refuse connections from now on, and end those that there are."""
        # A close alone would leave the thread that accepts, and with it the port, alive.
        for one in (self._listener, *self._connections):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # ended already
            finally:
                one.close()

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        """Shut."""
        self.shut()

    def _listen(self) -> None:
        while True:
            try:
                inside, _ = self._listener.accept()
            except OSError:
                return  # shut
            outside = socket.create_connection(self._server)
            self._connections += [inside, outside]
            self.passed += 1
            for source, target in ((inside, outside), (outside, inside)):
                threading.Thread(target=_pass, args=(source, target), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side or the door was shut
