"""Bybit: topics by category, control messages of each service, pages."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.venues.live.listings import dialect, instrument
from venues.config import CHANNELS
from venues.live.dialect import Control, Request

NOW = 1_790_000_000_000_000


def query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


@pytest.mark.parametrize(
    ("venue", "more"), [("bybit-spot", []), ("bybit-linear", ["tickers.BTCUSDT"])]
)
def test_topics_of_an_instrument_by_category(venue: str, more: list[str]) -> None:
    (plan,) = dialect(venue).plans([instrument(venue, "BTC-USDT")], CHANNELS)
    assert plan.url == f"wss://stream.bybit.com/v5/public/{venue.partition('-')[2]}"
    assert json.loads(plan.hello[0]) == {
        "req_id": "1",
        "op": "subscribe",
        "args": ["publicTrade.BTCUSDT", "orderbook.200.BTCUSDT", "orderbook.1.BTCUSDT",
                 "kline.1.BTCUSDT", *more],
    }  # fmt: skip


def test_a_ping_is_sent_in_the_venues_own_form() -> None:
    limits = dialect("bybit-spot").limits
    assert json.loads(limits.ping) == {"op": "ping"}
    assert limits.ping_every_s <= 20


@pytest.mark.parametrize(
    ("message", "means"),
    [
        # Spot, linear and inverse, option: their pongs differ.
        (b'{"success":true,"ret_msg":"pong","conn_id":"0970","op":"ping"}', Control("pong")),
        (b'{"success":true,"ret_msg":"pong","conn_id":"46","req_id":"7","op":"ping"}',
         Control("pong", id="7")),
        (b'{"args":["1672916271846"],"op":"pong"}', Control("pong")),
        (b'{"success":true,"ret_msg":"subscribe","conn_id":"23","req_id":"1","op":"subscribe"}',
         Control("ack", "subscribe", "1")),
        (b'{"success":true,"ret_msg":"","conn_id":"3c","req_id":"","op":"subscribe"}',
         Control("ack")),
        (b'{"success":false,"ret_msg":"Invalid topic: invalid.topic.BTCUSDT","conn_id":"c",'
         b'"op":"subscribe"}', Control("error", "Invalid topic: invalid.topic.BTCUSDT")),
        (b'{"success":true,"conn_id":"aa","data":{"failTopics":[],"successTopics":["a"]},'
         b'"type":"COMMAND_RESP"}', Control("ack")),
    ],
)  # fmt: skip
def test_control_messages_of_every_service_are_told(message: bytes, means: Control) -> None:
    assert dialect("bybit-linear").control(message) == means


@pytest.mark.parametrize(
    "message",
    [
        b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[]}',
        b'{"type":"snapshot","topic":"kline.1.BTCUSDT","data":[],"ts":1}',
        b'{"topic":"',
    ],
)
def test_market_data_is_no_control(message: bytes) -> None:
    assert dialect("bybit-spot").control(message) is None


def test_trades_are_as_many_as_the_category_gives() -> None:
    asked = {
        v: query(dialect(v).trades("BTCUSDT", "x", NOW)) for v in ("bybit-spot", "bybit-linear")
    }
    assert asked["bybit-spot"] == {"category": "spot", "symbol": "BTCUSDT", "limit": "60"}
    assert asked["bybit-linear"] == {"category": "linear", "symbol": "BTCUSDT", "limit": "1000"}


def test_instruments_go_on_where_the_cursor_says() -> None:
    talk = dialect("bybit-linear")
    (request,) = talk.instruments()
    page = {"retCode": 0, "result": {"list": [], "nextPageCursor": "first%3DA&B=1"}}
    following = talk.next_page(request, json.dumps(page).encode())
    assert following is not None
    assert query(following) == {**query(request), "cursor": "first%3DA&B=1"}
    page["result"]["nextPageCursor"] = ""  # type: ignore[index]  # it is a dict
    assert talk.next_page(following, json.dumps(page).encode()) is None


def test_candles_are_asked_in_spans_that_an_answer_holds_whole() -> None:
    talk = dialect("bybit-spot")
    request = talk.klines("BTCUSDT", NOW)
    start, end = int(query(request)["start"]), int(query(request)["end"])
    assert (end - start + 1) // 60_000 == int(query(request)["limit"])
    rows = [[str(start + 60_000 * n)] for n in reversed(range(1000))]
    following = talk.next_page(
        request, json.dumps({"retCode": 0, "result": {"list": rows}}).encode()
    )
    assert following is not None
    assert int(query(following)["start"]) == end + 1
