"""News polled over real HTTP: caching, paging back, waiting, and a key that shows nowhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from schemas.errors import ConfigError
from schemas.events import News, SentimentIndex
from venues.config import CollectorConfig, NewsConfig
from venues.feed import Feed
from venues.frames import Frame
from venues.live import news
from venues.live.backoff import Backoff
from venues.live.news import CryptoPanic, FearGreed, Poller, pollers
from venues.live.rest import Rest

KEY = "k3y+of/secret="


@dataclass
class Service:
    """CryptoPanic and the index, as far as a poller sees them; newest post first."""

    posts: list[int] = field(default_factory=list)
    titles: dict[int, str] = field(default_factory=dict)
    days: list[tuple[int, int]] = field(default_factory=lambda: [(1_767_225_600, 23)])
    until_update: int | None = 50
    status: int = 200
    asked: list[web.Request] = field(default_factory=list)
    per_page: int = 3
    body: bytes = b""

    async def answer_posts(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.status != 200:
            # The service, or a proxy before it, may repeat what it was asked.
            return web.Response(status=self.status, text=f"no: {request.path_qs}")
        if self.body:
            return web.Response(body=self.body)
        page = int(request.query.get("page", 1))
        there = self.posts[(page - 1) * self.per_page : page * self.per_page]
        more = len(self.posts) > page * self.per_page
        following = f"https://x/?auth_token={request.query.get('auth_token')}&page={page + 1}"
        return web.json_response(
            {
                "next": following if more else None,
                "results": [
                    {
                        "id": number,
                        "title": self.titles.get(number, f"Post {number}"),
                        "published_at": "2026-01-01T00:00:00Z",
                    }
                    for number in there
                ],
            }
        )

    async def answer_index(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        limit = int(request.query["limit"]) or len(self.days)
        data: list[dict[str, str]] = [
            {"value": str(value), "value_classification": "Fear", "timestamp": str(timestamp)}
            for timestamp, value in self.days[:limit]
        ]
        if self.until_update is not None:
            data[0]["time_until_update"] = str(self.until_update)
        return web.json_response({"name": "…", "data": data, "metadata": {"error": None}})


@dataclass
class Run:
    """A poller of that service, and what came of it."""

    service: Service
    rest: Rest
    config: CollectorConfig
    frames: list[Frame] = field(default_factory=list)
    feed: Feed = field(default_factory=Feed)

    def poller(self, source: type[CryptoPanic] | type[FearGreed] = CryptoPanic) -> Poller:
        backoff = Backoff(10.0, 40.0, lambda: 1.0)
        return Poller(source(self.config), self.rest, self.frames.append, backoff)

    def news(self) -> list[str]:
        """Titles of the events of the frames that are new since the last call."""
        events = [event for frame in self.frames for event in self.feed.receive(frame)]
        self.frames.clear()
        return [event.title for event in events if isinstance(event, News)]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Run]:
    service = Service()
    app = web.Application()
    for path in ("/cryptopanic/api/growth/v2/posts/", "/cryptopanic/api/v1/posts/"):
        app.router.add_get(path, service.answer_posts)
    app.router.add_get("/alternative/fng/", service.answer_index)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    given = {"cryptopanic": True, "cryptopanic_plan": "growth", "cryptopanic_key": KEY, **settings}
    config = CollectorConfig(
        address=f"http://{host}:{port}", backoff_first_s=0.01, backoff_most_s=0.01,
        news=NewsConfig(**given),
    )  # fmt: skip
    try:
        async with Rest(config) as rest:
            yield Run(service, rest, config)
    finally:
        await runner.cleanup()


def test_both_apis_are_asked_at_their_addresses() -> None:
    async def check(api: str, path: str) -> None:
        async with running(cryptopanic_api=api, currencies=("BTC", "ETH")) as run:
            run.service.posts = [2, 1]
            await run.poller().poll()
            (asked,) = run.service.asked
            assert asked.path == path
            assert asked.query["auth_token"] == KEY
            assert asked.query["currencies"] == "BTC,ETH"
            assert asked.query["public"] == "true"
            assert run.news() == ["Post 1", "Post 2"]

    asyncio.run(check("v2", "/cryptopanic/api/growth/v2/posts/"))
    asyncio.run(check("v1", "/cryptopanic/api/v1/posts/"))


def test_outside_addresses_are_the_services_own() -> None:
    config = CollectorConfig(news=NewsConfig(cryptopanic_key=KEY))  # type: ignore[arg-type]  # as the settings read it
    asked: list[str] = []

    async def get(url: str) -> news.Answer:
        asked.append(url.partition("?")[0])
        return news.Answer(url, b"{}", 0)

    async def poll() -> None:
        await CryptoPanic(config).poll(get)
        await FearGreed(config).poll(get)

    asyncio.run(poll())
    assert asked == [
        "https://cryptopanic.com/api/developer/v2/posts/",
        "https://api.alternative.me/fng/",
    ]


def test_same_answer_is_no_frame_and_an_edit_is() -> None:
    async def check() -> None:
        async with running() as run:
            run.service.posts = [2, 1]
            poller = run.poller()
            await poller.poll()
            assert run.news() == ["Post 1", "Post 2"]
            await poller.poll()
            assert run.frames == []
            run.service.titles[1] = "Post 1, corrected"
            await poller.poll()
            assert len(run.frames) == 1
            assert run.news() == ["Post 1, corrected"]

    asyncio.run(check())


def test_pages_are_read_back_to_the_last_post_known_and_come_oldest_first() -> None:
    async def check() -> None:
        async with running() as run:
            run.service.posts = list(range(5, 0, -1))
            poller = run.poller()
            await poller.poll()
            # At the start nothing is known: one page.
            assert run.news() == ["Post 3", "Post 4", "Post 5"]
            run.service.posts = list(range(12, 0, -1))
            await poller.poll()
            assert run.news() == [f"Post {number}" for number in range(6, 13)]
            assert [request.query.get("page") for request in run.service.asked[1:]] == [
                None, "2", "3",
            ]  # fmt: skip
            await poller.poll()
            assert run.news() == []

    asyncio.run(check())


def test_paging_back_is_bounded_and_says_that_posts_were_missed() -> None:
    async def check() -> None:
        async with running(pages=2) as run:
            run.service.posts = [1]
            poller = run.poller()
            await poller.poll()
            assert run.news() == ["Post 1"]
            run.service.posts = list(range(100, 0, -1))
            with capture_logs() as logs:
                await poller.poll()
            assert [entry["event"] for entry in logs] == ["news_missed"]
            assert run.news() == [f"Post {number}" for number in range(95, 101)]

    asyncio.run(check())


def test_failed_poll_waits_longer_each_time_and_loses_nothing() -> None:
    async def check() -> None:
        async with running() as run:
            run.service.posts = [1]
            poller = run.poller()
            assert await poller.poll() == news.SIMULATOR_POLL_S
            run.service.status = 403
            assert [await poller.poll() for _ in range(4)] == [10.0, 20.0, 40.0, 40.0]
            assert "403" in poller.failed
            run.service.status, run.service.posts = 200, list(range(6, 0, -1))
            assert await poller.poll() == news.SIMULATOR_POLL_S
            assert poller.failed == ""
            assert run.news() == [f"Post {number}" for number in range(1, 7)]
            run.service.status = 403
            assert await poller.poll() == 10.0

    asyncio.run(check())


def test_key_that_is_refused_at_the_start_is_a_config_error_and_later_is_not() -> None:
    async def check() -> None:
        async with running() as run:
            run.service.status = 401
            with pytest.raises(ConfigError, match="refused the key") as raised:
                await run.poller().poll()
            assert KEY not in str(raised.value)
            run.service.status = 200
            poller = run.poller()
            await poller.poll()
            run.service.status = 401
            assert await poller.poll() == 10.0

    asyncio.run(check())


def test_missing_key_is_refused_at_the_start_and_says_where_it_goes() -> None:
    config = CollectorConfig(news=NewsConfig(cryptopanic=True))
    with pytest.raises(ConfigError, match=r"collector\.news\.cryptopanic_key"):
        CryptoPanic(config)
    CryptoPanic(config.model_copy(update={"address": "http://127.0.0.1:1"}))


def test_key_is_in_no_frame_no_log_and_no_error() -> None:
    async def check() -> None:
        async with running() as run:
            run.service.posts = list(range(9, 0, -1))
            run.service.titles[9] = f"it is {KEY}"
            poller = run.poller()
            with capture_logs() as logs:
                await poller.poll()
                frames = list(run.frames)
                # An answer that cannot be read goes whole onto the tape, as a dead letter.
                run.service.body = json.dumps({"next": f"?auth_token={KEY}"}).encode()
                await poller.poll()
                run.news()
                for status in (403, 500):
                    run.service.status = status
                    await poller.poll()
                    assert str(status) in poller.failed
            told = [repr(frames), repr(logs), poller.failed, repr(run.feed.refused)]
            assert len(frames) == 1
            assert run.feed.refused
            for text in told:
                assert KEY not in text
                assert "k3y" not in text
            assert "auth_token=********" in frames[0].request
            assert b"auth_token=********&page=2" in frames[0].data

    asyncio.run(check())


def test_garbage_is_handed_on_to_be_refused_and_does_not_end_polling() -> None:
    async def check() -> None:
        async with running() as run:
            poller = run.poller()
            for body in (b"\xff\xfe not JSON", b"[]", b'{"results": [{"id": []}]}'):
                run.service.body = body
                await poller.poll()
                assert run.frames[-1].data == body
            assert run.news() == []
            assert len(run.feed.refused) == 3

    asyncio.run(check())


def values(run: Run) -> list[float]:
    events = [event for frame in run.frames for event in run.feed.receive(frame)]
    run.frames.clear()
    return [event.value for event in events if isinstance(event, SentimentIndex)]


def test_index_is_read_with_its_history_once_and_with_corrections() -> None:
    async def check() -> None:
        async with running(fear_greed_days=0) as run:
            service = run.service
            service.days = [(1_767_225_600 - 86_400 * back, 50 - back) for back in range(10)]
            poller = run.poller(FearGreed)
            await poller.poll()
            assert values(run) == [float(value) for value in range(41, 51)]
            await poller.poll()
            assert values(run) == []
            service.days[1] = (service.days[1][0], 11)
            await poller.poll()
            assert values(run) == [11.0]
            assert [request.query["limit"] for request in service.asked] == ["0", "2", "2"]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("until_update", "wait_s"), [(600, 605.0), (0, 60.0), (80_000, 3_600.0), (None, 3_600.0)]
)
def test_index_is_asked_when_it_says_it_changes(until_update: int | None, wait_s: float) -> None:
    async def check() -> None:
        async with running() as run:
            run.service.until_update = until_update
            assert await run.poller(FearGreed).poll() == wait_s

    asyncio.run(check())


@pytest.mark.parametrize(
    ("settings", "wait_s"),
    [
        ({}, 28_800.0),  # 100 requests a month are one in 7.2 hours
        ({"cryptopanic_plan": "enterprise"}, 60.0),
        ({"poll_s": 12.0}, 12.0),
    ],
)
def test_default_interval_is_what_the_plan_lasts_for(
    settings: dict[str, Any], wait_s: float
) -> None:
    config = CollectorConfig(news=NewsConfig(cryptopanic_key=KEY, **settings))  # type: ignore[arg-type]  # as above
    assert CryptoPanic(config).wait_s == wait_s


def test_pollers_run_side_by_side_until_they_are_cancelled() -> None:
    async def check() -> None:
        async with running(poll_s=0.01) as run:
            run.service.posts = [1]
            found = pollers(run.config, run.rest, run.frames.append)
            assert [poller.source.venue for poller in found] == ["cryptopanic", "alternative"]
            tasks = [asyncio.create_task(poller.run()) for poller in found]
            async with asyncio.timeout(5):
                while len(run.service.asked) < 4:
                    await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert {frame.venue for frame in run.frames} == {"cryptopanic", "alternative"}

    asyncio.run(check())


def test_nothing_is_polled_that_is_not_wanted() -> None:
    async def check() -> None:
        async with running(cryptopanic=False, fear_greed=False) as run:
            assert pollers(run.config, run.rest, run.frames.append) == []

    asyncio.run(check())
