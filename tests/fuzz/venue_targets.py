"""What venues and news sources send: parsers, the feed behind them, dialects of connections."""

from collections.abc import Sequence

import msgspec

from schemas import rows
from schemas.errors import TapeError
from schemas.events import Event
from tests.data import shared_data
from tests.fuzz import samples
from tests.fuzz.mutation import Case
from tests.fuzz.target import Plain
from tests.processors.batches import IDS, WRITERS
from venues.config import CollectorConfig
from venues.feed import Feed
from venues.frames import Frame
from venues.live.dialect import Request
from venues.live.dialects import dialect_of

START_US = 1_790_000_000_000_000


def encoded(events: Sequence[Event]) -> None:
    """The events as they go onto the tape: one that cannot be written stops a collector."""
    for event in events:
        rows.decode(rows.encode(event, IDS[type(event).__name__]), WRITERS)
        int(event.event_time // 1000).to_bytes(8, signed=True)  # type: ignore[attr-defined]


class FeedTarget(Plain):
    """One feed over frames of one exchange, streams and answers; its state grows within a block."""

    block = 256

    def __init__(self, exchange: str) -> None:
        self.name = f"feed-{exchange}"
        self._exchange = exchange
        self.reset()

    def seeds(self) -> Sequence[Case]:
        return samples.frames(self._exchange)

    def reset(self) -> None:
        self._feed = Feed()
        self._now = START_US
        known = (f for f in samples.model_frames() if f.request and "nstrument" in f.request)
        for frame in known:
            self._feed.receive(frame)

    def run(self, case: Case) -> None:
        venue, _, request = case.head.decode("utf-8", "replace").partition(" ")
        self._now += 1_000
        frame = Frame(venue, "fuzz", self._now, case.body, request)
        encoded(self._feed.receive(frame))
        encoded(self._feed.refused)
        self._feed.refused.clear()
        self._feed.wants_snapshot()
        if self._now % 64_000 == 0:
            encoded(self._feed.finish())


class NewsTarget(Plain):
    """Posts and index days, through the feed with its scorer."""

    name, block = "news", 256

    def __init__(self) -> None:
        self.reset()

    def seeds(self) -> Sequence[Case]:
        made = [f for f in samples.model_frames() if f.venue == "cryptopanic"][:20]
        found = [samples.case_of(frame) for frame in made]
        day = b'{"value":"40","value_classification":"Fear","timestamp":"1767225600"}'
        found.append(Case(b"alternative ", b'{"name":"x","data":[' + day + b'],"metadata":{}}'))
        post = {
            "id": 7, "title": "Up &amp; <b>up</b>", "description": "d", "url": "https://x.org/a",
            "published_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:01Z",
            "source": {"title": "S", "domain": "s.org"}, "kind": "news", "author": None,
            "instruments": [{"code": "BTC", "title": "Bitcoin"}], "content": {"clean": "more"},
            "votes": {"positive": 3, "negative": 1, "important": 0}, "panic_score": 4,
        }  # fmt: skip
        found.append(Case(b"cryptopanic ", msgspec.json.encode({"results": [post, post]})))
        for source, name in (
            ("cryptopanic", "news/cryptopanic_posts_hot_2018-01-18.json"),
            ("alternative", "fng/fear_greed_recent_2026-05.json"),
        ):
            try:
                data = (shared_data() / name).read_bytes()
            except BaseException:  # pytest's skip: no recorded data here
                continue
            found.append(Case(f"{source} ".encode(), samples.shortened(data)))
        return found

    def reset(self) -> None:
        self._feed = Feed()
        self._now = START_US

    def run(self, case: Case) -> None:
        venue, _, request = case.head.decode("utf-8", "replace").partition(" ")
        self._now += 1_000
        encoded(self._feed.receive(Frame(venue, "fuzz", self._now, case.body, request)))
        encoded(self._feed.refused)
        self._feed.refused.clear()


class DialectTarget(Plain):
    """What a connection asks of each message and answer before the feed gets it."""

    name = "dialects"

    def __init__(self) -> None:
        config = CollectorConfig()
        self._dialects = [
            dialect_of(venue, config)
            for venue in ("binance-spot", "binance-usdm", "bybit-linear", "okx-swap")
        ]

    def seeds(self) -> Sequence[Case]:
        said = (
            b'{"result":null,"id":1}', b'{"code":2,"msg":"Invalid request","id":1}',
            b'{"error":{"code":2,"msg":"x"},"id":1}', b'{"e":"serverShutdown","E":1}',
            b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"1","op":"subscribe"}',
            b'{"success":false,"ret_msg":"error","op":"subscribe"}', b'{"op":"pong"}', b"pong",
            b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"c"}',
            b'{"event":"error","code":"60012","msg":"Invalid request"}',
            b'{"event":"notice","code":"64008","msg":"will soon be closed"}',
            b'{"serverTime":1767225600000}', b'{"code":"50011","msg":"Too many","data":[]}',
            b'{"retCode":10006,"retMsg":"Too many","result":{"timeNano":"1767225600000000000"}}',
            b'{"retCode":0,"result":{"list":[],"nextPageCursor":"a%3D"},"time":1767225600000}',
            b'{"code":"0","msg":"","data":[{"ts":"1767225600000"}]}', b'{"code":-1003,"msg":"x"}',
        )  # fmt: skip
        found = [Case(b"- ", data) for data in said]
        return found + [case for one in samples.EXCHANGES for case in samples.frames(one)]

    def run(self, case: Case) -> None:
        url = case.head.decode("utf-8", "replace").partition(" ")[2]
        for dialect in self._dialects:
            for ask in (
                dialect.control,
                dialect.refusal,
                dialect.server_time_us,
                lambda data, of=dialect: of.next_page(Request(of.venue, url), data),  # type: ignore[misc]
            ):
                try:
                    ask(case.body)  # type: ignore[operator]  # of one argument each
                except TapeError:
                    continue
