"""`tape verify`: proves the sink's tables equal to their topics, row for row."""

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from schemas.errors import DivergenceError
from tape import clients, config
from tape.stack.addresses import addresses
from tape.terminal import progress

if TYPE_CHECKING:
    from sinks.verify import Report


def command(
    sink: Annotated[
        str, typer.Argument(help="timescale, or one of its topics, like bars.")
    ] = "timescale",
    wait: Annotated[
        float, typer.Option(help="Seconds to let the sink store what the topics hold now.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Prove the tables equal to their topics: every column of every row with its event.

    Ends with status 1 at a difference, and names table, row and column. A sink that runs on is
    not disturbed: the tables are seen as of one instant.

    Example: `tape --tape h verify`; `tape --tape h verify bars` looks at one topic's tables
    """
    from sinks.timescale import topics_of
    from sinks.verify import Verification
    from streams.kafka import connect

    topics = topics_of([sink])
    settings = addresses(config.settings())
    connect(settings.kafka)
    verification = Verification(
        settings.kafka,
        clients.registry(settings),
        settings.database,
        settings.database.url.get_secret_value(),
        settings.tape,
        topics,
        clients.archive(settings),
    )
    began = time.monotonic()
    with progress() as bar:
        task = bar.add_task(f"Verifying {settings.tape}", total=None)
        report = verification.run(
            wait, lambda done, total: bar.update(task, completed=done, total=total)
        )
    result = summary(sink, settings.tape, report, time.monotonic() - began)
    if as_json:
        print(json.dumps(result))
    else:
        _print(result)
    if not report.equal:
        raise DivergenceError(_why(report, settings.tape))


def summary(sink: str, tape: str, report: "Report", seconds: float) -> dict[str, Any]:
    """The report as JSON-able data."""
    return {
        "sink": sink,
        "tape": tape,
        "verified": report.equal,
        "rows": sum(proof.rows for proof in report.tables),
        "behind": report.behind,
        "seconds": round(seconds, 3),
        "tables": [{**asdict(proof), "verified": not proof.difference} for proof in report.tables],
    }


def _why(report: "Report", tape: str) -> str:
    for proof in report.tables:
        if proof.difference:
            return proof.difference
    behind = f"the sink is {report.behind:,} events behind its topics"
    return f"{behind}; does `tape --tape {tape} sink` run?"


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"{result['sink']} of {result['tape']}: {result['seconds']:.1f} s")
    for name in ("table", "topic", "equal rows", "first difference"):
        table.add_column(name, justify="right" if name == "equal rows" else "left")
    for proof in result["tables"]:
        difference = proof["difference"] or "[green]none"
        table.add_row(proof["table"], proof["topic"], f"{proof['rows']:,}", difference)
    Console().print(table)
