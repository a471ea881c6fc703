"""What all dialects have in common: depth, requests that our parsers read, messages of no form."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import VenueError
from schemas.events import BookSnapshot, Event, FeedStatus, Instrument, Kline, Trade
from tests.data import shared_data
from tests.venues import captures
from tests.venues.live.listings import NAMES, dialect, instrument, venue_symbol
from tests.venues.samples import okx_instruments
from venues.feed import Feed
from venues.frames import Frame
from venues.live.dialect import RateLimited, Request

VENUE = pytest.mark.parametrize("venue", NAMES)
NOW = 1_790_000_000_000_000
SINCE = NOW - 600_000_000
SAMPLES = "binance/py_http_responses/http_"
# Answers to trades, klines and instruments, by venue; that of klines may be made below.
TRADES = {
    "binance-spot": f"{SAMPLES}spot_market_agg_trades.json",
    "binanceus-spot": f"{SAMPLES}spot_market_agg_trades.json",
    "binance-usdm": f"{SAMPLES}futures_market_agg_trades.json",
    "binance-coinm": f"{SAMPLES}futures_market_agg_trades.json",
    "bybit-spot": "",
    "bybit-linear": "bybit/http_get_trades_recent.json",
    "okx-spot": "okx/http_get_trades.json",
    "okx-swap": "okx/http_get_trades.json",
    "okx-inverse": "okx/http_get_trades.json",
}
INSTRUMENTS = {
    "binance-spot": "binance/spot/http_json/exchange_info_response.json",
    "binanceus-spot": "binance/spot/http_json/exchange_info_response.json",
    "binance-usdm": f"{SAMPLES}futures_market_exchange_info.json",
    "bybit-spot": "bybit/http_get_instruments_spot.json",
    "bybit-linear": "bybit/http_get_instruments_linear.json",
    "okx-swap": "okx/http_get_instruments_swap.json",
    "okx-inverse": "okx/http_get_instruments_swap.json",
}


def name_of(venue: str) -> str:
    inverse = venue in ("binance-coinm", "okx-inverse")
    return venue_symbol(venue, "BTC", "USD" if inverse else "USDT")


def sample(name: str) -> bytes:
    return (shared_data() / "samples" / name).read_bytes()


def answered(venue: str, request: Request, answer: bytes) -> list[Event]:
    """The events of an answer, by way of the feed, as the collector gets them."""
    feed = Feed()
    if venue.startswith("okx"):
        for frame in okx_instruments():
            feed.receive(frame)
    events = feed.receive(Frame(venue, "rest", NOW, answer, request.url))
    assert feed.refused == [], feed.refused[0].reason
    return [event for event in events if not isinstance(event, FeedStatus)]


@VENUE
def test_missed_trades_come_as_backfilled_trades_of_the_instrument(venue: str) -> None:
    request = dialect(venue).trades(name_of(venue), "1000", SINCE)
    answer = sample(TRADES[venue]) if TRADES[venue] else spot_trades()
    if venue.startswith("okx") and venue != "okx-spot":
        answer = answer.replace(b"BTC-USDT", name_of(venue).encode())
    events = answered(venue, request, answer)
    assert events
    symbol = "BTC-USD" if venue in ("binance-coinm", "okx-inverse") else "BTC-USDT"
    for event in events:
        assert isinstance(event, Trade)
        assert (event.venue, event.symbol, event.backfilled) == (venue, symbol, True)


def spot_trades() -> bytes:
    row = {
        "execId": "2290000000061666327",
        "symbol": "BTCUSDT",
        "price": "16618.49",
        "size": "0.00012",
        "side": "Buy",
        "time": "1672052955758",
        "isBlockTrade": False,
    }
    return json.dumps({"retCode": 0, "result": {"category": "spot", "list": [row]}}).encode()


def candles(venue: str, first_ms: int, count: int) -> bytes:
    """An answer with so many one-minute candles, in the venue's order."""
    starts = [first_ms + minute * 60_000 for minute in range(count)]
    if venue.startswith("binance"):
        tail = ["3", 5, "1", "1.5", "0"]
        return json.dumps(
            [[start, "1", "2", "1", "2", "3", start + 59_999, *tail] for start in starts]
        ).encode()
    rows = [[str(start), "1", "2", "1", "2", "3", "4"] for start in reversed(starts)]
    if venue.startswith("okx"):
        rows = [[*row, "4", "1"] for row in rows]
        return json.dumps({"code": "0", "data": rows}).encode()
    result = {"category": venue.partition("-")[2], "symbol": "BTCUSDT", "list": rows}
    return json.dumps({"retCode": 0, "result": result, "time": NOW // 1000}).encode()


@VENUE
def test_candles_come_as_closed_minutes_from_the_one_that_holds_the_time(venue: str) -> None:
    talk = dialect(venue)
    request = talk.klines(name_of(venue), SINCE + 1)
    first = SINCE // 60_000_000 * 60_000
    assert str(first) in request.url or str(first - 1) in request.url
    events = answered(venue, request, candles(venue, first, 3))
    assert [type(event) for event in events] == [Kline] * 3
    for event in events:
        assert isinstance(event, Kline)
        assert (event.venue, event.interval, event.closed) == (venue, "1m", True)
    assert talk.next_page(request, candles(venue, first, 3)) is None


@pytest.mark.parametrize("venue", INSTRUMENTS)
def test_instrument_lists_are_read(venue: str) -> None:
    answer = sample(INSTRUMENTS[venue])
    events = answered(venue, dialect(venue).instruments()[0], answer)
    assert events
    assert all(isinstance(event, Instrument) for event in events)


@VENUE
def test_a_book_is_asked_for_only_where_the_stream_does_not_begin_with_it(venue: str) -> None:
    request = dialect(venue).book(name_of(venue))
    if not venue.startswith("binance"):
        assert request is None
        return
    assert request is not None
    events = answered(venue, request, sample("binance/spot/http_json/depth_response.json"))
    assert [type(event) for event in events] == [BookSnapshot]


@VENUE
@pytest.mark.parametrize(("wanted", "offered"), [(1, 50), (50, 50), (200, 200), (9_999, 1000)])
def test_depth_is_the_next_that_the_venue_offers(venue: str, wanted: int, offered: int) -> None:
    talk = dialect(venue, book_depth=wanted)
    if venue.startswith("binance"):
        request = talk.book(name_of(venue))
        assert request is not None
        limit = int(request.url.rpartition("limit=")[2])
        most = 5000 if venue.endswith("spot") else 1000
        assert min(wanted, most) <= limit <= max(100, 5 * wanted)
        return
    (plan, *_) = talk.plans([instrument(venue, "BTC-USDT")], ["book"])
    hello = plan.hello[0].decode()
    depth = (
        f"orderbook.{offered}."
        if venue.startswith("bybit")
        else ("books5" if wanted == 1 else '"books"')
    )
    assert depth in hello


@VENUE
def test_a_book_can_be_had_anew_by_snapshot_or_by_subscribing_again(venue: str) -> None:
    talk = dialect(venue)
    (plan, *_) = talk.plans([instrument(venue, "BTC-USDT")], ["book"])
    messages = talk.resubscribe_book(plan.subscriptions[0])
    if venue.startswith("binance"):
        assert messages == ()
        return
    off, on = (json.loads(message) for message in messages)
    assert (off["op"], on["op"]) == ("unsubscribe", "subscribe")
    assert off["args"] == on["args"] == json.loads(plan.hello[0])["args"]


TIMES = {
    "binance": b'{"serverTime":1499827319559}',
    "bybit": b'{"retCode":0,"retMsg":"OK","result":{"timeSecond":"1499827319",'
    b'"timeNano":"1499827319559213947"},"time":1499827319559}',
    "okx": b'{"code":"0","msg":"","data":[{"ts":"1499827319559"}]}',
}


@VENUE
def test_the_venues_clock_is_read_to_microseconds(venue: str) -> None:
    answer = next(each for name, each in TIMES.items() if venue.startswith(name))
    talk = dialect(venue)
    assert talk.server_time_us(answer) // 1000 == 1_499_827_319_559
    with pytest.raises(VenueError, match="the time was"):
        talk.server_time_us(b'{"code":"0","data":[]}')


@VENUE
def test_a_good_answer_is_no_refusal_and_a_page_of_no_form_has_no_next(venue: str) -> None:
    talk = dialect(venue)
    asked = [talk.trades(name_of(venue), "7", SINCE), talk.klines(name_of(venue), SINCE)]
    for request in [*asked, *talk.instruments(), talk.time()]:
        for broken in (b"", b"[", b"null", b"<html>", b'{"retCode":"x"}', b"[[null]]"):
            assert talk.next_page(request, broken) is None
            assert talk.refusal(broken) is None
    assert talk.refusal(candles(venue, 0, 2)) is None


REFUSALS = [
    ("binance-spot", {"code": -1121, "msg": "Invalid symbol."}, "-1121 Invalid symbol."),
    ("binance-usdm", {"code": -1003, "msg": "Too many requests; current limit is 2400"}, 60.0),
    ("bybit-spot", {"retCode": 10001, "retMsg": "params error"}, "10001 params error"),
    ("bybit-linear", {"retCode": 10006, "retMsg": "Too many visits!", "result": {}}, 5.0),
    ("okx-spot", {"code": "51001", "msg": "Instrument ID does not exist", "data": []},
     "51001 Instrument ID does not exist"),
    ("okx-swap", {"code": "50011", "msg": "Requests too frequent"}, 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("venue", "answer", "means"), REFUSALS)
def test_refusals_are_told_from_answers_and_limits_from_errors(
    venue: str, answer: dict[str, Any], means: str | float
) -> None:
    found = dialect(venue).refusal(json.dumps(answer, separators=(",", ":")).encode())
    if isinstance(means, str):
        assert found == means
    else:
        assert isinstance(found, RateLimited)
        assert (found.wait_s, found.banned) == (means, False)


@VENUE
@given(
    data=st.binary(max_size=60),
    head=st.sampled_from([b"", b'{"stream":"', b'{"topic":"', b'{"arg":{', b"{", b'{"code"']),
)
@settings(max_examples=30)
def test_no_bytes_stop_the_reading_of_control_messages(
    venue: str, data: bytes, head: bytes
) -> None:
    talk = dialect(venue)
    talk.control(head + data)
    talk.refusal(head + data)


def test_in_captures_the_acknowledgements_alone_are_control_messages() -> None:
    found: dict[str, set[str]] = {}
    for path in captures.paths():
        for frame in captures.frames(path)[:3_000]:
            if frame.request:
                continue
            said = dialect(frame.venue).control(frame.data)
            if said is not None:
                found.setdefault(frame.venue, set()).add(said.kind)
                assert b'"subscribe"' in frame.data
            else:
                assert b'"subscribe"' not in frame.data
    assert found == {"bybit-linear": {"ack"}, "bybit-spot": {"ack"}, "okx-spot": {"ack"}}
