"""The proxy forwards, and can be slow, cut and half open."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.torture.proxy import Proxy, proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server's port that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(4096):
                    connection.sendall(data)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.fixture
def between(echo: int) -> Iterator[Proxy]:
    with proxy(echo) as made:
        yield made


def client(between: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", between.port), timeout=0.4)


def test_all_bytes_pass_in_order(between: Proxy) -> None:
    with client(between) as there:
        sent = bytes(range(256)) * 8
        there.sendall(sent)
        found = b""
        while len(found) < len(sent):
            found += there.recv(4096)
        assert found == sent


def test_slow_is_slow(between: Proxy) -> None:
    with client(between) as there:
        there.sendall(b"a")
        there.recv(1)
        between.delay(0.1)
        begun = time.monotonic()
        there.sendall(b"a")
        assert there.recv(1) == b"a"
        assert time.monotonic() - begun >= 0.2


def test_cut_ends_what_there_is_and_what_comes(between: Proxy) -> None:
    with client(between) as there:
        there.sendall(b"a")
        assert there.recv(1) == b"a"
        between.cut()
        assert _is_ended(there)
    with client(between) as other:
        other.sendall(b"a")
        assert _is_ended(other)
    between.heal()
    with client(between) as there:
        there.sendall(b"b")
        assert there.recv(1) == b"b"


def test_half_open_lets_nothing_pass_until_it_is_over_and_then_all(between: Proxy) -> None:
    with client(between) as there:
        there.sendall(b"a")
        assert there.recv(1) == b"a"
        between.hold()
        there.sendall(b"b")
        with pytest.raises(TimeoutError):
            there.recv(1)
        between.heal()
        assert there.recv(1) == b"b"


def test_only_some_connections_are_held(between: Proxy) -> None:
    with client(between) as one, client(between) as other:
        for there, hello in ((one, b"I am one"), (other, b"I am other")):
            there.sendall(hello)
            assert there.recv(20) == hello
        between.hold(only=b"one")
        one.sendall(b"a")
        other.sendall(b"a")
        assert other.recv(1) == b"a"
        with pytest.raises(TimeoutError):
            one.recv(1)


def _is_ended(there: socket.socket) -> bool:
    try:
        return there.recv(1) == b""
    except ConnectionError:
        return True
