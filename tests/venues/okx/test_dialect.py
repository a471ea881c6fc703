"""OKX: channels by service, control messages, paging back to what is known."""

import json
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from schemas.events import Trade
from tests.venues.live.listings import dialect, instrument
from venues.config import CHANNELS
from venues.feed import Feed
from venues.frames import Frame
from venues.live.dialect import Control, Request

NOW = 1_790_000_000_000_000


def query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


@pytest.mark.parametrize(
    ("venue", "name", "more"),
    [
        ("okx-spot", "BTC-USDT", []),
        ("okx-swap", "BTC-USDT-SWAP", ["mark-price", "funding-rate"]),
    ],
)
def test_trades_and_candles_are_on_business_the_rest_on_public(
    venue: str, name: str, more: list[str]
) -> None:
    plans = dialect(venue).plans([instrument(venue, "BTC-USDT")], CHANNELS)
    said = {plan.url: json.loads(plan.hello[0])["args"] for plan in plans}
    assert said == {
        "wss://ws.okx.com:8443/ws/v5/public": [
            {"channel": channel, "instId": name} for channel in ["books", "bbo-tbt", *more]
        ],
        "wss://ws.okx.com:8443/ws/v5/business": [
            {"channel": channel, "instId": name} for channel in ["trades-all", "candle1m"]
        ],
    }


def test_a_dated_contract_has_no_funding() -> None:
    perpetual = instrument("okx-swap", "BTC-USDT-261225", kind="LINEAR_FUTURE")
    dated = msgspec.structs.replace(perpetual, venue_symbol="BTC-USDT-261225")
    (plan,) = dialect("okx-swap").plans([dated], ["mark"])
    assert [each["channel"] for each in json.loads(plan.hello[0])["args"]] == ["mark-price"]


@pytest.mark.parametrize(
    ("message", "means"),
    [
        (b"pong", Control("pong")),
        (b'{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},'
         b'"connId":"a4d3ae55"}', Control("ack", id="1512")),
        (b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}', Control("ack")),
        (b'{"id":"1","event":"error","code":"60018","msg":"Wrong URL or channel","connId":"a"}',
         Control("error", "60018 Wrong URL or channel", "1")),
        (b'{"event":"notice","code":"64008","msg":"The connection will soon be closed for a '
         b'service upgrade. Please reconnect.","connId":"a4d3ae55"}',
         Control("shutdown", "64008 The connection will soon be closed for a service upgrade. "
                 "Please reconnect.")),
        (b'{"event":"channel-conn-count","channel":"orders","connCount":"2"}',
         Control("notice", "")),
    ],
)  # fmt: skip
def test_control_messages_are_told(message: bytes, means: Control) -> None:
    assert dialect("okx-spot").control(message) == means


def test_market_data_is_no_control() -> None:
    for message in (b'{"arg":{"channel":"trades-all","instId":"A"},"data":[]}', b'{"arg":{', b"{}"):
        assert dialect("okx-spot").control(message) is None


def fills(newest: int, count: int) -> bytes:
    rows = [
        {"instId": "BTC-USDT", "tradeId": str(n), "px": "1", "sz": "1", "side": "buy", "ts": "1"}
        for n in range(newest, newest - count, -1)
    ]
    return json.dumps({"code": "0", "data": rows}).encode()


def test_missed_trades_are_paged_back_to_the_known_one() -> None:
    talk = dialect("okx-spot")
    request = talk.trades("BTC-USDT", "1000", NOW)
    asked = {"instId": "BTC-USDT", "type": "1", "before": "1000", "limit": "100"}
    assert query(request) == asked
    following = talk.next_page(request, fills(1250, 100))
    assert following is not None
    assert query(following) == {**asked, "after": "1151"}
    last = talk.next_page(following, fills(1150, 100))
    assert last is not None
    assert query(last) == {**asked, "after": "1051"}
    assert talk.next_page(last, fills(1050, 50)) is None


def test_no_page_is_asked_where_the_answer_just_reaches_the_known_trade() -> None:
    talk = dialect("okx-spot")
    request = talk.trades("BTC-USDT", "1000", NOW)
    assert talk.next_page(request, fills(1100, 100)) is None


def test_without_a_known_trade_one_page_is_asked() -> None:
    talk = dialect("okx-spot")
    assert talk.next_page(talk.trades("BTC-USDT", "", NOW), fills(1100, 100)) is None


def test_candles_are_paged_back_to_the_minute_that_holds_the_time() -> None:
    talk = dialect("okx-swap")
    request = talk.klines("BTC-USDT-SWAP", NOW)
    before = int(query(request)["before"])
    newest = before + 1 + 400 * 60_000
    rows = [[str(newest - 60_000 * n)] for n in range(300)]
    following = talk.next_page(request, json.dumps({"code": "0", "data": rows}).encode())
    assert following is not None
    assert int(query(following)["after"]) == newest - 299 * 60_000


def test_a_streamed_fill_and_the_same_fetched_have_one_id() -> None:
    feed = Feed()
    row = json.loads(fills(42, 1))["data"][0]
    arg = {"channel": "trades-all", "instId": "BTC-USDT"}
    message = json.dumps({"arg": arg, "data": [row]}, separators=(",", ":")).encode()
    streamed = feed.receive(Frame("okx-spot", "business-1#1", NOW, message))[-1]
    request = dialect("okx-spot").trades("BTC-USDT", "41", NOW)
    (fetched,) = feed.receive(Frame("okx-spot", "rest", NOW, fills(42, 1), request.url))
    assert isinstance(streamed, Trade)
    assert isinstance(fetched, Trade)
    assert (streamed.trade_id, streamed.count) == (fetched.trade_id, fetched.count) == ("42", 1)
    assert (streamed.backfilled, fetched.backfilled) == (False, True)


def test_few_levels_come_whole_every_time() -> None:
    (plan,) = dialect("okx-spot", book_depth=5).plans(
        [instrument("okx-spot", "BTC-USDT")], ["book"]
    )
    assert json.loads(plan.hello[0])["args"][0]["channel"] == "books5"
