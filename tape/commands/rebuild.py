"""`tape rebuild`: derives a sink's tables again beside the live ones and swaps them."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from tape import clients, config
from tape.stack.addresses import addresses
from tape.terminal import progress


def command(
    sink: Annotated[
        str, typer.Argument(help="timescale, or one of its topics, like bars.")
    ] = "timescale",
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Drop rows whose events the topic has no more.")
    ] = False,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Do not go on from where a rebuild was ended.")
    ] = False,
    patience: Annotated[
        float, typer.Option(help="Seconds that readers may keep the new tables from their place.")
    ] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Make tables anew from their topics, up to where the sink is, and swap them in at once.

    The sink may run meanwhile; no query fails or sees less. Ended half-way (kill -9 too), the
    next run goes on from there.

    Example: `tape --tape h rebuild bars`, then `tape --tape h verify bars`
    """
    from sinks.rebuild import Rebuild
    from sinks.timescale import topics_of
    from streams.kafka import connect

    topics = topics_of([sink])
    settings = addresses(config.settings())
    connect(settings.kafka)
    rebuild = Rebuild(
        settings.kafka,
        clients.registry(settings),
        settings.database,
        settings.database.url.get_secret_value(),
        settings.tape,
        topics,
        allow_loss,
        afresh,
        patience,
        clients.archive(settings),
    )
    began = time.monotonic()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress(*columns) as bar:
        task = bar.add_task(f"Rebuilding {settings.tape} {sink}", total=None)
        rebuilt = rebuild.run(lambda done, total: bar.update(task, completed=done, total=total))
    seconds = time.monotonic() - began
    if as_json:
        result = {"sink": sink, "tape": settings.tape, **asdict(rebuilt), "seconds": seconds}
        print(json.dumps(result))
        return
    before = f", {rebuilt.resumed:,} events were done before" if rebuilt.resumed else ""
    print(f"{sink} of {settings.tape}: {rebuilt.rows:,} rows in {seconds:.1f} s{before}")
