import asyncio

import pytest

from tests.venues.live.wire import Client, bounded, running, until, venue
from venues.live.proxies import proxy_of

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *map(str.upper, NAMES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://plain.example:3128")
    monkeypatch.setenv("https_proxy", "http://secure.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("ws://venue.example/ws", "http://plain.example:3128"),
        ("wss://venue.example:9443/ws", "http://secure.example:3128"),
        ("https://venue.example/api", "http://secure.example:3128"),
        ("wss://stream.inside.example/ws", None),
        ("http://127.0.0.1:19443/okx-spot/api", None),
        ("ws://localhost:19443/", None),
        ("ws://[::1]:19443/", None),
    ],
)
def test_proxy_is_the_environments_for_the_address(url: str, proxy: str | None) -> None:
    assert proxy_of(url) == proxy


def test_no_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("https_proxy")
    assert proxy_of("wss://venue.example/ws") is None


@bounded
async def test_connection_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async with venue() as served:
        port = int(served.url.rpartition(":")[2].partition("/")[0])

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            onward = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pipe(reader, onward[1]), pipe(onward[0], writer))

        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{address}")
        async with running(Client("ws://venue.example:9443/stream", "AAA")) as client:
            await until(lambda: len(client.frames) > 10)
        assert asked[0].startswith(b"CONNECT venue.example:9443 HTTP/1.1\r\n")
        server.close()
