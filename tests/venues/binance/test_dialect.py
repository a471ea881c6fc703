"""Binance: which stream on which path, control messages, pages of missed trades, bans."""

import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from schemas.events import Instrument, Trade
from tests.venues.live.listings import dialect, instrument
from venues.config import CHANNELS
from venues.feed import Feed
from venues.frames import Frame
from venues.live.dialect import Control, RateLimited, Request

NOW = 1_790_000_000_000_000


def btc(venue: str) -> list[Instrument]:
    return [instrument(venue, "BTC-USD" if venue == "binance-coinm" else "BTC-USDT")]


def query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def test_books_and_quotes_of_usdm_are_on_public_and_the_rest_on_market() -> None:
    plans = dialect("binance-usdm").plans(btc("binance-usdm"), CHANNELS)
    assert [(plan.name, plan.url, json.loads(plan.hello[0])["params"]) for plan in plans] == [
        ("public-1", "wss://fstream.binance.com/public/stream",
         ["btcusdt@depth@100ms", "btcusdt@bookTicker"]),
        ("market-1", "wss://fstream.binance.com/market/stream",
         ["btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@markPrice@1s"]),
    ]  # fmt: skip


def test_under_one_address_usdm_is_on_one_path() -> None:
    talk = dialect("binance-usdm", address="http://127.0.0.1:1")
    (plan,) = talk.plans(btc("binance-usdm"), CHANNELS)
    assert plan.url == "ws://127.0.0.1:1/binance-usdm/stream"


def test_names_of_streams_are_in_small_letters() -> None:
    (plan,) = dialect("binance-coinm").plans(btc("binance-coinm"), ["trades"])
    assert json.loads(plan.hello[0]) == {
        "method": "SUBSCRIBE", "params": ["btcusd_perp@aggTrade"], "id": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "means"),
    [
        (b'{"result":null,"id":1}', Control("ack", id="1")),
        (b'{"id":"a1","result":["btcusdt@aggTrade"]}', Control("ack", id="a1")),
        (b'{"code":2,"msg":"Invalid request: unknown variant","id":3}',
         Control("error", "2 Invalid request: unknown variant", "3")),
        (b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":19}',
         Control("error", "4 Too many subscriptions", "19")),
    ],
)  # fmt: skip
def test_answers_to_requests_are_told(message: bytes, means: Control) -> None:
    assert dialect("binance-spot").control(message) == means


@pytest.mark.parametrize(
    "message",
    [
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
        b'{"e":"serverShutdown","E":1770123456789}',
        b'{"event":{"e":"serverShutdown","E":1770123456789}}',
    ],
)
def test_an_announced_shutdown_is_told_in_every_form(message: bytes) -> None:
    said = dialect("binance-usdm").control(message)
    assert said is not None
    assert said.kind == "shutdown"


@pytest.mark.parametrize(
    "message",
    [
        b'{"stream":"btcusdt@trade","data":{"e":"trade"}}',
        b'{"data":{"e":"trade","s":"BTCUSDT"},"stream":"btcusdt@trade"}',
        b'{"e":"trade","s":"BTCUSDT"}',
        b'{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}',
        b'{"stream":"',
    ],
)
def test_market_data_and_pieces_of_it_are_no_control(message: bytes) -> None:
    assert dialect("binance-spot").control(message) is None


def aggregates(first: int, count: int) -> bytes:
    rows = [
        {"a": n, "p": "1", "q": "1", "f": n, "l": n, "T": NOW // 1000, "m": True}
        for n in range(first, first + count)
    ]
    return json.dumps(rows).encode()


def test_missed_trades_are_asked_from_the_next_id_on_page_by_page() -> None:
    talk = dialect("binance-spot")
    request = talk.trades("BTCUSDT", "41", NOW)
    assert query(request) == {"symbol": "BTCUSDT", "fromId": "42", "limit": "1000"}
    following = talk.next_page(request, aggregates(42, 1000))
    assert following is not None
    assert query(following) == {"symbol": "BTCUSDT", "fromId": "1042", "limit": "1000"}
    assert talk.next_page(following, aggregates(1042, 999)) is None


def test_without_a_known_id_trades_are_asked_by_time_first_and_then_by_id() -> None:
    talk = dialect("binance-usdm")
    request = talk.trades("BTCUSDT", "", NOW)
    assert query(request) == {"symbol": "BTCUSDT", "startTime": str(NOW // 1000), "limit": "1000"}
    following = talk.next_page(request, aggregates(5, 1000))
    assert following is not None
    assert query(following) == {"symbol": "BTCUSDT", "fromId": "1005", "limit": "1000"}


def test_a_streamed_trade_and_the_same_fetched_have_one_id() -> None:
    feed = Feed()
    trade = {"e": "aggTrade", "E": 1, "s": "BTCUSDT", "a": 42, "p": "1", "q": "1", "f": 42,
             "l": 42, "T": NOW // 1000, "m": True}  # fmt: skip
    message = json.dumps({"stream": "btcusdt@aggTrade", "data": trade}, separators=(",", ":"))
    streamed = feed.receive(Frame("binance-spot", "s", NOW, message.encode()))[-1]
    request = dialect("binance-spot").trades("BTCUSDT", "41", NOW)
    (fetched,) = feed.receive(Frame("binance-spot", "r", NOW, aggregates(42, 1), request.url))
    assert isinstance(streamed, Trade)
    assert isinstance(fetched, Trade)
    assert (streamed.trade_id, streamed.symbol) == (fetched.trade_id, fetched.symbol)
    assert (streamed.backfilled, fetched.backfilled) == (False, True)


def test_candles_go_on_after_a_full_answer() -> None:
    talk = dialect("binance-usdm")
    request = talk.klines("BTCUSDT", NOW)
    start = int(query(request)["startTime"])
    rows = [[start + 60_000 * n] for n in range(int(query(request)["limit"]))]
    following = talk.next_page(request, json.dumps(rows).encode())
    assert following is not None
    assert query(following)["startTime"] == str(start + 60_000 * len(rows))


def test_deep_books_weigh_more() -> None:
    weights = [dialect("binance-spot", book_depth=depth).book("X").weight  # type: ignore[union-attr]
               for depth in (20, 200, 1000, 5000)]  # fmt: skip
    assert weights == [5, 25, 50, 250]


def test_a_ban_lasts_until_the_time_that_the_venue_says() -> None:
    until = int((time.time() + 300) * 1000)
    message = f"Way too many requests; IP banned until {until}. Please use the websocket"
    found = dialect("binance-spot").refusal(f'{{"code":-1003,"msg":"{message}"}}'.encode())
    assert isinstance(found, RateLimited)
    assert found.banned
    assert found.wait_s == pytest.approx(300, abs=5)
