"""The demo on a terminal: rates, lag, last bars and books of each venue, sink rows, latency.

It fits the terminal: fewer columns where it is narrow, fewer rows where it is short.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.events import Bar, Book
from tape.demo.observe import Seen, percentile

_RECENT = 5_000
_WIDE = 108
# Lines beside the rows of the markets: head and bar, panel of the topics, frame and header.
_OTHER_LINES = 2 + 9 + 3
_LEAST_MARKETS = 2
# A topic's rows are in the table of its name; the others' are the tape's.
_OWN_TABLES = ("books", "bars", "reference")


@dataclass(slots=True)
class Progress:
    """What the view shows beside what the observer saw."""

    title: str = ""
    elapsed_s: float = 0.0
    seconds: float = 0.0
    totals: dict[str, int] = field(default_factory=dict)
    """Records by topic."""
    rates: dict[str, float] = field(default_factory=dict)
    """Records a second by topic."""
    worker_lag: int = 0
    sink_rows: dict[str, int] = field(default_factory=dict)
    latency_is_live: bool = True
    over: bool = False


def render(progress: Progress, seen: Seen, size: ConsoleDimensions) -> RenderableType:
    """The whole view, no larger than the terminal."""
    parts: list[RenderableType] = [_head(progress, size.width), _topics(progress, seen)]
    rows = size.height - _OTHER_LINES - 1
    if rows >= _LEAST_MARKETS:
        parts.append(_markets(seen, wide=size.width >= _WIDE, most=rows))
    return Group(*parts)


def _head(progress: Progress, width: int) -> Text:
    time = f"{progress.elapsed_s:.0f} s"
    hint = "" if progress.over else "  Ctrl-C: stop feeding and prove"
    if not progress.seconds:
        return Text.assemble((progress.title, "bold"), f"   {time}\n", (hint.strip(), "dim"))
    done = min(1.0, progress.elapsed_s / progress.seconds)
    room = max(10, min(width, _WIDE) - len(hint))
    bar = "━" * int(room * done)
    return Text.assemble(
        (progress.title, "bold"),
        f"   {time} of {progress.seconds:.0f} s\n",
        (bar, "cyan"),
        ("╌" * (room - len(bar)), "dim"),
        (hint, "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _topics(progress: Progress, seen: Seen) -> Panel:
    table = Table(box=None, expand=True)
    table.add_column("topic")
    for name in ("events", "per second", "rows in the database"):
        table.add_column(name, justify="right", no_wrap=True)
    for topic, total in progress.totals.items():
        rate = progress.rates.get(topic, 0.0)
        stored = _rows(progress.sink_rows, topic)
        table.add_row(topic, f"{total:,}", f"{rate:,.0f}", f"{stored:,}")
    lag = f" worker lag {progress.worker_lag:,} events"
    notes = Text(f"{lag}\n {_latency(progress, seen)}", style="dim", no_wrap=True)
    return Panel(Group(table, notes), title="Kafka and PostgreSQL")


def _rows(stored: Mapping[str, int], topic: str) -> int:
    if topic in _OWN_TABLES:
        return stored.get(topic, 0)
    return sum(count for table, count in stored.items() if table not in _OWN_TABLES)


def _latency(progress: Progress, seen: Seen) -> str:
    if not progress.latency_is_live:
        return "latency: not of recorded input"
    recent = seen.latencies_ms[-_RECENT:]
    p50, p99 = percentile(recent, 0.5), percentile(recent, 0.99)
    if p50 is None or p99 is None:
        return "latency: nothing derived yet"
    return f"frame in → derived event read: p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def _markets(seen: Seen, *, wide: bool, most: int) -> Panel:
    table = Table(box=None, expand=True)
    table.add_column("symbol", no_wrap=True)
    table.add_column("venue", no_wrap=True)
    names = ["bid", "ask", "spread bps" if wide else "bps", "1 s close"]
    names += ["volume", "trades"] if wide else []
    for name in (*names, "reference"):
        table.add_column(name, justify="right", no_wrap=True)
    keys = sorted(set(seen.books) | set(seen.bars))
    shown = keys if len(keys) <= most else keys[: most - 1]
    before = ""
    for symbol, venue in shown:
        reference = seen.reference.get(symbol)
        table.add_row(
            symbol if symbol != before else "",
            venue,
            *_book(seen.books.get((symbol, venue))),
            *_bar(seen.bars.get((symbol, venue)), wide),
            _price(reference.price) if reference and symbol != before else "",
        )
        before = symbol
    if len(shown) < len(keys):
        table.add_row(f"[dim]… {len(keys) - len(shown)} more")
    return Panel(table, title="Markets")


def _book(book: Book | None) -> tuple[str, str, str]:
    if book is None or book.state != "LIVE" or not book.bids or not book.asks:
        return ("[yellow]unknown" if book else "", "", "")
    bid, ask = book.bids[0][0], book.asks[0][0]
    return (_price(bid), _price(ask), f"{(ask - bid) / (ask + bid) * 20_000:.2f}")


def _bar(bar: Bar | None, wide: bool) -> tuple[str, ...]:
    if bar is None:
        return ("", "", "") if wide else ("",)
    colour = "green" if bar.close >= bar.open else "red"
    close = f"[{colour}]{_price(bar.close)}"
    return (close, f"{bar.volume:,.4f}", str(bar.trade_count)) if wide else (close,)


def _price(price: float) -> str:
    return f"{price:,.2f}" if price >= 100 else f"{price:.6g}"
