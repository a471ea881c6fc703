"""OKX's channels: contracts, sequences, checksums, candles, and what is beside what."""

import json
from typing import Any

from schemas.events import BookDelta, BookSnapshot, FeedStatus
from venues.feed import Feed
from venues.frames import Frame

NOW = 1_790_000_000_000_000
TS = "1789999999000"


def receive(feed: Feed, message: dict[str, Any], request: str = "") -> list[Any]:
    events = feed.receive(Frame("okx-spot", "one", NOW, json.dumps(message).encode(), request))
    assert feed.refused == [], feed.refused[0].reason
    return [e for e in events if not (isinstance(e, FeedStatus) and e.status == "CONNECTED")]


def push(channel: str, name: str, *rows: Any, **more: str) -> dict[str, Any]:
    return {"arg": {"channel": channel, "instId": name}, **more, "data": list(rows)}


def book(previous: int, sequence: int, **sides: Any) -> dict[str, Any]:
    levels = {"asks": [["101", "3", "0", "1"]], "bids": [["100", "2", "0", "1"]]} | sides
    return levels | {"ts": TS, "checksum": 0, "prevSeqId": previous, "seqId": sequence}


def instruments(feed: Feed) -> None:
    row = {"instId": "ETH-USDT-SWAP", "instType": "SWAP", "ctType": "linear", "ctVal": "0.1",
           "ctMult": "1", "uly": "ETH-USDT", "settleCcy": "USDT", "tickSz": "0.01",
           "lotSz": "0.01", "minSz": "0.01", "state": "live"}  # fmt: skip
    url = "https://www.okx.com/api/v5/public/instruments?instType=SWAP"
    (event,) = receive(feed, {"code": "0", "data": [row]}, url)
    assert (event.venue, event.symbol, event.contract_size) == ("okx-swap", "ETH-USDT", "0.1")


def test_sizes_of_swaps_are_contracts_times_their_value() -> None:
    feed = Feed()
    instruments(feed)
    row = {"instId": "ETH-USDT-SWAP", "tradeId": "1", "px": "3000", "sz": "25", "side": "sell",
           "ts": TS, "count": "3"}  # fmt: skip
    (trade,) = receive(feed, push("trades", "ETH-USDT-SWAP", row))
    assert (trade.venue, trade.symbol, trade.quantity) == ("okx-swap", "ETH-USDT", 2.5)
    assert (trade.aggressor_side, trade.count) == ("SELL", 3)
    (event,) = receive(feed, push("books", "ETH-USDT-SWAP", book(-1, 7), action="snapshot"))
    assert event.bids == [(100.0, 2 * 0.1)]


def test_sizes_of_inverse_contracts_are_taken_at_their_price() -> None:
    (event,) = receive(Feed(), push("books", "BTC-USD-220527", book(-1, 7), action="snapshot"))
    assert (event.venue, event.symbol) == ("okx-inverse", "BTC-USD-220527")
    assert event.asks == [(101.0, 3 * 100 / 101)]


def test_a_contract_of_unknown_size_is_refused_with_advice() -> None:
    feed = Feed()
    data = json.dumps(push("books", "PEPE-USDT-SWAP", book(-1, 7), action="snapshot")).encode()
    assert feed.receive(Frame("okx-spot", "one", NOW, data)) == []
    (letter,) = feed.refused
    assert "instrument list" in letter.reason
    assert letter.payload == data


def test_a_book_follows_prev_seq_id() -> None:
    feed = Feed()
    (first,) = receive(feed, push("books", "BTC-USDT", book(-1, 7), action="snapshot"))
    (second,) = receive(feed, push("books", "BTC-USDT", book(7, 9), action="update"))
    assert isinstance(first, BookSnapshot)
    assert isinstance(second, BookDelta)
    assert (first.sequence, first.depth) == (7, 400)
    assert (second.previous_sequence, second.sequence) == (7, 9)


def test_empty_updates_and_resets_are_no_gaps() -> None:
    feed = Feed()
    receive(feed, push("books", "BTC-USDT", book(-1, 70), action="snapshot"))
    empty = book(70, 70, asks=[], bids=[])
    for row in (empty, book(70, 3), book(3, 5)):
        events = receive(feed, push("books", "BTC-USDT", row, action="update"))
        assert [type(event) for event in events] == [BookDelta]
    assert feed.wants_snapshot() == set()


def test_a_whole_book_with_a_wrong_checksum_is_none() -> None:
    feed = Feed()
    old = {key: value for key, value in book(0, 0).items() if "eqId" not in key}
    events = receive(feed, push("books", "BTC-USDT", old | {"checksum": 12}, action="snapshot"))
    assert [getattr(event, "status", "") for event in events] == ["", "GAP"]
    assert feed.wants_snapshot() == {("okx-spot", "BTC-USDT")}


def test_old_messages_have_no_sequence_but_a_checksum() -> None:
    feed = Feed()
    old = {key: value for key, value in book(0, 0).items() if "eqId" not in key}
    good = old | {"checksum": checksum(b"100:2:101:3")}
    (first,) = receive(feed, push("books", "BTC-USDT", good, action="snapshot"))
    assert (first.sequence, type(first)) == (0, BookSnapshot)
    more = good | {"bids": [["99.5", "1", "0", "1"]], "asks": []}
    right = more | {"checksum": checksum(b"100:2:101:3:99.5:1")}
    (second,) = receive(feed, push("books", "BTC-USDT", right, action="update"))
    assert (second.previous_sequence, second.sequence) == (-1, -1)
    events = receive(feed, push("books", "BTC-USDT", more | {"checksum": 5}, action="update"))
    assert events[0].status == "GAP"
    assert "checksum" in events[0].reason
    assert feed.wants_snapshot() == {("okx-spot", "BTC-USDT")}


def checksum(text: bytes) -> int:
    """Bit by bit, as the standard has it: not the library that the code under test uses."""
    crc = 0xFFFFFFFF
    for byte in text:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return crc - (1 << 32) if crc >= 1 << 31 else crc


def test_tickers_give_no_quote_beside_the_best_level_by_tick() -> None:
    feed = Feed()
    row = {"instId": "BTC-USDT", "askPx": "101", "askSz": "1", "bidPx": "100", "bidSz": "2",
           "ts": TS}  # fmt: skip
    assert len(receive(feed, push("tickers", "BTC-USDT", row))) == 1
    level = {"asks": [["101", "3", "0", "1"]], "bids": [], "ts": TS, "seqId": 5}
    (quote,) = receive(feed, push("bbo-tbt", "BTC-USDT", level))
    assert (quote.ask_price, quote.bid_quantity, quote.sequence) == (101.0, 0.0, 5)
    assert receive(feed, push("tickers", "BTC-USDT", row)) == []
    assert feed.ignored == {("okx-spot", "tickers beside bbo-tbt"): 1}


def test_candles_of_derivatives_count_base_units() -> None:
    feed = Feed()
    row = ["1789999920000", "1", "4", "1", "2", "5000", "50", "150000", "1"]
    (spot,) = receive(feed, push("candle1m", "BTC-USDT", row))
    (inverse,) = receive(feed, push("candle1H", "BTC-USD-SWAP", row))
    assert (spot.volume, spot.notional, spot.closed) == (5000.0, 150000.0, True)
    assert (inverse.volume, inverse.interval) == (50.0, "1h")
    assert spot.event_time == 1_789_999_980_000_000


def test_options_are_ignored_by_name() -> None:
    feed = Feed()
    assert receive(feed, push("trades", "BTC-USD-220527-30000-C", {"x": 1})) == []
    assert feed.ignored == {("okx-spot", "trades of options"): 1}
