"""How far books rebuilt from diffs agree with the venue's own best bid and ask.

`python -m tests.venues.agreement` prints the tables of docs/venues.md.

A quote lies between two states of the book: the one after the last diff whose sequence is not
above the quote's (`before`), and the one after the next diff. Quotes come more often than diffs,
so most tell of an instant between the two, of which the book says only what changed.

* `same instant`: the quote's sequence is the state's own. Then both are of one instant, and the
  quote must be exactly that state's best price and quantity on both sides.
* `agrees`: each side of the quote can be, by the two: its level has the quantity that it had
  `before`, or the next diff names it as changed; and every level `before` that was better is
  named by the next diff as changed.

* `control`: the share that agrees when every book is taken 10 diffs too late: what a book that is
  wrong would show.

Sequences: Binance's update ids `u`; Bybit's cross sequence (`cs` of tickers, `seq` of books). OKX
had none in 2022, and its tickers lag: see `lagging`. Not compared are quotes before the first or
after the last known state.
"""

import json
import math
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from schemas.events import BookDelta, BookSnapshot, Event, Quote
from tests.venues import captures
from venues.feed import Feed
from venues.frames import Frame

Side = tuple[float, float]
At = tuple[str, str]
# Captures with diffs, a snapshot and the venue's own best bid and ask; two days are one run.
RUNS = (
    ("binance_spot_btcusdt_20240808.hft.gz", "binance_spot_btcusdt_20240809.hft.gz"),
    ("binance_usdm_btcusdt_20240808.hft.gz",),
    ("binance_cm_btcusd_perp_20240808.hft.gz", "binance_cm_btcusd_perp_20240809.hft.gz"),
    ("binance_spot_2021-10-12.jsonl.zst",),
    ("binance_usdm_2021-07-22.jsonl.zst",),
    ("binanceus_spot_2021-10-12.jsonl.zst",),
    ("bybit_v5_2026-08-09.jsonl.zst",),
)
LATE = 10
OKX = "okx_v5_2022-05-13.jsonl.zst"


@dataclass(slots=True)
class Agreement:
    """Of one book: quotes compared, those that agree; of the same instant, those the same."""

    compared: int = 0
    agree: int = 0
    same_instant: int = 0
    same: int = 0
    outside: int = 0
    control: float = 0.0


@dataclass(slots=True)
class Rebuilt:
    """Levels of both sides as the diffs leave them; bids at negative prices, so best is least."""

    sides: tuple[dict[float, float], dict[float, float]] = field(default_factory=lambda: ({}, {}))

    def apply(self, event: BookDelta | BookSnapshot) -> None:
        """Follow an event."""
        for side, levels in zip(self.sides, _sides(event), strict=True):
            if isinstance(event, BookSnapshot):
                side.clear()
            for price, quantity in levels:
                if quantity == 0.0:
                    side.pop(price, None)
                else:
                    side[price] = quantity

    def best(self) -> tuple[Side, Side]:
        """Price and quantity of the best level a side."""
        bid, ask = (min(side, default=math.nan) for side in self.sides)
        return (bid, self.sides[0].get(bid, 0.0)), (ask, self.sides[1].get(ask, 0.0))

    def allows(self, quote: tuple[Side, Side], then: BookDelta | BookSnapshot) -> bool:
        """Whether the best can have been this between now and the next diff."""
        return all(
            _allowed(side, {price for price, _ in levels}, price, quantity)
            for side, levels, (price, quantity) in zip(self.sides, _sides(then), quote, strict=True)
        )


def _allowed(side: dict[float, float], changed: set[float], price: float, size: float) -> bool:
    if side.get(price) != size and price not in changed:
        return False
    return all(level in changed for level in side if level < price)


def _sides(event: BookDelta | BookSnapshot) -> tuple[list[Side], list[Side]]:
    return [(-price, size) for price, size in event.bids], event.asks


def _quote(event: Quote) -> tuple[Side, Side]:
    return (-event.bid_price, event.bid_quantity), (event.ask_price, event.ask_quantity)


def order_key(frame: Frame, event: BookDelta | BookSnapshot | Quote) -> int:
    """What orders the books and quotes of a venue among each other."""
    if frame.venue.startswith("bybit"):
        message = json.loads(frame.data)
        return int(message["cs"] if "cs" in message else message["data"]["seq"])
    return event.sequence


def events(names: tuple[str, ...]) -> Iterator[tuple[Frame, Event]]:
    """The events of captures that follow each other, with the frame that brought each."""
    feed = Feed()
    for name in names:
        for frame in captures.frames(captures.path(name)):
            for event in feed.receive(frame):
                yield frame, event


def measure(names: tuple[str, ...], control: bool = False) -> dict[At, Agreement]:
    """The agreement of a run, by venue and symbol; with `control` its share too."""
    books: dict[At, list[tuple[int, BookDelta | BookSnapshot]]] = {}
    quotes: dict[At, list[tuple[int, tuple[Side, Side]]]] = {}
    for frame, event in events(names):
        if isinstance(event, Quote):
            at = (event.venue, event.symbol)
            quotes.setdefault(at, []).append((order_key(frame, event), _quote(event)))
        elif isinstance(event, BookSnapshot | BookDelta):
            at = (event.venue, event.symbol)
            book = books.setdefault(at, [])
            key = order_key(frame, event)
            if not book or key > book[-1][0] or isinstance(event, BookSnapshot):
                book.append((key, event))
    return {at: _measured(books[at], found, control) for at, found in quotes.items() if at in books}


def _measured(
    book: list[tuple[int, BookDelta | BookSnapshot]],
    quotes: list[tuple[int, tuple[Side, Side]]],
    control: bool,
) -> Agreement:
    found = compare(book, quotes)
    if not control:
        return found
    late = [(key, event) for (key, _), (_, event) in zip(book[LATE:], book, strict=False)]
    wrong = compare(late, quotes) if len(late) > 1 else Agreement()
    found.control = wrong.agree / wrong.compared if wrong.compared else math.nan
    return found


def compare(
    book: list[tuple[int, BookDelta | BookSnapshot]], quotes: list[tuple[int, tuple[Side, Side]]]
) -> Agreement:
    """Compare the quotes of a book with its states; both with their order keys."""
    found, rebuilt = Agreement(), Rebuilt()
    quotes = sorted(quotes, key=lambda quote: quote[0])
    place = 0
    while place < len(quotes) and quotes[place][0] < book[0][0]:
        place += 1
    found.outside = place
    for (key, event), (next_key, then) in pairwise(book):
        rebuilt.apply(event)
        best = None
        while place < len(quotes) and quotes[place][0] < next_key:
            at, quote = quotes[place]
            place += 1
            found.compared += 1
            found.agree += rebuilt.allows(quote, then)
            if at == key:
                best = best or rebuilt.best()
                found.same_instant += 1
                found.same += quote == best
    found.outside += len(quotes) - place
    return found


def lagging() -> tuple[int, int, int]:
    """OKX 2022: tickers since the first book, those equal to a state before, the longest lag.

    `tickers` repeats a best bid and ask of some time before its own `ts` (in milliseconds).
    """
    times: list[int] = []
    states: list[tuple[Side, Side]] = []
    rebuilt = Rebuilt()
    compared = equal = longest = 0
    for _, event in events((OKX,)):
        if isinstance(event, BookSnapshot | BookDelta):
            rebuilt.apply(event)
            times.append(event.event_time // 1000)
            states.append(rebuilt.best())
        elif isinstance(event, Quote) and times and _quote(event) != _FIRST:
            compared += 1
            time = event.event_time // 1000
            seen = bisect_right(times, time)
            lags = [time - times[i] for i in range(seen) if states[i] == _quote(event)]
            equal += bool(lags)
            longest = max(longest, min(lags, default=0))
    return compared, equal, longest


# What the ticker said before the first book and for a while after it.
_FIRST = ((-30228.6, 0.23393), (30228.7, 1.55896972))


def table() -> str:
    """The table as Markdown."""
    lines = [
        "| run | venue, symbol | quotes compared | agree | same instant | are the same | control |",
        "|---|---|---|---|---|---|---|",
    ]
    for names in RUNS:
        run = " + ".join(name.partition(".")[0] for name in names)
        for (venue, symbol), found in sorted(measure(names, control=True).items()):
            lines.append(
                f"| {run} | {venue} {symbol} | {found.compared:,} "
                f"| {_share(found.agree, found.compared)} | {found.same_instant:,} "
                f"| {_share(found.same, found.same_instant)} | {_control(found)} |"
            )
    compared, equal, longest = lagging()
    lines.append(f"\nOKX: {equal} of {compared} are a state before; longest lag {longest} ms.")
    return "\n".join(lines)


def _control(found: Agreement) -> str:
    return "-" if math.isnan(found.control) else f"{100 * found.control:.1f} %"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3f} %" if whole else "-"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
