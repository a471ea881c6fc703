"""Every capture and sample parses; what is not taken is named; no gap is announced falsely."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from schemas.events import FeedStatus
from tests.venues import captures, samples
from venues.feed import Feed

# Two files among the samples are pieces of a message, of which nothing can be said.
PIECES = {"okx/common_optional_string_to_u64.json", "okx/ws_opt_summary.json"}
# Kinds of the venues' messages that are taken, as the message itself names them.
TAKEN = {
    "binance": re.compile(
        r"trade|aggTrade|depthUpdate|bookTicker|kline|markPriceUpdate"
    ),
    "bybit": re.compile(r"publicTrade\..*|trade\..*|orderbook\.\d+\..*|kline\..*"),
    "okx": re.compile(
        r"trades|trades-all|books5?|bbo-tbt|tickers|mark-price|funding-rate|candle.*|instruments"
    ),
}  # fmt: skip
STREAMS = {
    "depth": "BookDelta", "bookTicker": "Quote", "trade": "Trade", "aggTrade": "Trade",
    "kline_1m": "Kline", "orderbook": "BookDelta", "publicTrade": "Trade", "kline": "Kline",
    "books": "BookDelta", "trades": "Trade", "tickers": "Quote",
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, int]]:
    return samples.table()


def test_every_capture_and_sample_is_parsed_to_what_the_table_says(
    table: dict[str, dict[str, int]],
) -> None:
    """The table is made by `python -m tests.venues.samples`."""
    assert table == json.loads(samples.TABLE.read_text())


def test_nothing_is_refused_but_pieces_of_messages(table: dict[str, dict[str, int]]) -> None:
    refused = {
        name for name, found in table.items() if any(": " in at for at in found if "refused" in at)
    }
    assert refused == PIECES


def test_every_example_of_a_taken_kind_becomes_events(table: dict[str, dict[str, int]]) -> None:
    missing = []
    seen: Counter[str] = Counter()
    for name, exchange, data in samples.examples():
        message = json.loads(data)
        kind = _kind(message) if isinstance(message, dict) else ""
        asked = (
            name in samples.REQUESTS
            and "option" not in name
            and "inverse" not in str(samples.REQUESTS[name])
        )
        if not asked and not (kind and TAKEN[exchange].fullmatch(kind)):
            continue
        if "summary" in name or "index_price" in name or "tickers.mdx 1" in name:
            continue
        if "instrument.mdx" in name:  # the document's example is of options
            continue
        seen[exchange] += 1
        records = [at for at in table[name] if "ignored" not in at and "refused" not in at]
        if not any(not at.endswith("FeedStatus") for at in records):
            missing.append(name)
    assert missing == []
    assert seen["binance"] > 25
    assert seen["bybit"] > 8
    assert seen["okx"] > 25


def _kind(message: dict[str, object]) -> str:
    """The kind that a streamed message names itself; "" for answers, requests and the like."""
    if "event" in message or "op" in message or "method" in message:
        return ""
    within = message.get("data")
    if "stream" in message and isinstance(within, dict):
        message = within
    argument = message.get("arg")
    channel = argument.get("channel", "") if isinstance(argument, dict) else ""
    return str(message.get("e") or message.get("topic") or channel)


@pytest.mark.parametrize("path", captures.paths(), ids=lambda path: path.name)
def test_a_capture_has_as_many_events_as_messages_of_each_stream(path: Path) -> None:
    frames = captures.frames(path)
    expected: Counter[str] = Counter()
    for frame in frames:
        if frame.request:
            continue
        named = re.search(rb'"(?:stream|topic|channel)":"([^"]+)"', frame.data[:80])
        if named is None or b'"event"' in frame.data:
            continue
        kind = re.sub(r".*@(?=[a-z])|@\d.*|\..*", "", _stream(named[1].decode()))
        expected[STREAMS[kind]] += _messages(frame.data, kind)
    feed = Feed()
    for frame in frames:
        feed.receive(frame)
    feed.finish()
    found: Counter[str] = Counter()
    for (_, _, record), number in feed.counts.items():
        found[record] += number
    for record in ("Trade", "Kline"):
        assert found[record] == expected[record], record
    if "bybit" not in path.name:  # its tickers hold only what changed
        assert found["Quote"] == expected["Quote"]
        requested = sum(bool(frame.request and "depth" in frame.request) for frame in frames)
        assert found["BookDelta"] + found["BookSnapshot"] - requested == expected["BookDelta"]
    else:
        assert found["BookDelta"] + found["BookSnapshot"] == expected["BookDelta"]
    assert feed.refused == []


def _stream(name: str) -> str:
    """`btcusdt@depth@100ms` without its symbol and speed."""
    return name.split("@")[1] if "@" in name else name


def _messages(data: bytes, kind: str) -> int:
    """Bybit and OKX send several trades or candles in one message."""
    if kind in ("publicTrade", "trades", "kline"):
        return len(json.loads(data)["data"])
    return 1


@pytest.mark.parametrize("path", captures.paths(), ids=lambda path: path.name)
def test_no_capture_has_a_gap(path: Path) -> None:
    feed = Feed()
    statuses = Counter(
        event.status
        for frame in captures.frames(path)
        for event in feed.receive(frame)
        if isinstance(event, FeedStatus)
    )
    assert set(statuses) == {"CONNECTED"}
    # The captures of the second day have no snapshot, so their books stay unknown.
    assert bool(feed.wants_snapshot()) == ("20240809" in path.name)


@pytest.mark.parametrize(
    "stem", ["binance_spot_btcusdt", "binance_cm_btcusd_perp"]
)  # fmt: skip
def test_the_second_day_goes_on_where_the_first_ended(stem: str) -> None:
    feed = Feed()
    gaps = [
        event
        for day in ("20240808", "20240809")
        for frame in captures.frames(captures.path(f"{stem}_{day}.hft.gz"))
        for event in feed.receive(frame)
        if isinstance(event, FeedStatus) and event.status != "CONNECTED"
    ]
    assert gaps == []
    assert feed.wants_snapshot() == set()
