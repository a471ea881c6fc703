"""`tape rebuild`: derives a sink's tables again beside the live ones and swaps them."""

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from schemas.registry import Registry
from sinks.rebuild import Rebuild
from sinks.timescale import topics_of
from tape import config
from tape.stack.addresses import addresses


def command(
    sink: Annotated[str, typer.Argument(help="timescale, or one of its topics, like bars.")],
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Drop rows whose events the topic has no more.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Make tables anew from their topics, up to where the sink is, and swap them in at once.

    The sink may run meanwhile; readers never see an empty table.
    """
    settings = addresses(config.settings())
    registry = settings.registry
    rebuild = Rebuild(
        settings.kafka,
        Registry(registry.url, registry.username, registry.password.get_secret_value()),
        settings.database,
        settings.database.url.get_secret_value(),
        settings.tape,
        topics_of([sink]),
        allow_loss,
    )
    began = time.monotonic()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"Rebuilding {settings.tape} {sink}", total=None)
        rows = rebuild.run(lambda done, total: progress.update(task, completed=done, total=total))
    seconds = time.monotonic() - began
    if as_json:
        print(json.dumps({"sink": sink, "tape": settings.tape, "rows": rows, "seconds": seconds}))
    else:
        Console().print(f"{sink} of {settings.tape}: {rows:,} rows made anew in {seconds:.1f} s")
