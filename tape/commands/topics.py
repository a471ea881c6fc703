"""`tape topics`: partitions, offsets, rates, and how far behind workers and sinks are."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import psycopg
import typer
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg import sql
from rich.console import Console
from rich.table import Table

from schemas import catalogue
from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from streams import topics
from streams.kafka import connect
from streams.worker import group_of
from tape import config, stack
from tape.config import Settings

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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    seconds: Annotated[float, typer.Option(help="Time over which rates are measured.")] = 1.0,
) -> None:
    """List the tape's topics: offsets of each partition, records per second, lag of readers."""
    settings = stack.addresses(config.settings(), only=("kafka",))
    admin = connect(settings.kafka)
    topics.partitions_of(settings.kafka, settings.tape)
    lines = _lines(settings, admin, seconds)
    if as_json:
        print(json.dumps({"tape": settings.tape, "partitions": [asdict(line) for line in lines]}))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("topic", "partition", "first", "next", "records/s", "worker lag", "sink lag"):
        table.add_column(column, justify="left" if column == "topic" else "right")
    for line in lines:
        table.add_row(
            kafka_name(settings.tape, line.topic),
            *(f"{value:,}" for value in (line.partition, line.start, line.end)),
            f"{line.rate:,.1f}",
            *("" if lag is None else f"{lag:,}" for lag in (line.worker_lag, line.sink_lag)),
        )
    Console().print(table)


def _lines(settings: Settings, admin: AdminClient, seconds: float) -> list[Line]:
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


def _ends(settings: Settings, admin: AdminClient, counts: dict[str, int]) -> dict[str, list[int]]:
    return {
        name: topics.end_offsets(admin, kafka_name(settings.tape, name), count)
        for name, count in counts.items()
    }


def _committed(settings: Settings, admin: AdminClient) -> dict[int, int]:
    """What the worker group has committed, by partition of the tape."""
    group = group_of(settings.tape)
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    try:
        places: list[TopicPartition] = asked[group].result(_TIMEOUT_S).topic_partitions or []
    except KafkaException as error:
        raise StoreError(f"offsets of group {group} could not be read: {error}") from None
    return {place.partition: place.offset for place in places if place.offset >= 0}


def _stored(settings: Settings) -> dict[tuple[str, int], int]:
    """The sink's next offsets, where there is a database that holds any."""
    try:
        url = stack.addresses(settings, only=("postgres",)).database.url.get_secret_value()
        with psycopg.connect(url, connect_timeout=3) as connection:
            table = sql.Identifier(settings.tape, "offsets")
            found: list[Any] = connection.execute(
                sql.SQL("SELECT topic, partition, next_offset FROM {}").format(table)
            ).fetchall()
    except (StoreError, psycopg.Error):
        # Lag of what is not there is no error of this command.
        return {}
    return {(topic, partition): offset for topic, partition, offset in found}
