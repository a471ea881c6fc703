import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import structlog
from aiohttp import web

from tests.venues.live.wire import CONFIG, QUICK, VENUE, bounded
from venues.live.dialect import Limits, Request
from venues.live.rest import Rest, RestError, masked

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
MINUTE = replace(QUICK, rest_weight=10, rest_window_s=60.0)


class Server:
    """A real HTTP server that gives the answers that it was told, then `ok`."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[web.Response] = []
        self.asked: list[tuple[float, str]] = []
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.asked.append((time.monotonic(), request.path_qs))
        self.headers.append(dict(request.headers))
        if request.path.startswith("/slow"):
            await asyncio.sleep(10)
        return self.answers.pop(0) if self.answers else web.Response(text="ok")

    def gap_s(self) -> float:
        """Seconds between the first two requests."""
        return self.asked[1][0] - self.asked[0][0]


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[Server]:
    """The server on loopback."""
    served = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", served.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()


async def get(rest: Rest, url: str, limits: Limits = QUICK, weight: int = 1) -> bytes:
    return await rest.get(Request(VENUE, url, weight, (("x-simulated-trading", "1"),)), limits)


@bounded
async def test_answer_is_the_body_and_the_requests_headers_are_sent() -> None:
    async with serving() as served, Rest(CONFIG) as rest:
        assert await get(rest, f"{served.url}/depth?symbol=A%2CB") == b"ok"
        assert served.asked[0][1] == "/depth?symbol=A%2CB"
        assert served.headers[0]["x-simulated-trading"] == "1"


@bounded
async def test_all_requests_to_an_address_share_its_weight() -> None:
    limits = replace(QUICK, rest_weight=10, rest_window_s=0.5)
    async with serving() as served, Rest(CONFIG) as rest:
        await asyncio.gather(*(get(rest, f"{served.url}/{n}", limits, weight=4) for n in range(5)))
        at = sorted(at for at, _ in served.asked)
        assert at[1] - at[0] < 0.3
        assert at[2] - at[0] > 0.4
        assert at[4] - at[0] > 0.9


@bounded
async def test_too_many_requests_holds_all_requests_to_the_address_as_long_as_it_says() -> None:
    async with serving() as served, Rest(CONFIG) as rest:
        served.answers = [web.Response(status=429, headers={"Retry-After": "1"})]
        first = asyncio.create_task(get(rest, f"{served.url}/first"))
        while not served.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert await get(rest, f"{served.url}/second") == b"ok"
        assert await first == b"ok"
        assert all(at - served.asked[0][0] > 0.95 for at, _ in served.asked[1:])


@bounded
async def test_ban_is_said_at_once_and_nothing_is_sent_during_it() -> None:
    async with serving() as served, Rest(CONFIG) as rest:
        served.answers = [web.Response(status=418, headers={"Retry-After": "3600"})]
        for _ in range(2):
            with pytest.raises(RestError, match=r"takes no requests .* for another 3\d\d\d s"):
                await get(rest, f"{served.url}/depth")
        assert len(served.asked) == 1


@bounded
async def test_busy_answer_with_status_200_is_waited_out() -> None:
    busy = b'{"retCode":10006'
    limits = replace(QUICK, rest_window_s=0.3, rest_busy=busy)
    async with serving() as served, Rest(CONFIG) as rest:
        served.answers = [web.Response(body=busy + b',"retMsg":"Too many visits!"}')]
        assert await get(rest, f"{served.url}/depth", limits) == b"ok"
        assert served.gap_s() > 0.28


@bounded
async def test_venues_own_count_of_weight_is_kept_to() -> None:
    async with serving() as served, Rest(CONFIG) as rest:
        served.answers = [web.Response(text="ok", headers={"x-mbx-used-weight-1m": "9"})]
        await get(rest, f"{served.url}/depth", MINUTE)
        await get(rest, f"{served.url}/depth", MINUTE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(get(rest, f"{served.url}/depth", MINUTE), 0.3)
        assert len(served.asked) == 2


@bounded
async def test_server_errors_are_asked_again_a_bounded_number_of_times() -> None:
    async with serving() as served, Rest(CONFIG) as rest:
        served.answers = [web.Response(status=status) for status in (500, 503, 408, 425)]
        assert await get(rest, f"{served.url}/depth") == b"ok"
        served.answers = [web.Response(status=503, text="maintenance") for _ in range(9)]
        with pytest.raises(RestError, match="HTTP 503: maintenance; see whether") as caught:
            await get(rest, f"{served.url}/depth")
        assert caught.value.status == 503
        assert len(served.asked) == 10


@bounded
async def test_refusal_is_not_asked_again_and_says_what_to_do() -> None:
    async with serving() as served, Rest(CONFIG) as rest:
        served.answers = [web.Response(status=400, text='{"code":-1121,"msg":"Invalid symbol."}')]
        with pytest.raises(RestError, match=r"Invalid symbol.*still listed") as caught:
            await get(rest, f"{served.url}/depth")
        assert caught.value.status == 400
        assert len(served.asked) == 1


@bounded
async def test_answer_that_does_not_come_in_time_is_an_error() -> None:
    quick = CONFIG.model_copy(update={"connect_timeout_s": 0.05})
    async with serving() as served, Rest(quick) as rest:
        with pytest.raises(RestError, match="Timeout") as caught:
            await get(rest, f"{served.url}/slow")
        assert caught.value.status == 0
        assert len(served.asked) == 5


@bounded
async def test_server_that_comes_back_is_reached_again() -> None:
    async with serving() as served:
        port = int(served.url.rpartition(":")[2])
    patient = CONFIG.model_copy(update={"backoff_first_s": 0.4, "backoff_most_s": 0.4})
    async with Rest(patient) as rest:
        asking = asyncio.create_task(get(rest, f"http://127.0.0.1:{port}/depth"))
        await asyncio.sleep(0.1)
        async with serving(port):
            assert await asking == b"ok"


@bounded
async def test_keys_are_neither_logged_nor_in_errors() -> None:
    async with serving() as served, Rest(CONFIG) as rest:
        url = f"{served.url}/posts?public=true&auth_token=topsecret&page=2"
        served.answers = [
            web.Response(status=502),
            web.Response(status=400, text=f"no: {url}"),
        ]
        with structlog.testing.capture_logs() as logs, pytest.raises(RestError) as caught:
            await get(rest, url)
    told = f"{caught.value} {logs}"
    assert logs
    assert "topsecret" not in told
    assert "auth_token=********&page=2" in told


def test_keys_are_masked_by_their_names() -> None:
    url = "https://x.example/a?token=1&Api_Key=2&apikey=3&signature=4&secret=5&symbol=6"
    hidden = "https://x.example/a?token=*&Api_Key=*&apikey=*&signature=*&secret=*&symbol=6"
    assert masked(url) == hidden.replace("*", "********")
