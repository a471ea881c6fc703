"""`tape tail`: prints a topic's events as they come, decoded."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas import catalogue
from schemas.catalogue import kafka_name
from schemas.errors import ConfigError, SchemaError, StoreError
from tape import clients, config
from tape.config import Settings
from tape.stack.addresses import addresses

if TYPE_CHECKING:
    from schemas.registry import SchemaIds

_POLL_S = 0.5
_MOST_LEVELS = 3


def command(
    topic: Annotated[str, typer.Argument(help="tape, books, bars, …: as `tape topics` lists.")],
    count: Annotated[
        int, typer.Option("-n", min=0, help="How many of each partition's last to begin with.")
    ] = 10,
    follow: Annotated[bool, typer.Option(help="Go on with what comes, until Ctrl-C.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    partition: Annotated[int | None, typer.Option(help="Only this partition.")] = None,
) -> None:
    """Print the newest events of a topic, decoded, then new ones as they come, until Ctrl-C.

    A line is: event time, partition:offset, record type, fields. Times in fields are
    microseconds UTC.

    Example: `tape --tape h tail bars -n 3 --no-follow`; with `--json` for other programs
    """
    if topic not in catalogue.BY_NAME:
        known = ", ".join(catalogue.BY_NAME)
        raise ConfigError(f"there is no topic {topic!r}; there are: {known}")
    settings = addresses(config.settings(), only=("kafka", "registry"))

    from streams import topics

    topics.partitions_of(settings.kafka, settings.tape)
    ids = clients.registry(settings).ids(settings.tape)
    for message in _messages(settings, topic, partition, count, follow):
        _print(message, ids, as_json)


def _messages(
    settings: Settings, topic: str, partition: int | None, count: int, follow: bool
) -> Iterator[Any]:
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    from streams import topics
    from streams.kafka import client_config, connect

    name = kafka_name(settings.tape, topic)
    admin = connect(settings.kafka)
    partitions = topics.count_of(admin, name)
    if partition is not None and not 0 <= partition < partitions:
        raise ConfigError(f"{name} has no partition {partition}; it has {partitions}")
    ends = topics.end_offsets(admin, name, partitions)
    starts = topics.start_offsets(admin, name, partitions)
    wanted = range(partitions) if partition is None else [partition]
    if all(starts[p] == ends[p] for p in wanted):
        waits = "; waiting for the first (Ctrl-C ends it)" if follow else ""
        print(f"{name} holds no events yet{waits}", file=sys.stderr)
    consumer = Consumer(
        client_config(settings.kafka)
        | {
            "group.id": f"{settings.tape}.tail",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(name, p, max(starts[p], ends[p] - count)) for p in wanted])
    left = set(wanted)
    try:
        while follow or left:
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
            elif error.fatal():
                raise StoreError(f"{name} cannot be read on: {error.str()}")
    finally:
        consumer.close()


def _print(message: Any, ids: "SchemaIds", as_json: bool) -> None:
    value = message.value() or b""
    record, fields = _decoded(value, ids)
    place = {"partition": message.partition(), "offset": message.offset(), "record": record}
    if as_json:
        key = (message.key() or b"").decode(errors="replace")
        print(json.dumps({**place, "key": key, "event": fields}), flush=True)
        return
    time_us = fields.pop("event_time", message.timestamp()[1] * 1000)
    at = datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    rest = "  ".join(f"{name}={_short(part)}" for name, part in fields.items())
    print(f"{at}  {message.partition()}:{message.offset()}  {record:<14} {rest}", flush=True)


def _decoded(value: bytes, ids: "SchemaIds") -> tuple[str, dict[str, Any]]:
    import msgspec

    from schemas import rows

    try:
        try:
            event = rows.decode(value, ids.writers)
        except SchemaError:
            if len(value) < 5 or value[0]:
                raise
            # Perhaps a newer writer's schema.
            ids.fetch(int.from_bytes(value[1:5], "big"))
            event = rows.decode(value, ids.writers)
    except (SchemaError, StoreError) as error:
        return "undecodable", {"reason": str(error), "bytes": value[:64].hex()}
    return type(event).__name__, msgspec.to_builtins(event)


def _short(value: Any) -> str:
    """A value for one line: long lists and bytes are cut."""
    if isinstance(value, list) and len(value) > _MOST_LEVELS:
        return f"[{', '.join(map(_short, value[:_MOST_LEVELS]))}, … {len(value)}]"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_short, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_short(part)}" for name, part in value.items()) + "}"
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
