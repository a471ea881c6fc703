"""Bybit's topics: books, the best level, tickers that hold only what changed, trades."""

import json
from typing import Any

from schemas.events import BookDelta, BookSnapshot, FeedStatus, Funding, MarkPrice, Quote
from venues.feed import Feed
from venues.frames import Frame

NOW = 1_786_310_819_000_000
TS = 1_786_310_819_000


def receive(feed: Feed, message: dict[str, Any], venue: str = "bybit-linear") -> list[Any]:
    events = feed.receive(Frame(venue, venue, NOW, json.dumps(message).encode()))
    assert feed.refused == [], feed.refused[0].reason
    return [e for e in events if not (isinstance(e, FeedStatus) and e.status == "CONNECTED")]


def book(kind: str, u: int, depth: int = 50, **sides: Any) -> dict[str, Any]:
    data = {"s": "BTCUSDT", "b": [], "a": [], "u": u, "seq": 1} | sides
    return {"topic": f"orderbook.{depth}.BTCUSDT", "type": kind, "ts": TS, "data": data,
            "cts": TS - 2}  # fmt: skip


def ticker(kind: str, **fields: str) -> dict[str, Any]:
    return {"topic": "tickers.BTCUSDT", "type": kind, "ts": TS, "cs": 5,
            "data": {"symbol": "BTCUSDT"} | fields}  # fmt: skip


def test_a_book_begins_with_a_snapshot_and_has_the_engines_time() -> None:
    feed = Feed()
    (first,) = receive(feed, book("snapshot", 10, b=[["1", "2"]]))
    (second,) = receive(feed, book("delta", 11, a=[["3", "4"]]))
    assert isinstance(first, BookSnapshot)
    assert isinstance(second, BookDelta)
    assert (first.depth, first.event_time) == (50, (TS - 2) * 1000)
    assert (second.previous_sequence, second.sequence) == (10, 11)


def test_an_update_id_of_one_is_a_snapshot_whatever_it_is_called() -> None:
    feed = Feed()
    receive(feed, book("snapshot", 10))
    (event,) = receive(feed, book("delta", 1, b=[["1", "2"]]))
    assert isinstance(event, BookSnapshot)
    assert [type(event) for event in receive(feed, book("delta", 2))] == [BookDelta]


def test_two_depths_of_a_book_are_not_mixed() -> None:
    feed = Feed()
    receive(feed, book("snapshot", 10))
    assert receive(feed, book("snapshot", 900, depth=200)) == []
    assert feed.ignored == {("bybit-linear", "orderbook.200 beside another depth"): 1}


def test_the_same_name_on_spot_and_linear_is_two_books() -> None:
    feed = Feed()
    receive(feed, book("snapshot", 10))
    receive(feed, book("snapshot", 70), "bybit-spot")
    assert len(receive(feed, book("delta", 11))) == 1
    assert len(receive(feed, book("delta", 71), "bybit-spot")) == 1
    assert feed.wants_snapshot() == set()


def test_the_best_level_follows_its_changes() -> None:
    feed = Feed()
    (first,) = receive(feed, book("snapshot", 10, 1, b=[["100", "1"]], a=[["101", "2"]]))
    (second,) = receive(feed, book("delta", 11, 1, b=[["99", "5"], ["100", "0"]]))
    (third,) = receive(feed, book("delta", 12, 1, a=[["101", "7"]]))
    assert (first.bid_price, first.ask_price, first.sequence) == (100.0, 101.0, 10)
    assert (second.bid_price, second.bid_quantity, second.ask_quantity) == (99.0, 5.0, 2.0)
    assert (third.bid_price, third.ask_quantity) == (99.0, 7.0)


def test_the_repeated_snapshot_of_level_one_is_a_quote_again() -> None:
    feed = Feed()
    message = book("snapshot", 10, 1, b=[["100", "1"]], a=[["101", "2"]])
    assert receive(feed, message) == receive(feed, message)


def test_a_missing_update_of_level_one_is_told_and_leaves_the_book_alone() -> None:
    feed = Feed()
    receive(feed, book("snapshot", 500))
    receive(feed, book("snapshot", 10, 1, b=[["100", "1"]], a=[["101", "2"]]))
    (status,) = receive(feed, book("delta", 12, 1, b=[["100", "3"]]))
    assert (status.status, status.channel) == ("OTHER", "quotes")
    assert receive(feed, book("delta", 13, 1, b=[["100", "4"]])) == []
    assert feed.ignored == {("bybit-linear", "orderbook.1 update without its snapshot"): 1}
    (quote,) = receive(feed, book("snapshot", 20, 1, b=[["100", "1"]], a=[["101", "2"]]))
    assert isinstance(quote, Quote)
    assert feed.wants_snapshot() == set()


def test_ticker_changes_are_read_over_what_was_before() -> None:
    feed = Feed()
    whole = receive(feed, ticker(
        "snapshot", bid1Price="100", bid1Size="1", ask1Price="101", ask1Size="2", markPrice="100.5",
        indexPrice="100.4", fundingRate="0.0001", nextFundingTime=str(TS), fundingIntervalHour="8",
    ))  # fmt: skip
    assert [type(event) for event in whole] == [Quote, MarkPrice, Funding]
    assert (whole[2].funding_time, whole[2].interval_hours) == (TS * 1000, 8.0)
    (quote,) = receive(feed, ticker("delta", ask1Size="9"))
    assert (quote.bid_price, quote.ask_quantity, quote.sequence) == (100.0, 9.0, -1)
    (mark,) = receive(feed, ticker("delta", indexPrice="99"))
    assert (mark.mark_price, mark.index_price) == (100.5, 99.0)
    assert receive(feed, ticker("delta", volume24h="5")) == []


def test_tickers_give_no_quote_beside_the_best_level() -> None:
    feed = Feed()
    receive(feed, book("snapshot", 10, 1, b=[["100", "1"]], a=[["101", "2"]]))
    whole = receive(feed, ticker("snapshot", bid1Price="100", bid1Size="1", ask1Price="101",
                                 ask1Size="2", markPrice="100.5"))  # fmt: skip
    assert [type(event) for event in whole] == [MarkPrice]


def test_block_trades_are_marked() -> None:
    row = {"T": TS, "s": "BTCUSDT", "S": "Sell", "v": "1", "p": "2", "i": "x", "BT": True}
    message = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": TS,
               "data": [row, row | {"BT": False, "S": "Buy"}]}  # fmt: skip
    block, plain = receive(Feed(), message)
    assert (block.kind, block.aggressor_side) == ("BLOCK", "SELL")
    assert (plain.kind, plain.aggressor_side) == ("MARKET", "BUY")
