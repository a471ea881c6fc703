"""`tape database`: looking after the tables in the database."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tape import config
from tape.stack.addresses import addresses

app = typer.Typer(no_args_is_help=True, help="Look after the tables in the database.")


@app.command()
def maintain(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a table.")] = False,
) -> None:
    """Make partitions ahead, drop what is older than database.retention_days, set compression.

    `tape sink` does the same at its start and every hour.

    Example: `tape --tape h --set database.retention_days=90 database maintain`
    """
    from sinks.maintenance import Maintenance
    from sinks.schema import ensure
    from sinks.store import connect

    settings = addresses(config.settings(), only=("postgres",))
    with connect(settings.database.url.get_secret_value()) as connection:
        stored = ensure(connection, settings.tape, settings.database)
        done = Maintenance(connection, settings.tape, settings.database, stored).run()
    if as_json:
        for one in done:
            print(json.dumps(asdict(one), default=str))
        return
    table = Table(title=f"Tables of {settings.tape}")
    for name in ("table", "made ahead", "dropped", "kept from", "compressed after", "note"):
        table.add_column(name)
    for one in done:
        days = f"{one.compress_after_days} days" if one.compress_after_days else "never"
        kept = f"{one.dropped_before:%Y-%m-%d %H:%M}" if one.dropped_before else "the beginning"
        table.add_row(one.table, str(one.created), str(one.dropped), kept, days, one.note)
    Console().print(table)
