"""The demo's view fits the terminal, whatever its size, and says what is the case."""

import io

import pytest
from rich.console import Console, ConsoleDimensions

from schemas.events import Bar, Book, Origin, ReferencePrice
from tape.demo.observe import Seen
from tape.demo.view import Progress, render

VENUES = ("binance-spot", "binance-usdm", "bybit-linear", "bybit-spot", "okx-spot", "okx-swap")
SYMBOLS = {"BTC-USDT": 61_803.57, "ETH-USDT": 2_479.37, "SOL-USDT": 147.91}
ORIGIN = Origin(topic="tape", partition=0, offset=0)


@pytest.fixture
def seen() -> Seen:
    seen = Seen(latencies_ms=[5.0, 9.0, 40.0])
    for symbol, price in SYMBOLS.items():
        for venue in VENUES:
            seen.books[symbol, venue] = book(symbol, venue, price)
            seen.bars[symbol, venue] = bar(symbol, venue, price)
        seen.reference[symbol] = ReferencePrice(
            origin=ORIGIN,
            seq=0,
            symbol=symbol,
            event_time=0,
            receive_time=0,
            price=price,
            dispersion_bps=0.0,
            venues=[],
        )
    return seen


@pytest.fixture
def progress() -> Progress:
    totals = {"tape": 129_362, "books": 2_181, "bars": 234, "reference": 36}
    rows = {"trades": 9_000, "quotes": 700, "books": 2_181, "bars": 234, "reference": 36}
    return Progress("Tape demo_20261124_235319: model", 30, 60, totals, {}, 12, rows)


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("height", [13, 16, 24, 50])
def test_view_is_no_larger_than_the_terminal(
    width: int, height: int, progress: Progress, seen: Seen
) -> None:
    lines = shown(progress, seen, width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [80, 160])
def test_no_price_is_cut(width: int, progress: Progress, seen: Seen) -> None:
    text = "\n".join(shown(progress, seen, width, 50))
    assert "…" not in text
    assert all(text.count(f"{price:,.2f}") >= 6 for price in SYMBOLS.values())
    assert all(text.count(venue) == len(SYMBOLS) for venue in VENUES)


def test_a_short_terminal_is_told_how_many_markets_it_misses(
    progress: Progress, seen: Seen
) -> None:
    lines = shown(progress, seen, 80, 24)
    markets = sum(venue in line for line in lines for venue in VENUES)
    assert any(f"… {18 - markets} more" in line for line in lines)


def test_rows_of_the_database_stand_beside_their_topic(progress: Progress, seen: Seen) -> None:
    lines = shown(progress, seen, 80, 24)
    assert next(line for line in lines if " tape " in line).split()[-2] == "9,700"
    assert next(line for line in lines if " bars " in line).split()[-2] == "234"


def test_a_book_that_is_not_known_shows_no_prices(progress: Progress) -> None:
    seen = Seen(books={("BTC-USDT", "okx-spot"): book("BTC-USDT", "okx-spot", 100.0, "UNKNOWN")})
    line = next(line for line in shown(progress, seen, 80, 24) if "okx-spot" in line)
    assert "unknown" in line
    assert "100" not in line


def test_cheap_symbols_keep_their_digits(progress: Progress) -> None:
    seen = Seen(books={("DOGE-USDT", "okx-spot"): book("DOGE-USDT", "okx-spot", 0.12345)})
    assert any("0.12345" in line for line in shown(progress, seen, 80, 24))


def test_the_end_asks_for_no_ctrl_c(progress: Progress, seen: Seen) -> None:
    assert "Ctrl-C" in "".join(shown(progress, seen, 80, 24))
    progress.over = True
    assert "Ctrl-C" not in "".join(shown(progress, seen, 80, 24))


def shown(progress: Progress, seen: Seen, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(render(progress, seen, ConsoleDimensions(width, height)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def book(symbol: str, venue: str, price: float, state: str = "LIVE") -> Book:
    return Book(
        origin=ORIGIN,
        seq=0,
        venue=venue,
        symbol=symbol,
        event_time=0,
        receive_time=0,
        state=state,  # type: ignore[arg-type]
        sequence=1,
        bids=[(price, 1.0)],
        asks=[(price * 1.0001, 1.0)],
    )


def bar(symbol: str, venue: str, price: float) -> Bar:
    return Bar(
        origin=ORIGIN,
        seq=0,
        venue=venue,
        symbol=symbol,
        event_time=1_000_000,
        receive_time=0,
        interval="1s",
        open_time=0,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=1_234.5,
        notional=0.0,
        vwap=price,
        trade_count=99,
        taker_buy_volume=0.0,
        late_trades=0,
        source="TRADES",
    )
