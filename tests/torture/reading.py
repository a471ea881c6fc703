"""Reads topics and tables with confluent-kafka, fastavro and psycopg: for the checker alone."""

import io
import json
import struct
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import psycopg
from confluent_kafka import Consumer, TopicPartition
from psycopg import sql

from tests.torture.checker import Id, Instrument, Record, Row

_FRAME = struct.Struct(">bI")
_READ_S = 30.0
_JUMP_BACK_US = 60_000_000

Decoded = tuple[str, dict[str, Any]]
"""Record type and fields."""


class Schemas:
    """Decodes values by the registry's schemas; ValueError for bytes that are no event."""

    def __init__(self, registry_url: str) -> None:
        self._url = registry_url
        self._known: dict[int, Any] = {}

    def decode(self, value: bytes) -> Decoded:
        """Record type and fields of a framed value."""
        if len(value) < _FRAME.size or value[0]:
            raise ValueError(f"no frame: {value[:8]!r}")
        (_, number) = _FRAME.unpack_from(value)
        schema = self._known.get(number)
        if schema is None:
            schema = self._known[number] = self._fetch(number)
        stream = io.BytesIO(value[_FRAME.size :])
        try:
            fields: dict[str, Any] = fastavro.schemaless_reader(stream, schema, None)
        except Exception as error:  # fastavro raises what Python raises
            raise ValueError(f"no {schema['name']}: {error!r}") from None
        if stream.read(1):
            raise ValueError(f"bytes after the {schema['name']}")
        return schema["name"].rpartition(".")[2], fields

    def id_of(self, value: bytes) -> Id:
        """(origin offset, seq) of a derived event."""
        _, fields = self.decode(value)
        try:
            return fields["origin"]["offset"], fields["seq"]
        except KeyError as error:
            raise ValueError(f"a record without {error}") from None

    def _fetch(self, number: int) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/schemas/ids/{number}", timeout=10) as answer:
                return fastavro.parse_schema(json.loads(json.loads(answer.read())["schema"]))
        except OSError as error:
            raise ValueError(f"no schema {number}: {error}") from None


class Topics:
    """Whole partitions of a tape's topics."""

    def __init__(self, bootstrap: str, tape: str) -> None:
        self._tape = tape
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"{tape}.checker",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "check.crcs": True,
            }
        )

    def end(self, topic: str, partition: int) -> int:
        """The next offset."""
        at = TopicPartition(f"{self._tape}.{topic}", partition)
        return int(self._consumer.get_watermark_offsets(at, timeout=_READ_S)[1])

    def read(self, topic: str, partition: int) -> Iterator[tuple[int, Record]]:
        """(offset, record), from the first to the last that is there now."""
        end = self.end(topic, partition)
        if not end:
            return
        self._consumer.assign([TopicPartition(f"{self._tape}.{topic}", partition, 0)])
        offset = -1
        while offset + 1 < end:
            # It waits until it has as many as are asked for.
            found = self._consumer.consume(min(10_000, end - offset - 1), timeout=_READ_S)
            assert found, f"{topic}[{partition}] cannot be read from {offset + 1} to {end}"
            for message in found:
                assert message.error() is None, message.error()
                offset = message.offset()
                if offset < end:
                    yield offset, (
                        message.key() or b"", message.value() or b"", message.timestamp()[1]
                    )  # fmt: skip

    def close(self) -> None:
        """End the consumer."""
        self._consumer.close()


def ledger(path: Path, symbols: Iterable[str]) -> dict[Instrument, list[str]]:
    """What the simulator published: ids as they are collected, by (venue, canonical symbol)."""
    canonical = {symbol.replace("-", ""): symbol for symbol in symbols}
    found: dict[Instrument, list[str]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if "trades" in entry:
                plain = entry["symbol"].replace("-SWAP", "").replace("-", "")
                place = found.setdefault((entry["venue"], canonical[plain]), [])
                place += entry.get("aggregates", entry["trades"])
    return found


def flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """An event as columns: nested fields by prefix, arrays of records as one array a field."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        column = f"{prefix}{name}"
        if isinstance(value, dict):
            found |= flat(value, f"{column}_")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for child in value[0]:
                found[f"{column}_{child}"] = [item[child] for item in value]
        else:
            found[column] = value
    return found


class Quotes:
    """The rule by which quotes are stored: the first of each interval, by venue and symbol."""

    def __init__(self, interval_us: int) -> None:
        self._interval_us, self._last = interval_us, dict[tuple[str, str], int]()

    def is_stored(self, fields: Mapping[str, Any]) -> bool:
        """Whether this one is; to be asked in the order of the partition."""
        series, time_us = (fields["venue"], fields["symbol"]), _us(fields["event_time"])
        last = self._last.get(series)
        if (
            last is not None
            and time_us // self._interval_us <= last // self._interval_us
            and time_us >= last - _JUMP_BACK_US
        ):
            return False
        self._last[series] = time_us
        return True


def _us(moment: Any) -> int:
    microseconds: int = round(moment.timestamp() * 1_000_000)
    return microseconds


def rows(url: str, tape: str, table: str, columns: Sequence[str]) -> Iterator[Row]:
    """All rows of a table."""
    query = sql.SQL("SELECT {} FROM {}.{}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(tape),
        sql.Identifier(table),
    )
    with psycopg.connect(url) as connection, connection.cursor("checker") as cursor:
        connection.execute("SET TIME ZONE 'UTC'")
        for row in cursor.execute(query):
            yield dict(zip(columns, row, strict=True))


def columns_of(url: str, tape: str) -> dict[str, list[str]]:
    """Columns by table of a tape's schema."""
    found: dict[str, list[str]] = {}
    with psycopg.connect(url) as connection:
        for table, column in connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = %s",
            (tape,),
        ):
            found.setdefault(table, []).append(column)
    return found
