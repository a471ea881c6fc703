"""`sockets`: WebSocket text frames received by a client, a second; the peer is websockets.

Ours is a collector's connection (picows, controls looked for, frames stamped, silence watched);
picows, websockets and aiohttp are as they come. A plain socket sends ready-made frames of 300
bytes as fast as they are taken, so that the server is never what is measured. Each client is a
process of its own and does the same with a frame; microseconds are its processor time for one.
"""

import base64
import hashlib
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from statistics import median

from benchmarks._sockets_client import CLIENTS
from benchmarks.harness import Result, compare, last_json, versions
from schemas.errors import StoreError

_RUNS = 5
_FRAMES = 300_000
_BYTES = 300
_AT_ONCE = 200
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TIMEOUT_S = 60


def run() -> Result:
    """Measure all clients, alternately."""
    rates: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    for _ in range(_RUNS):
        for name in CLIENTS:
            told = _measure(name)
            rates[name].append(told["frames"] / told["seconds"])
            cpu[name].append(1e6 * told["cpu_seconds"] / told["frames"])
    return compare(
        "sockets", "frames/s", rates["tape"], rates["websockets"],
        versions("picows", "aiofastnet", "websockets", "aiohttp"),
        frames=_FRAMES, bytes=_BYTES,
        frames_per_s={name: round(median(values)) for name, values in rates.items()},
        cpu_us_per_frame={name: round(median(values), 2) for name, values in cpu.items()},
    )  # fmt: skip


def _measure(client: str) -> dict[str, float]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks._sockets_client", client, url],
            check=False, capture_output=True, text=True, timeout=_TIMEOUT_S,
        )  # fmt: skip
    told: dict[str, float] = last_json(done, client)
    if told["octets"] != _FRAMES * _BYTES:
        raise StoreError(f"{client} took {told['octets']:.0f} bytes of {_FRAMES * _BYTES}")
    return told


def _serve(server: socket.socket) -> None:
    """One connection: answer its handshake, send all frames, close."""
    connection, _ = server.accept()
    with connection:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += connection.recv(65_536)
        connection.sendall(_accepted(request))
        portion = (b"\x81\x7e" + _BYTES.to_bytes(2, "big") + b"x" * _BYTES) * _AT_ONCE
        for _ in range(_FRAMES // _AT_ONCE):
            connection.sendall(portion)
        connection.sendall(b"\x88\x02\x03\xe8")
        connection.recv(65_536)


def _accepted(request: bytes) -> bytes:
    """The answer to a handshake (RFC 6455, 4.2.2)."""
    headers = dict(
        (name.strip().lower(), value.strip())
        for name, _, value in (line.partition(b":") for line in request.split(b"\r\n")[1:])
    )
    key = hashlib.sha1(headers[b"sec-websocket-key"] + _GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n"
    )
