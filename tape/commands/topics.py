"""`tape topics`: partitions, offsets, rates, and how far behind workers and sinks are."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from schemas import catalogue
from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from tape import config
from tape.config import Settings
from tape.stack.addresses import addresses

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """One partition of one topic; lags in records, None where nobody reads it."""

    topic: str
    partition: int
    start: int
    end: int
    rate: float
    worker_lag: int | None
    sink_lag: int | None


def command(
    by_partition: Annotated[
        bool, typer.Option("--by-partition", "-p", help="A line a partition, not a topic.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0, help="Time over which rates are measured.")
    ] = 1.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, of every partition.")
    ] = False,
) -> None:
    """List the tape's topics: offsets, records per second, and the lag of worker and sink.

    A lag is the number of records that the worker (by its last snapshot) or the sink (by what
    its tables hold) has yet to take; it is empty where none has ever run.

    Example: `tape --tape h topics`; `watch -n 2 tape --tape h topics`
    """
    settings = addresses(config.settings(), only=("kafka",))

    from streams import topics
    from streams.kafka import connect

    admin = connect(settings.kafka)
    topics.partitions_of(settings.kafka, settings.tape)
    lines = _lines(settings, admin, seconds)
    if as_json:
        print(json.dumps({"tape": settings.tape, "partitions": [asdict(line) for line in lines]}))
    elif by_partition:
        _print_partitions(settings.tape, lines)
    else:
        _print_topics(settings.tape, lines)


def _print_topics(tape: str, lines: list[Line]) -> None:
    table = _table("topic", "partitions", "records", "records/s", "worker lag", "sink lag")
    for name in dict.fromkeys(line.topic for line in lines):
        of = [line for line in lines if line.topic == name]
        table.add_row(
            kafka_name(tape, name),
            str(len(of)),
            f"{sum(line.end - line.start for line in of):,}",
            f"{sum(line.rate for line in of):,.1f}",
            _number(_sum(line.worker_lag for line in of)),
            _number(_sum(line.sink_lag for line in of)),
        )
    Console().print(table)


def _print_partitions(tape: str, lines: list[Line]) -> None:
    columns = ("topic", "partition", "first", "next", "records/s", "worker lag", "sink lag")
    table = _table(*columns)
    for line in lines:
        table.add_row(
            kafka_name(tape, line.topic),
            *(f"{value:,}" for value in (line.partition, line.start, line.end)),
            f"{line.rate:,.1f}",
            _number(line.worker_lag),
            _number(line.sink_lag),
        )
    Console().print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column == "topic" else "right", no_wrap=True)
    return table


def _sum(lags: Iterable[int | None]) -> int | None:
    known = [lag for lag in lags if lag is not None]
    return sum(known) if known else None


def _number(lag: int | None) -> str:
    return "" if lag is None else f"{lag:,}"


def _lines(settings: Settings, admin: "AdminClient", seconds: float) -> list[Line]:
    from streams import topics

    counts = {
        topic.name: topics.count_of(admin, kafka_name(settings.tape, topic.name))
        for topic in catalogue.TOPICS
    }
    before = _ends(settings, admin, counts)
    began = time.monotonic()
    committed = _committed(settings, admin)
    stored = _stored(settings)
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    after = _ends(settings, admin, counts)
    elapsed = max(time.monotonic() - began, 1e-3)
    lines = []
    for name, count in counts.items():
        starts = topics.start_offsets(admin, kafka_name(settings.tape, name), count)
        for partition in range(count):
            end = after[name][partition]
            worker = committed.get(partition) if name == catalogue.TAPE else None
            sink = stored.get((name, partition))
            lines.append(
                Line(
                    name,
                    partition,
                    starts[partition],
                    end,
                    round((end - before[name][partition]) / elapsed, 1),
                    None if worker is None else max(0, end - worker),
                    None if sink is None else max(0, end - sink),
                )
            )
    return lines


def _ends(settings: Settings, admin: "AdminClient", counts: dict[str, int]) -> dict[str, list[int]]:
    from streams import topics

    return {
        name: topics.end_offsets(admin, kafka_name(settings.tape, name), count)
        for name, count in counts.items()
    }


def _committed(settings: Settings, admin: "AdminClient") -> dict[int, int]:
    """What the worker group has committed, by partition of the tape."""
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException

    from streams.worker import group_of

    group = group_of(settings.tape)
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    try:
        places = asked[group].result(_TIMEOUT_S).topic_partitions or []
    except KafkaException as error:
        raise StoreError(f"offsets of group {group} could not be read: {error}") from None
    return {place.partition: place.offset for place in places if place.offset >= 0}


def _stored(settings: Settings) -> dict[tuple[str, int], int]:
    """The sink's next offsets, where there is a database that holds any."""
    import psycopg
    from psycopg import sql

    try:
        url = addresses(settings, only=("postgres",)).database.url.get_secret_value()
        with psycopg.connect(url, connect_timeout=3) as connection:
            # Asked first: an error would stand in the server's log.
            there = connection.execute(
                "SELECT to_regclass(%s)", (f"{settings.tape}.offsets",)
            ).fetchone()
            if there is None or there[0] is None:
                return {}
            table = sql.Identifier(settings.tape, "offsets")
            found: list[Any] = connection.execute(
                sql.SQL("SELECT topic, partition, next_offset FROM {}").format(table)
            ).fetchall()
    except (StoreError, psycopg.Error):
        # Lag of what is not there is no error of this command.
        return {}
    return {(topic, partition): offset for topic, partition, offset in found}
