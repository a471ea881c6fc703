"""Batches made from plain events by the tape's own codec, and rows made plain again."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from processors.config import VERSION, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue, encode, rows
from schemas.columns import Batch, Rows
from schemas.decode import Decoder
from schemas.events import Configured, Event

IDS = {record: index + 1 for index, record in enumerate(catalogue.RECORDS)}
WRITERS = {schema_id: catalogue.schema(record) for record, schema_id in IDS.items()}
_DECODER = Decoder(WRITERS)

Emitted = dict[str, list[bytes]]


def batch(events: Sequence[Event], first_offset: int = 0, partition: int = 3) -> Batch:
    """A decoded batch of events at consecutive offsets."""
    values = [rows.encode(event, IDS[type(event).__name__]) for event in events]
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    return _DECODER.decode(
        catalogue.TAPE,
        partition,
        np.frombuffer(b"".join(values), np.uint8),
        ends - np.array([len(value) for value in values], np.int64),
        ends,
        np.arange(first_offset, first_offset + len(values), dtype=np.int64),
        np.array([getattr(event, "event_time") // 1000 for event in events], np.int64),  # noqa: B009
    )


def configured(config: ProcessorsConfig, event_time: int = 0) -> Configured:
    """The event that puts a configuration in force."""
    return Configured(
        event_time=event_time,
        receive_time=event_time,
        version=VERSION,
        hash=config.hash(),
        configuration=config.canonical_json(),
    )


def values(emitted: Iterable[Rows]) -> Emitted:
    """Emitted rows as encoded bytes by topic."""
    found: Emitted = {}
    for part in emitted:
        data, starts, ends = encode.encode(part, IDS[part.record])
        found.setdefault(part.topic, []).extend(
            data[start:end].tobytes() for start, end in zip(starts, ends, strict=True)
        )
    return found


def add(total: Emitted, more: Emitted) -> Emitted:
    """Join what was emitted later to what was emitted before."""
    for topic, found in more.items():
        total.setdefault(topic, []).extend(found)
    return total


def plain(emitted: Iterable[Rows]) -> dict[str, list[Any]]:
    """Emitted rows as events by topic."""
    return {
        topic: [rows.decode(value, WRITERS) for value in found]
        for topic, found in values(emitted).items()
    }


def run(events: Sequence[Event], config: ProcessorsConfig | None = None) -> dict[str, list[Any]]:
    """What a new pipeline emits for events in one batch, under a configuration."""
    first = [configured(config or ProcessorsConfig())]
    return plain(Pipeline().process(batch([*first, *events])))
