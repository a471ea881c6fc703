"""What the end of a tape already holds: each instrument's last trades and closed candles."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import TAPE
from schemas.errors import SchemaError
from schemas.events import Kline, Trade
from schemas.registry import SchemaIds
from schemas.rows import decode
from streams import log
from streams.config import KafkaConfig
from streams.records import Records

# So many of a partition's last records are looked at: a minute or two of a busy one.
LOOK_BACK = 100_000
_OF_INTEREST = ("Trade", "Kline")

Key = tuple[str, str]
"""Venue and symbol."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last events by venue and symbol, in the order of the tape."""

    trades: Mapping[Key, list[Trade]] = field(default_factory=dict)
    klines: Mapping[Key, list[Kline]] = field(default_factory=dict)
    newest_us: Mapping[str, int] = field(default_factory=dict)
    """Newest receive time by venue: until then a collector was running."""


def read(kafka: KafkaConfig, ids: SchemaIds, tape: str) -> Tail:
    """The tail of every partition, bounded by `LOOK_BACK`; StoreError when Kafka is away."""
    trades: dict[Key, list[Trade]] = defaultdict(list)
    klines: dict[Key, list[Kline]] = defaultdict(list)
    newest: dict[str, int] = defaultdict(int)
    for partition, end in log.ends(kafka, tape, TAPE).items():
        for event in _events(kafka, ids, tape, partition, end):
            newest[event.venue] = max(newest[event.venue], event.receive_time)
            if isinstance(event, Trade):
                trades[event.venue, event.symbol].append(event)
            elif event.closed:
                klines[event.venue, event.symbol].append(event)
    return Tail(dict(trades), dict(klines), dict(newest))


def _events(
    kafka: KafkaConfig, ids: SchemaIds, tape: str, partition: int, end: int
) -> Iterator[Trade | Kline]:
    wanted = [
        number
        for number, schema in ids.writers.items()
        if str(schema["name"]).rpartition(".")[2] in _OF_INTEREST
    ]
    for records in log.read(kafka, tape, TAPE, partition, max(0, end - LOOK_BACK), end):
        for index in np.flatnonzero(np.isin(_schema_ids(records), wanted)).tolist():
            try:
                event = decode(records.value(index), ids.writers)
            except SchemaError:
                continue  # The worker tells of it.
            if isinstance(event, Trade | Kline):
                yield event


def _schema_ids(records: Records) -> NDArray[np.int64]:
    """Each record's schema id; -1 for one without."""
    framed = records.value_ends - records.value_starts >= 5
    places = np.where(framed, records.value_starts, 0)[:, None] + np.arange(1, 5)
    if not len(records.buffer):
        return np.full(len(records), -1, np.int64)
    found = records.buffer[np.minimum(places, len(records.buffer) - 1)].astype(np.int64)
    return np.where(framed, found @ (256 ** np.arange(3, -1, -1)), -1)
