"""Binance's streams: sides, kinds, contracts, times, and messages that are not what was awaited."""

import json
import math
from typing import Any

import pytest

from schemas.events import BookDelta, BookSnapshot, Event, Funding, Kline, MarkPrice, Quote, Trade
from venues.feed import Feed
from venues.frames import Frame

NOW = 1_723_161_600_000_000
T = 1_723_161_599_000
Names = dict[str, Any]


def receive(
    message: Any, venue: str = "binance-usdm", feed: Feed | None = None, request: str = ""
) -> list[Any]:
    """The events of a message, without statuses."""
    feed = feed or Feed()
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    events: list[Event] = feed.receive(Frame(venue, "one", NOW, data, request))
    assert feed.refused == [], feed.refused[0].reason
    return [event for event in events if type(event).__name__ != "FeedStatus"]


def trade(**changes: Any) -> Names:
    return {"e": "trade", "E": T, "T": T, "s": "BTCUSDT", "t": 7, "p": "60000.5", "q": "0.25",
            "X": "MARKET", "m": False} | changes  # fmt: skip


def test_buyer_is_maker_means_the_aggressor_sold() -> None:
    (sold,) = receive(trade(m=True))
    (bought,) = receive(trade(m=False))
    assert (sold.aggressor_side, bought.aggressor_side) == ("SELL", "BUY")
    assert bought == Trade(
        venue="binance-usdm", symbol="BTC-USDT", event_time=T * 1000, receive_time=NOW,
        trade_id="7", price=60000.5, quantity=0.25, aggressor_side="BUY", kind="MARKET", count=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"X": "INSURANCE_FUND", "p": "0", "q": "0"}, "INSURANCE_FUND"),
        ({"X": "ADL"}, "ADL"),
        ({"X": "NA", "p": "0", "q": "0"}, "OTHER"),
        ({"X": "MARKET", "q": "0"}, "OTHER"),
        ({"X": "MARKET", "p": "0"}, "OTHER"),
        ({"X": "SOMETHING_NEW"}, "OTHER"),
    ],
)
def test_what_did_not_happen_in_the_book_is_no_market_trade(changes: Names, kind: str) -> None:
    (event,) = receive(trade(**changes))
    assert event.kind == kind


def test_spot_trades_have_no_execution_type_and_are_market_trades() -> None:
    message = trade()
    del message["X"]
    (event,) = receive(message, "binance-spot")
    assert event.kind == "MARKET"


def test_aggregated_trades_count_their_fills() -> None:
    message = {"e": "aggTrade", "E": T, "s": "BTCUSDT", "a": 9, "p": "1", "q": "2", "f": 100,
               "l": 105, "T": T, "m": True}  # fmt: skip
    (event,) = receive(message)
    assert (event.trade_id, event.count, event.aggressor_side) == ("9", 6, "SELL")


def test_single_and_aggregated_trades_are_not_counted_twice() -> None:
    feed = Feed()
    assert len(receive({"stream": "btcusdt@trade", "data": trade()}, feed=feed)) == 1
    message = {"e": "aggTrade", "E": T, "s": "BTCUSDT", "a": 9, "p": "1", "q": "2", "f": 1,
               "l": 1, "T": T, "m": True}  # fmt: skip
    assert receive({"stream": "btcusdt@aggTrade", "data": message}, feed=feed) == []
    assert feed.ignored == {("binance-usdm", "aggTrade beside another stream of trades"): 1}


def test_coinm_quantities_are_base_units_of_contracts_at_their_price() -> None:
    (event,) = receive(trade(s="BTCUSD_PERP", p="50000.0", q="10"), "binance-coinm")
    assert (event.symbol, event.quantity) == ("BTC-USD", 10 * 100 / 50000)
    depth = {"e": "depthUpdate", "E": T, "T": T, "s": "ETHUSD_PERP", "ps": "ETHUSD", "U": 5,
             "u": 6, "pu": 4, "b": [["2500", "50"], ["2499", "0"]], "a": []}  # fmt: skip
    feed = Feed()
    receive(depth, "binance-coinm", feed)
    (delta,) = feed.finish()
    assert isinstance(delta, BookDelta)
    assert delta.bids == [(2500.0, 50 * 10 / 2500), (2499.0, 0.0)]


def test_an_instrument_list_gives_the_contract_size() -> None:
    feed = Feed()
    info = {"symbols": [{"symbol": "ETHUSD_PERP", "baseAsset": "ETH", "quoteAsset": "USD",
                         "contractType": "PERPETUAL", "contractSize": 20,
                         "contractStatus": "TRADING", "marginAsset": "ETH"}]}  # fmt: skip
    url = "https://dapi.binance.com/dapi/v1/exchangeInfo"
    (instrument,) = receive(info, "binance-coinm", feed, url)
    assert (instrument.kind, instrument.settle, instrument.contract_size) == (
        "INVERSE_PERPETUAL", "ETH", "20",
    )  # fmt: skip
    (event,) = receive(trade(s="ETHUSD_PERP", p="2000", q="1"), "binance-coinm", feed)
    assert event.quantity == 20 / 2000


def test_spot_diffs_follow_on_the_first_id_and_futures_on_pu() -> None:
    spot = {"e": "depthUpdate", "E": T, "s": "BTCUSDT", "U": 157, "u": 160, "b": [], "a": []}
    for venue, message, previous in (
        ("binance-spot", spot, 156),
        ("binance-usdm", spot | {"pu": 149, "T": T}, 149),
    ):
        feed = Feed()
        receive(message, venue, feed)
        (delta,) = feed.finish()
        assert isinstance(delta, BookDelta)
        assert (delta.previous_sequence, delta.sequence) == (previous, 160)


def test_spot_quotes_take_the_newest_event_time_of_their_connection() -> None:
    quote = {"stream": "btcusdt@bookTicker",
             "data": {"u": 5, "s": "BTCUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}}  # fmt: skip
    feed = Feed()
    (before,) = receive(quote, "binance-spot", feed)
    receive({"stream": "btcusdt@trade", "data": trade()}, "binance-spot", feed)
    (after,) = receive(quote, "binance-spot", feed)
    assert (before.event_time, after.event_time) == (NOW, T * 1000)
    (other,) = [
        event
        for event in feed.receive(Frame("binance-spot", "two", NOW, json.dumps(quote).encode()))
        if isinstance(event, Quote)
    ]
    assert other.event_time == NOW


def test_an_empty_side_of_a_quote_is_nan() -> None:
    quote = {"e": "bookTicker", "u": 5, "s": "BTCUSDT", "b": "0.00", "B": "0.00", "a": "3",
             "A": "4", "T": T, "E": T}  # fmt: skip
    (event,) = receive(quote)
    assert math.isnan(event.bid_price)
    assert (event.bid_quantity, event.ask_price) == (0.0, 3.0)


def test_mark_price_and_funding_come_in_one_message() -> None:
    message = {"e": "markPriceUpdate", "E": T, "s": "BTCUSDT", "p": "11794.15", "i": "11784.6",
               "r": "-0.0003", "T": T + 1000}  # fmt: skip
    mark, funding = receive(message)
    assert isinstance(mark, MarkPrice)
    assert isinstance(funding, Funding)
    assert (mark.index_price, funding.rate) == (11784.6, -0.0003)
    assert funding.funding_time == (T + 1000) * 1000
    dated = message | {"s": "BTCUSDT_240927", "r": "", "T": 0}
    assert [type(event) for event in receive(dated)] == [MarkPrice]


def test_streams_of_all_symbols_send_lists() -> None:
    one = {"e": "markPriceUpdate", "E": T, "s": "BTCUSDT", "p": "1", "i": "1", "r": "", "T": 0}
    message = {"stream": "!markPrice@arr", "data": [one, one | {"s": "ETHUSDT"}]}
    assert [event.symbol for event in receive(message)] == ["BTC-USDT", "ETH-USDT"]


def test_partial_depth_is_a_snapshot_of_its_stream() -> None:
    message = {"stream": "btcusdt@depth5@100ms",
               "data": {"lastUpdateId": 9, "bids": [["1", "2"]], "asks": [["3", "4"]]}}  # fmt: skip
    (event,) = receive(message, "binance-spot")
    assert isinstance(event, BookSnapshot)
    assert (event.symbol, event.sequence, event.depth) == ("BTC-USDT", 9, 1)


def test_coinm_candles_count_base_units() -> None:
    body = {"t": T, "T": T + 59_999, "s": "BTCUSD_PERP", "i": "1m", "f": 1, "L": 2, "o": "50000",
            "c": "50000", "h": "50000", "l": "50000", "v": "500", "n": 3, "x": True, "q": "1.0",
            "V": "250", "Q": "0.5", "B": "0"}  # fmt: skip
    (event,) = receive({"e": "kline", "E": T, "s": "BTCUSD_PERP", "k": body}, "binance-coinm")
    assert isinstance(event, Kline)
    assert (event.volume, event.taker_buy_volume, event.notional) == (1.0, 0.5, 50_000.0)
    assert event.closed


def test_numbers_instead_of_texts_and_unknown_fields_are_read() -> None:
    (event,) = receive(trade(p=60000.5, q=1, t="7", T=str(T), new={"field": []}))
    assert (event.price, event.quantity, event.trade_id) == (60000.5, 1.0, "7")


def test_a_message_in_place_of_data_is_ignored_by_name() -> None:
    feed = Feed()
    message = {"stream": "btcusdt@trade", "data": {"e": "serverShutdown", "E": T}}
    assert receive(message, feed=feed) == []
    assert feed.ignored == {("binance-usdm", "serverShutdown"): 1}


def test_space_between_the_parts_of_a_message_changes_nothing() -> None:
    loose = json.dumps({"stream": "btcusdt@trade", "data": trade()}, indent=2).encode()
    tight = json.dumps({"stream": "btcusdt@trade", "data": trade()}, separators=(",", ":")).encode()
    assert receive(loose) == receive(tight)


def test_a_refusal_by_rest_is_ignored_by_its_code() -> None:
    feed = Feed()
    url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT"
    assert receive({"code": -1003, "msg": "Too many"}, "binance-spot", feed, url) == []
    assert feed.ignored == {("binance-spot", "error -1003 of depth"): 1}


def test_the_running_candle_of_an_answer_is_not_closed() -> None:
    row = [T - 60_000, "1", "2", "1", "2", "5", T - 1, "9", 3, "2", "4", "0"]
    running = [T, "1", "2", "1", "2", "5", T + 59_999, "9", 3, "2", "4", "0"]
    url = "https://api.binance.com/api/v3/klines?symbol=BTCUSDT&interval=1m"
    done, still = receive([row, running], "binance-spot", None, url)
    assert (done.closed, still.closed) == (True, False)
    assert (done.event_time, still.event_time) == (T * 1000, NOW)
