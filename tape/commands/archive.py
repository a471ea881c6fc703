"""`tape archive`: old records as Parquet on any store: written, listed, verified, let go."""

import json
import signal
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from schemas.errors import DivergenceError
from tape import clients, config
from tape.config import Settings
from tape.stack.addresses import addresses
from tape.terminal import progress

if TYPE_CHECKING:
    from sinks.archive.prune import Pruned
    from sinks.archive.verify import Proof
    from streams.archive.manifest import Segment
    from streams.archive.reader import Archive

app = typer.Typer(
    no_args_is_help=True, help="Old records as Parquet on any store; `archive.url` names it."
)

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


class _Told:
    """Logs what the archiver does."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.records = self.segments = 0

    def archived(self, segment: "Segment", seconds: float) -> None:
        self.records += segment.records
        self.segments += 1
        self._log.info(
            "archived",
            topic=segment.topic, partition=segment.partition, start=segment.start,
            end=segment.end, files=len(segment.files),
            bytes=sum(file.size for file in segment.files), seconds=round(seconds, 3),
        )  # fmt: skip

    def cleaned(self, paths: int) -> None:
        self._log.info("cleaned", files=paths)


@app.command()
def run(
    once: Annotated[
        bool, typer.Option("--once", help="Archive what is there now, then end.")
    ] = False,
) -> None:
    """Write the tape and what is derived to the archive, until SIGTERM or Ctrl-C.

    A segment is written when `archive.segment_records` have come, or the oldest has waited for
    `archive.segment_age_s`. Goes on from the archive's own manifests.

    Example: `tape --set archive.url=s3://bucket/tape archive run`
    """
    settings = config.settings()

    from sinks.archive.writer import Archiver
    from streams import logs

    settings = addresses(settings, only=("kafka", "registry"))
    logs.set_up(settings.telemetry, component="archive", tape=settings.tape)
    log = logs.logger("archive")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    told = _Told(log)
    ids = clients.registry(settings).ids(settings.tape)
    Archiver(settings.kafka, ids, settings.archive, settings.tape, told).run(stop, once)
    log.info("ended", segments=told.segments, records=told.records)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """What is in the archive: offsets, records and bytes of each topic's partitions.

    Example: `tape archive list --json`
    """
    archive = _archive(config.settings())
    rows = [
        _row(archive, topic, partition)
        for topic, partitions in archive.topics().items()
        for partition in partitions
    ]
    if as_json:
        print(json.dumps({"tape": archive.tape, "url": archive.store.url, "partitions": rows}))
        return
    table = Table(title=f"{archive.tape} in {archive.store.url}")
    for name in ("partition", "offsets", "records", "segments", "files", "bytes", "days"):
        table.add_column(name, justify="left" if name in {"partition", "days"} else "right")
    for row in rows:
        table.add_row(
            f"{row['topic']}[{row['partition']}]",
            f"{row['start']:,} to {row['end'] - 1:,}",
            *(f"{row[name]:,}" for name in ("records", "segments", "files", "bytes")),
            f"{row['first_day']} to {row['last_day']}",
        )
    Console().print(table)


def _row(archive: "Archive", topic: str, partition: int) -> dict[str, Any]:
    starts = archive.starts(topic, partition)
    segments = [archive.segment(topic, partition, start) for start in starts]
    files = [file for segment in segments for file in segment.files]
    return {
        "topic": topic,
        "partition": partition,
        "start": starts[0] if starts else 0,
        "end": segments[-1].end if segments else 0,
        "records": sum(segment.records for segment in segments),
        "segments": len(segments),
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "first_day": min((file.day for file in files), default=""),
        "last_day": max((file.day for file in files), default=""),
    }


@app.command()
def verify(
    new: Annotated[bool, typer.Option("--new", help="Only what was not verified before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove files and manifests unaltered and complete, and equal to what Kafka still has.

    Ends with status 1, naming each file, when something is altered, missing or different.

    Example: `tape archive verify`
    """
    settings = addresses(config.settings(), only=("kafka",))

    from sinks.archive.verify import Verification

    archive = _archive(settings)
    began = time.monotonic()
    with progress() as bar:
        task = bar.add_task(f"Verifying {archive.store.url}", total=None)
        proofs = Verification(archive, settings.kafka, new).run(
            lambda records: bar.advance(task, records)
        )
    problems = [problem for proof in proofs for problem in proof.problems]
    if as_json:
        print(
            json.dumps(
                {
                    "tape": archive.tape,
                    "verified": not problems,
                    "seconds": round(time.monotonic() - began, 3),
                    "partitions": [asdict(proof) for proof in proofs],
                }
            )
        )
    else:
        _print_proofs(proofs)
    if problems:
        raise DivergenceError("the archive is damaged:\n  " + "\n  ".join(problems))


def _print_proofs(proofs: "list[Proof]") -> None:
    table = Table()
    for name in ("partition", "offsets", "segments", "equal to Kafka", "records", "problems"):
        table.add_column(name, justify="left" if name == "partition" else "right")
    for proof in proofs:
        table.add_row(
            f"{proof.topic}[{proof.partition}]",
            f"{proof.start:,} to {proof.end - 1:,}",
            *(f"{number:,}" for number in (proof.segments, proof.compared, proof.records)),
            f"[red]{len(proof.problems)}" if proof.problems else "[green]none",
        )
    Console().print(table)


@app.command()
def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
    without_sink: Annotated[
        bool, typer.Option("--without-sink", help="There is no sink whose progress counts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete from Kafka what is archived and verified, and done with by workers and sink.

    The newest `archive.keep_records` of each partition stay. Refuses, and deletes nothing, when
    something is not verified.

    Example: `tape archive verify --new && tape archive prune`
    """
    settings = config.settings()

    from sinks.archive.prune import Prune

    needed = ("kafka", "registry") if without_sink else ("kafka", "registry", "postgres")
    archive = _archive(settings)
    settings = addresses(settings, only=needed)
    plans = Prune(
        archive,
        settings.kafka,
        clients.registry(settings).ids(settings.tape),
        settings.archive.keep_records,
        None if without_sink else settings.database.url.get_secret_value(),
    ).run(dry_run)
    if as_json:
        rows = [{**asdict(plan), "deleted": plan.deleted} for plan in plans]
        print(json.dumps({"tape": settings.tape, "dry_run": dry_run, "partitions": rows}))
    else:
        _print_pruned(plans, dry_run)


def _print_pruned(plans: "list[Pruned]", dry_run: bool) -> None:
    table = Table(title="Would be deleted from Kafka" if dry_run else "Deleted from Kafka")
    for name in ("partition", "offsets", "stay", "because"):
        table.add_column(name, justify="right" if name == "stay" else "left")
    for plan in plans:
        went = f"{plan.low:,} to {plan.cut - 1:,}" if plan.deleted else "none"
        name = f"{plan.topic}[{plan.partition}]"
        table.add_row(name, went, f"{plan.high - plan.cut:,}", plan.because)
    Console().print(table)


def _archive(settings: Settings) -> "Archive":
    from streams.archive.reader import Archive

    return Archive(settings.archive, settings.tape)
