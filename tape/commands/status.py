"""`tape status`: what of the stack runs and answers."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tape import config

if TYPE_CHECKING:
    from tape.stack.status import Part


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show Kafka, the registry and the database: address, process, memory, whether they answer.

    Ends with status 1 when one of them does not answer.
    """
    from tape.stack import status

    settings = config.settings()
    parts = status.parts(settings)
    if as_json:
        services = {part.name: asdict(part) for part in parts}
        print(json.dumps({"home": str(settings.stack.home), "services": services}))
    else:
        _print(parts)
    if not all(part.answers for part in parts):
        raise typer.Exit(1)


def _print(parts: "list[Part]") -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("part", "where", "address", "state"):
        table.add_column(column)
    for column in ("pid", "memory", "up", "restarts"):
        table.add_column(column, justify="right")
    for part in parts:
        state = "[green]answers" if part.answers else "[red]does not answer"
        row = [part.name, part.where, part.address, state if part.address else "[red]not running"]
        if part.pid is not None:
            row += [str(part.pid), f"{part.memory_mb:.0f} MB", f"{part.uptime_s:.0f} s"]
            row.append(str(part.restarts))
        table.add_row(*row)
    # Addresses are for copying: a narrow terminal wraps the line rather than cut them.
    Console(width=max(Console().width, 140)).print(table)
    for part in parts:
        if part.problem:
            Console(soft_wrap=True).print(part.problem, markup=False)
