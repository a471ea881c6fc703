"""The demo on a terminal: rates, lag, last bars and books of each venue, sink rows, latency."""

from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.events import Bar, Book
from tape.demo.observe import Observer, percentile

_RECENT = 5_000


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


def render(progress: Progress, seen: Observer) -> RenderableType:
    """The whole view."""
    top = Table.grid(expand=True, padding=(0, 1))
    top.add_column(ratio=1)
    top.add_column(ratio=1)
    top.add_row(_topics(progress, seen), _sinks(progress))
    done = min(1.0, progress.elapsed_s / progress.seconds) if progress.seconds else 0.0
    bar = "━" * int(40 * done) + "╌" * (40 - int(40 * done))
    head = Text.assemble(
        (progress.title, "bold"),
        f"   {progress.elapsed_s:4.0f} s of {progress.seconds:.0f} s  ",
        (bar, "cyan"),
        "   Ctrl-C: stop feeding and prove",
    )
    return Group(head, top, _markets(seen))


def _topics(progress: Progress, seen: Observer) -> Panel:
    table = Table(box=None, expand=True)
    table.add_column("topic")
    table.add_column("events", justify="right")
    table.add_column("per second", justify="right")
    for topic, total in progress.totals.items():
        table.add_row(topic, f"{total:,}", f"{progress.rates.get(topic, 0.0):,.0f}")
    recent = seen.latencies_ms[-_RECENT:]
    p50, p99 = percentile(recent, 0.5), percentile(recent, 0.99)
    if progress.latency_is_live and p50 is not None and p99 is not None:
        latency = f"frame in → derived event read: p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    else:
        latency = "latency: not of recorded input"
    return Panel(
        Group(table, Text(f"worker lag {progress.worker_lag:,} events   {latency}", style="dim")),
        title="Kafka",
    )


def _sinks(progress: Progress) -> Panel:
    table = Table(box=None, expand=True)
    table.add_column("table")
    table.add_column("rows", justify="right")
    for name, count in progress.sink_rows.items():
        table.add_row(name, f"{count:,}")
    return Panel(table, title="Database")


def _markets(seen: Observer) -> Panel:
    table = Table(box=None, expand=True)
    for name in ("symbol", "venue", "state"):
        table.add_column(name)
    for name in ("bid", "ask", "spread bps", "1 s bar: close", "volume", "trades", "reference"):
        table.add_column(name, justify="right")
    keys = sorted(set(seen.books) | set(seen.bars))
    before = ""
    for symbol, venue in keys:
        reference = seen.reference.get(symbol)
        table.add_row(
            symbol if symbol != before else "",
            venue,
            *_book(seen.books.get((symbol, venue))),
            *_bar(seen.bars.get((symbol, venue))),
            f"{reference.price:,.2f}" if reference and symbol != before else "",
        )
        before = symbol
    return Panel(table, title="Markets")


def _book(book: Book | None) -> tuple[str, str, str, str]:
    if book is None or book.state != "LIVE" or not book.bids or not book.asks:
        return ("[yellow]unknown" if book else "", "", "", "")
    bid, ask = book.bids[0][0], book.asks[0][0]
    return (
        "[green]live",
        f"{bid:,.2f}",
        f"{ask:,.2f}",
        f"{(ask - bid) / (ask + bid) * 20_000:.2f}",
    )


def _bar(bar: Bar | None) -> tuple[str, str, str]:
    if bar is None:
        return ("", "", "")
    colour = "green" if bar.close >= bar.open else "red"
    return (f"[{colour}]{bar.close:,.2f}", f"{bar.volume:,.4f}", str(bar.trade_count))
