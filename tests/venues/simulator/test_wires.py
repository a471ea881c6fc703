"""The frames keep the venues' own rules, by an independent reading."""

import math
from bisect import bisect_right
from collections import defaultdict

import pytest

from tests.venues.simulator.wires import Reader
from venues.simulator.listings import PERPETUAL, VENUE_NAMES, list_symbol
from venues.simulator.market import Market

SECONDS = 75
SYMBOLS = ("BTC-USDT", "SOL-USDT")


@pytest.fixture(scope="module")
def reader() -> Reader:
    """75 seconds of two symbols, all books sent again every 20 seconds."""
    market = Market(
        seed=5,
        symbols=SYMBOLS,
        events_per_second=700.0,
        snapshot_every_seconds=20,
        news_per_hour=600.0,
        start_time_us=1_767_225_590_000_000,
    )
    reader = Reader()
    end = market.start_us + SECONDS * 1_000_000
    for frame in market.frames():
        if frame.receive_time >= end:
            break
        reader.read(frame)
    return reader


def test_books_follow_each_venues_sequence_rules_and_never_cross(reader: Reader) -> None:
    # The reader asserts the rules diff by diff; here: it has seen many of each.
    per_book: dict[tuple[str, str], int] = defaultdict(int)
    for key, _, _ in reader.tops:
        per_book[key] += 1
    assert len(per_book) == len(VENUE_NAMES) * len(SYMBOLS)
    assert min(per_book.values()) > 400
    assert reader.snapshots >= 4 * len(per_book)


def test_every_kind_of_frame_is_there(reader: Reader) -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    for venue, kind in reader.kinds:
        kinds[venue].add(kind)
    spot = {"instruments", "depth@100ms", "trade", "bookTicker", "kline_1m"}
    bybit = {"instruments", "orderbook.200", "orderbook.1", "publicTrade", "kline.1", "tickers"}
    okx = {"instruments", "books", "bbo-tbt", "trades", "candle1m", "tickers"}
    assert kinds == {
        "binance-spot": spot,
        "binance-usdm": spot | {"markPrice@1s"},
        "bybit-spot": bybit,
        "bybit-linear": bybit,
        "okx-spot": okx,
        "okx-swap": okx | {"mark-price", "funding-rate"},
        "cryptopanic": {"news"},
    }


def test_quiet_market_keeps_the_rules_of_silence() -> None:
    """Bybit repeats its best after 3 s, OKX sends an update without levels after 60 s."""
    market = Market(
        seed=1,
        symbols=("BTC-USDT",),
        venues=("bybit-spot", "okx-spot"),
        events_per_second=0.05,
        news_per_hour=0.0,
    )
    reader, repeats, empty = Reader(), 0, 0
    for frame in market.frames():
        if frame.receive_time >= market.start_us + 1_200_000_000:
            break
        reader.read(frame)
        repeats += b"orderbook.1." in frame.data and b"snapshot" in frame.data
        empty += b'"asks":[],"bids":[]' in frame.data
    assert repeats > 200
    assert empty > 3


def test_best_quote_equals_the_top_of_the_book_on_binance(reader: Reader) -> None:
    checked = 0
    for key, sequence, best in reader.tops:
        if not key[0].startswith("binance"):
            continue
        quotes = reader.quotes[key]
        at = bisect_right(quotes, sequence, key=lambda quote: quote[0]) - 1
        if at >= 0:
            assert quotes[at][1] == best
            checked += 1
    assert checked > 2_000


def test_takers_trade_at_the_best_price_and_walk_the_book(reader: Reader) -> None:
    """Prints of one taker (same ms and side) start at the quote before and get worse."""
    for name in ("binance-spot", "binance-usdm"):
        key = (name, "BTCUSDT")
        prices = {(quote[0], quote[2]) for _, quote in reader.quotes[key]}
        bids, asks = {bid for bid, _ in prices}, {ask for _, ask in prices}
        trades = reader.trades[key]
        quoted = 0
        for before, trade in zip([None, *trades], trades, strict=False):
            if before is not None and (before[0], before[4]) == (trade[0], trade[4]):
                step = float(trade[2]) - float(before[2])
                quoted += step >= 0 if trade[4] == "buy" else step <= 0
            else:
                quoted += trade[2] in (asks if trade[4] == "buy" else bids)
        assert quoted > 0.99 * len(trades)


def test_trade_ids_are_contiguous_or_unique(reader: Reader) -> None:
    for (venue, _), trades in reader.trades.items():
        ids = [trade[1] for trade in trades]
        assert len(set(ids)) == len(ids)
        if venue != "bybit-linear":
            numbers = [int(trade_id) for trade_id in ids]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_closed_candles_equal_the_trades_of_their_minute(reader: Reader) -> None:
    closed = 0
    for key, candles in reader.klines.items():
        minutes = defaultdict(list)
        for time, _, price, size, side in reader.trades[key]:
            minutes[time // 60_000].append((float(price), float(size), side))
        for candle in candles:
            start, ohlc, volume, final = _candle(candle)
            trades = minutes[start // 60_000]
            if not final:
                continue
            closed += 1
            prices = [price for price, _, _ in trades]
            assert ohlc == (prices[0], max(prices), min(prices), prices[-1])
            assert math.isclose(volume, sum(size for _, size, _ in trades), rel_tol=1e-9)
            if isinstance(candle, dict) and "V" in candle:
                bought = sum(size for _, size, side in trades if side == "buy")
                assert math.isclose(float(candle["V"]), bought, rel_tol=1e-9)
                assert candle["n"] == len(trades) == candle["L"] - candle["f"] + 1
    assert closed == 2 * len(VENUE_NAMES) * len(SYMBOLS)


def _candle(
    candle: dict[str, object] | list[str],
) -> tuple[int, tuple[float, float, float, float], float, bool]:
    if isinstance(candle, list):
        start, opened, high, low, close, volume = (float(value) for value in candle[:6])
        return int(start), (opened, high, low, close), volume, candle[8] == "1"
    short = "t" in candle
    names = ("o", "h", "l", "c") if short else ("open", "high", "low", "close")
    opened, high, low, close = (float(str(candle[name])) for name in names)
    start = int(str(candle["t" if short else "start"]))
    volume = float(str(candle["v" if short else "volume"]))
    return start, (opened, high, low, close), volume, bool(candle["x" if short else "confirm"])


def test_prices_and_sizes_are_multiples_of_tick_and_lot(reader: Reader) -> None:
    by_name = {
        (venue, list_symbol(venue, symbol).venue_symbol): list_symbol(venue, symbol)
        for venue in VENUE_NAMES
        for symbol in SYMBOLS
    }
    for key, trades in reader.trades.items():
        listing = by_name[key]
        for _, _, price, size, _ in trades[:500]:
            assert _decimals(price) <= listing.price_decimals
            assert _decimals(size) <= listing.lot_decimals


def _decimals(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))


def test_mark_price_stays_near_the_book_and_funding_is_sane(reader: Reader) -> None:
    marks = defaultdict(list)
    for frame, message in reader.other:
        data = message.get("data")
        if frame.venue == "binance-usdm":
            marks[frame.venue, data["s"]].append((float(data["p"]), float(data["r"])))
        elif frame.venue == "bybit-linear" and "markPrice" in data:
            mark = (float(data["markPrice"]), float(data["fundingRate"]))
            marks[frame.venue, data["symbol"]].append(mark)
    assert len(marks) == 4
    for (venue, name), rows in marks.items():
        assert venue in PERPETUAL
        key = (venue if venue.startswith("binance") else f"{venue} top", name)
        bid = float(reader.quotes[key][-1][1][0])
        assert abs(rows[-1][0] / bid - 1) < 0.003
        assert all(abs(rate) < 0.003 for _, rate in rows)


def test_bybit_linear_ticker_starts_whole_and_then_says_changes(reader: Reader) -> None:
    rows = [message for frame, message in reader.other if frame.venue == "bybit-linear"]
    for name in ("BTCUSDT", "SOLUSDT"):
        own = [row for row in rows if row["data"]["symbol"] == name]
        assert [row["type"] for row in own] == ["snapshot"] + ["delta"] * (len(own) - 1)
        needed = {"lastPrice", "markPrice", "indexPrice", "fundingRate", "bid1Price", "ask1Price"}
        assert needed <= set(own[0]["data"])
        assert any("markPrice" not in row["data"] for row in own)
