"""From a topic's batches to the rows of its tables: which, without repeats, and how encoded."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas import catalogue
from schemas.columns import Batch
from sinks.encoding import END_TIME_US, FIRST_TIME_US, Encoded, encode
from sinks.sampling import Sampler
from sinks.tables import TIME, Table, tables

Integers = NDArray[np.int64]
Id = tuple[int, int]
"""(offset, seq): grows strictly within a partition; seq is 0 for inputs."""

NO_ID: Id = (-1, -1)

Position = tuple[str, int]
"""Logical topic and partition."""


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows for one table in the order of their ids; event and receive times in µs."""

    table: Table
    encoded: Encoded
    ids: Integers
    """Shape (rows, 2)."""
    times: Integers
    received: Integers


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot become a row: where it is in its batch, and why."""

    index: int
    reason: str


def counts(batch: Batch) -> dict[str, int]:
    """How many records of each type a batch has."""
    return {record: len(table) for record, table in batch.tables.items() if len(table)}


@dataclass(slots=True)
class PartitionRows:
    """The state of one partition of a topic: what makes its rows a function of the topic.

    `last_id` is the id of the newest derived event, whose repeats are dropped.
    """

    topic: str
    partition: int
    sampler: Sampler
    last_id: Id = NO_ID
    repeats: int = 0
    tables: tuple[Table, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.tables = tuple(
            table
            for table in tables()
            if table.topic == self.topic and not (table.once_for_all and self.partition)
        )

    def process(self, batch: Batch) -> tuple[list[TableRows], list[Refused]]:
        """The rows that a batch gives, by table, and the records that give none but should."""
        fresh = self._fresh(batch)
        refused = [Refused(index, reason) for index, reason in batch.refused]
        found = []
        for table in self.tables:
            indexes = np.flatnonzero((batch.kind == catalogue.RECORDS.index(table.record)) & fresh)
            if len(indexes):
                rows, bad = self._rows(table, batch, indexes)
                refused += bad
                if len(rows.encoded):
                    found.append(rows)
        return found, sorted(refused, key=lambda one: one.index)

    def _rows(
        self, table: Table, batch: Batch, indexes: Integers
    ) -> tuple[TableRows, list[Refused]]:
        indexes = indexes[self._stored_here(table, batch, indexes)]
        if table.sampled:
            # A time that cannot be stored must be refused, not sampled.
            times = batch.tables[table.record][TIME][batch.row[indexes]]
            sane = (times >= FIRST_TIME_US) & (times < END_TIME_US)
            kept = ~sane
            kept[sane] = self.sampler.keep(batch, table.record, batch.row[indexes[sane]])
            indexes = indexes[kept]
        rows = batch.row[indexes]
        encoded, bad = encode(table, batch, rows, batch.offsets[indexes])
        refused = [Refused(int(indexes[i]), reason) for i, reason in bad]
        good = np.ones(len(rows), np.bool_)
        good[[i for i, _ in bad]] = False
        indexes, rows = indexes[good], rows[good]
        ids = self._ids(batch, table.record, rows) if table.derived else None
        if ids is None:
            ids = np.column_stack((batch.offsets[indexes], np.zeros(len(rows), np.int64)))
        records = batch.tables[table.record][rows]
        return TableRows(table, encoded, ids, records[TIME], records["receive_time"]), refused

    def _stored_here(self, table: Table, batch: Batch, indexes: Integers) -> NDArray[np.bool_]:
        """Global events are on every partition; partition 0's are stored."""
        stored = np.ones(len(indexes), np.bool_)
        names = batch.tables[table.record].dtype.names or ()
        if table.derived or not self.partition or "symbol_start" not in names:
            return stored
        records = batch.tables[table.record][batch.row[indexes]]
        for i in np.flatnonzero(records["symbol_length"] == 1):
            start = int(records["symbol_start"][i])
            stored[i] = batch.text[start] != ord(catalogue.EVERY_SYMBOL)
        return stored

    @staticmethod
    def _ids(batch: Batch, record: str, rows: Integers) -> Integers:
        table = batch.tables[record][rows]
        return np.column_stack((table["origin_offset"], table["seq"]))

    def _fresh(self, batch: Batch) -> NDArray[np.bool_]:
        """Which records are no repeats: those of inputs, and derived ones with a higher id."""
        fresh = np.ones(len(batch), np.bool_)
        if catalogue.BY_NAME[self.topic].kind != "derived":
            return fresh
        ids = np.full((len(batch), 2), -1, np.int64)
        for record in catalogue.BY_NAME[self.topic].records:
            indexes = np.flatnonzero(batch.kind == catalogue.RECORDS.index(record))
            if len(indexes):
                ids[indexes] = self._ids(batch, record, batch.row[indexes])
        last = self.last_id
        for index, offset, seq in zip(range(len(ids)), *ids.T.tolist(), strict=True):
            if batch.kind[index] < 0:
                continue
            if (offset, seq) > last:
                last = (offset, seq)
            else:
                fresh[index] = False
                self.repeats += 1
        self.last_id = last
        return fresh
