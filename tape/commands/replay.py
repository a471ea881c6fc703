"""`tape replay`: derives the tape again and proves the recorded topics equal, byte for byte."""

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from schemas.errors import DivergenceError
from tape import clients, config
from tape.stack.addresses import addresses
from tape.terminal import progress

if TYPE_CHECKING:
    from streams.replay import Report


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Derive every partition again from its start and compare with the recorded topics.

    Prints the SHA-256 of each topic and partition; ends non-zero at the first event that
    differs, with both sides decoded. Replays as far as workers have processed the tape. What
    Kafka has deleted comes from the archive (archive.url).

    Example: `tape --tape h replay`
    """
    settings = addresses(config.settings(), only=("kafka", "registry"))

    from schemas.catalogue import TAPE
    from streams import log, topics
    from streams.replay import replay

    partitions = topics.partitions_of(settings.kafka, settings.tape)
    ids = clients.registry(settings).ids(settings.tape)
    archive = clients.archive(settings)
    if archive is not None:
        archive.complete(ids.writers)
    start = time.monotonic()
    columns = (*Progress.get_default_columns(), TextColumn("{task.completed:,} events"))
    with progress(*columns) as bar:
        total = sum(log.ends(settings.kafka, settings.tape, TAPE).values())
        task = bar.add_task(f"Replaying {settings.tape}", total=total)
        report = replay(
            settings.kafka,
            ids,
            settings.tape,
            partitions,
            on_progress=lambda events: bar.advance(task, events),
            history=archive,
        )
    seconds = time.monotonic() - start
    if as_json:
        print(json.dumps(summary(report, settings.tape, seconds)))
    else:
        _print(report, settings.tape, seconds)
    if not report.identical:
        raise DivergenceError(f"the replay diverged: {report.divergence or 'hashes differ'}")


def summary(report: "Report", tape: str, seconds: float) -> dict[str, Any]:
    """The report as JSON-able data."""
    return {
        "tape": tape,
        "identical": report.identical,
        "events": report.events,
        "seconds": round(seconds, 3),
        "topics": [{**asdict(proof), "identical": proof.identical} for proof in report.proofs],
        "configurations": [
            {"partition": partition, "offset": offset, "hash": hash_}
            for partition, offset, hash_ in report.configurations
        ],
        "divergence": asdict(report.divergence) if report.divergence else None,
    }


def _print(report: "Report", tape: str, seconds: float) -> None:
    console = Console()
    table = Table(title=f"Replay of {tape}: {report.events:,} events in {seconds:.1f} s")
    table.add_column("topic")
    table.add_column("events", justify="right")
    table.add_column("SHA-256 derived again", overflow="fold", min_width=32)
    table.add_column("recorded", overflow="fold")
    for proof in (proof for proof in report.proofs if proof.records or not proof.identical):
        table.add_row(
            f"{proof.topic}[{proof.partition}]",
            f"{proof.records:,}",
            proof.sha256,
            "[green]identical" if proof.identical else f"[red]{proof.recorded_sha256}",
        )
    if table.rows:
        console.print(table)
    else:
        console.print(f"{report.events:,} events of {tape} gave nothing, then and now: identical")
    for partition, offset, hash_ in report.configurations:
        console.print(f"partition {partition}: configuration {hash_[:12]} from offset {offset}")
