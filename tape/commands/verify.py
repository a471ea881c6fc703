"""`tape verify`: proves the sink's tables equal to their topics, row for row."""

import json
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from schemas.errors import DivergenceError
from schemas.registry import Registry
from sinks.timescale import topics_of
from sinks.verify import Report, Verification
from tape import config
from tape.stack.addresses import addresses


def command(
    sink: Annotated[str, typer.Argument(help="timescale, or one of its topics, like bars.")],
    wait: Annotated[
        float, typer.Option(help="Seconds to let the sink store what the topics hold now.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare every column of every row with its event; end non-zero at a difference.

    A sink that runs on is not disturbed: the tables are seen as of one instant.
    """
    settings = addresses(config.settings())
    registry = settings.registry
    verification = Verification(
        settings.kafka,
        Registry(registry.url, registry.username, registry.password.get_secret_value()),
        settings.database,
        settings.database.url.get_secret_value(),
        settings.tape,
        topics_of([sink]),
    )
    began = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Verifying {settings.tape}", total=None)
        report = verification.run(
            wait, lambda done, total: progress.update(task, completed=done, total=total)
        )
    result = summary(sink, settings.tape, report, time.monotonic() - began)
    if as_json:
        print(json.dumps(result))
    else:
        _print(result)
    if not report.equal:
        raise DivergenceError(_why(report))


def summary(sink: str, tape: str, report: Report, seconds: float) -> dict[str, Any]:
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


def _why(report: Report) -> str:
    for proof in report.tables:
        if proof.difference:
            return proof.difference
    return f"the sink is {report.behind:,} events behind its topics; does `tape sink` run?"


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"{result['sink']} of {result['tape']}: {result['seconds']:.1f} s")
    for name in ("table", "topic", "equal rows", "first difference"):
        table.add_column(name, justify="right" if name == "equal rows" else "left")
    for proof in result["tables"]:
        difference = proof["difference"] or "[green]none"
        table.add_row(proof["table"], proof["topic"], f"{proof['rows']:,}", difference)
    Console().print(table)
