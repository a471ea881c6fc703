"""`tape import`: recorded captures, exchange dumps and candle files onto a tape."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from schemas.errors import ConfigError
from tape import clients
from tape.config import settings
from tape.stack.addresses import addresses
from tape.terminal import program, progress

if TYPE_CHECKING:
    from venues.history.writer import Target

# Instruments come by the hundred in a capture's REST responses; the table counts their symbols.
_MOST_SYMBOLS = 3


def command(
    files: Annotated[list[Path], typer.Argument(help="Files, merged by receive time.")],
    venue: Annotated[
        str,
        typer.Option(help="Venue where neither name nor content tells it, like bybit-linear."),
    ] = "",
    symbol: Annotated[
        str, typer.Option(help="Canonical symbol of candles or trades, like BTC-USDT.")
    ] = "",
    interval: Annotated[str, typer.Option(help="Length of candles, like 5m.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and count, write nothing; needs no Kafka.")
    ] = False,
) -> None:
    """Import history: captures, trade and candle dumps, with their own event times.

    Each file takes effect once: importing it again adds nothing, and an import that was
    interrupted is completed by the same command. Files given together are merged by receive
    time; files that lie before what the tape holds are refused: give them a tape of their own.
    Formats: docs/import.md.

    Example: `tape import capture.jsonl.zst --tape h`, then `tape --tape h worker`
    """
    if symbol and not all(symbol.partition("-")):
        raise ConfigError(f"--symbol {symbol}: a canonical symbol is BASE-QUOTE, like BTC-USDT")

    from venues.history import importer
    from venues.history.names import Hints

    began = time.monotonic()
    hints = Hints(venue=venue, symbol=symbol.upper(), interval=interval)
    total = sum(path.stat().st_size for path in files if path.is_file())
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with progress(*columns, TransferSpeedColumn(), TimeRemainingColumn()) as bar:
        checking = bar.add_task("checking", total=total)
        sources = importer.examine_all(files, lambda size: bar.advance(checking, size))
        reading = bar.add_task("importing", total=sum(source.size for source in sources))

        def on_read(size: int) -> None:
            bar.advance(reading, size)

        if dry_run:
            done = importer.dry_run(sources, hints, on_read)
        else:
            done = importer.run(sources, hints, _target(), on_read)
    done = {"tape": settings().tape, "dry_run": dry_run, **done}
    done["seconds"] = round(time.monotonic() - began, 3)
    if as_json:
        print(json.dumps(done))
    else:
        _show(done, Console())


def _target() -> "Target":
    """The tape that the settings name; it is made if it is not there."""
    from streams.topics import create_tape
    from venues.history.writer import Target

    config = addresses(settings(), only=("kafka", "registry"))
    made = create_tape(
        config.kafka,
        clients.registry(config),
        config.tape,
        config.partitions,
        config.processors,
    )
    return Target(config.kafka, made.ids, config.tape, made.partitions)


def _show(done: dict[str, Any], console: Console) -> None:
    for name in done.get("already_imported", []):
        console.print(
            f"{name}: already imported to tape {done['tape']}; nothing added", soft_wrap=True
        )
    if not done["files"]:
        return
    console.print(_table(done))
    fate = (
        "nothing written (--dry-run)" if done["dry_run"] else f"{done['written']:,} records written"
    )
    if done["already_there"]:
        fate += f", {done['already_there']:,} were there from an interrupted run"
    if done["foreign"]:
        fate += f", {done['foreign']:,} of others lie between them"
    console.print(
        f"{done['events']:,} events, {done['clock_pulses']:,} clock pulses, "
        f"{done['dead_letters']:,} dead letters in {done['seconds']:.1f} s; {fate}",
        soft_wrap=True,
    )
    if done["dead_letters"] and not done["dry_run"]:
        hint = f"{program()} --tape {done['tape']} tail dead_letters --no-follow"
        console.print(f"what could not be read, and why: `{hint}`", soft_wrap=True)


def _table(done: dict[str, Any]) -> Table:
    """Events by venue, symbol and record type, with gaps; and what was ignored, by kind."""
    table = Table("venue", "symbol", "record", "events", box=None)
    table.columns[3].justify = "right"
    for venue, symbols in done["counts"].items():
        listed = {
            symbol
            for symbol, records in symbols.items()
            if set(records) != {"Instrument"} or len(symbols) <= _MOST_SYMBOLS
        }
        for symbol in sorted(listed):
            for record, count in symbols[symbol].items():
                table.add_row(venue, symbol, record, f"{count:,}")
            gaps = done["gaps"].get(venue, {}).get(symbol)
            if gaps:
                table.add_row(venue, symbol, "gaps", f"{gaps:,}")
        if rest := symbols.keys() - listed:
            count = sum(symbols[symbol]["Instrument"] for symbol in rest)
            more = "more symbols" if listed else "symbols"
            table.add_row(venue, f"{len(rest):,} {more}", "Instrument", f"{count:,}")
    for venue, kinds in done["ignored"].items():
        for kind, count in kinds.items():
            table.add_row(venue, "", f"ignored: {kind}", f"{count:,}")
    return table
