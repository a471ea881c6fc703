"""`tape configure`: writes the processors' configuration to the tape; workers switch there."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from processors.config import VERSION
from schemas import catalogue
from tape import clients, config
from tape.stack.addresses import addresses


def command(
    show: Annotated[
        bool, typer.Option("--show", help="Only say what is in force, and what this one is.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Put this configuration of the processors on the tape, to be in force from there on.

    Every worker switches at that place. A partition that has it already gets no other one.

    Example: `tape --set processors.books.levels=20 configure --show`, then without `--show`
    """
    settings = addresses(config.settings(), only=("kafka", "registry"))

    from streams import recovery, snapshots, topics

    partitions = topics.partitions_of(settings.kafka, settings.tape)
    ids = clients.registry(settings).ids(settings.tape)
    own = settings.processors.hash()
    found: dict[int, tuple[int, str, str]] = {}
    for partition in range(partitions):
        snapshot = snapshots.newest(settings.kafka, ids, settings.tape, partition)
        start = snapshot.tape_offset if snapshot else 0
        newest = recovery.newest_configured(
            settings.kafka, ids, settings.tape, partition, start
        ) or recovery.newest_configured(settings.kafka, ids, settings.tape, partition, 0)
        if newest is not None:
            found[partition] = (newest.offset, newest.event.version, newest.event.hash)
    other = [p for p in range(partitions) if p not in found or found[p][2] != own]
    if not show and other:
        topics.configure(
            settings.kafka, ids, settings.tape, partitions, settings.processors, only=other
        )
    summary: dict[str, Any] = {
        "tape": settings.tape,
        "version": VERSION,
        "hash": own,
        "configuration": json.loads(settings.processors.canonical_json()),
        "before": {
            p: dict(zip(("offset", "version", "hash"), f, strict=True)) for p, f in found.items()
        },
        "written_to": [] if show else other,
    }
    if as_json:
        print(json.dumps(summary))
    else:
        _print(summary, other, show)


def _print(summary: dict[str, Any], other: list[int], show: bool) -> None:
    console = Console()
    console.print(f"this one: version {summary['version']}, hash {summary['hash'][:12]}")
    for partition, place in summary["before"].items():
        same = "the same" if place["hash"] == summary["hash"] else "another"
        console.print(
            f"partition {partition}: {same}: version {place['version']}, hash "
            f"{place['hash'][:12]} since offset {place['offset']}"
        )
    if not other:
        console.print(f"all partitions of {catalogue.kafka_name(summary['tape'], 'tape')} have it")
    elif show:
        console.print(f"`tape configure` would write it to partitions {other}")
    else:
        console.print(f"written to partitions {other}: workers switch there")
