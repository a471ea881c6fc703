"""One topic against its tables: what the rows should be, and where they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from schemas.catalogue import BY_NAME
from schemas.errors import StoreError
from sinks.comparison import FIRST_ID, LAST_ID, Comparison, copied_rows, select_in_order
from sinks.decoding import BatchDecoder
from sinks.instant import Instant
from sinks.reading import Fetched, TopicReader, read_until
from sinks.rows import Id, PartitionRows, TableRows
from sinks.sampling import Sampler, Series
from sinks.storage import Connection
from sinks.tables import Table, tables


@dataclass(frozen=True, slots=True)
class TableProof:
    """What one table came to."""

    table: str
    topic: str
    rows: int
    """Rows that are equal (up to the first difference)."""
    difference: str
    """The first difference; empty where there is none."""


class TopicProof:
    """Compares all tables of a topic, partition by partition."""

    def __init__(self, instant: Instant, topic: str) -> None:
        self._instant, self._topic = instant, topic
        self._specs = [table for table in tables() if table.topic == topic]
        self._counts = dict.fromkeys((table.name for table in self._specs), 0)
        self._differences: dict[str, str] = {}

    def tables(self) -> list[TableProof]:
        """The outcome by table."""
        return [
            TableProof(name, self._topic, count, self._differences.get(name, ""))
            for name, count in self._counts.items()
        ]

    def run(
        self, reader: TopicReader, decoder: BatchDecoder, spans: Mapping[int, tuple[int, int]]
    ) -> Iterator[int]:
        """Compare each partition's offsets [low, end); yields how many events each step did.

        A table is left where it differs for the first time.
        """
        self._find_strays(len(spans))
        with self._instant.connections(list(self._counts)) as connections:
            for partition, (low, end) in spans.items():
                if end > reader.watermarks(self._topic, partition)[1]:
                    raise StoreError(
                        f"the database is beyond the end of {self._topic} partition {partition}:"
                        " the topic was made anew"
                    )
                same = [table for table in self._specs if table.name not in self._differences]
                one = _Partition(self._instant, connections, same, self._topic, partition)
                yield from one.run(reader, decoder, low, end)
                for name, comparison in one.comparisons.items():
                    self._counts[name] += comparison.rows
                    if comparison.difference:
                        self._differences[name] = comparison.difference

    def _find_strays(self, partitions: int) -> None:
        """Rows of partitions that the topic does not have."""
        for table in self._specs:
            column = sql.Identifier(table.id_columns[0])
            row = self._instant.connection.execute(
                sql.SQL("SELECT {} FROM {} WHERE {} < 0 OR {} >= {} LIMIT 1").format(
                    column,
                    sql.Identifier(self._instant.tape, table.name),
                    column,
                    column,
                    sql.Literal(partitions),
                )
            ).fetchone()
            if row:
                self._differences[table.name] = (
                    f"{table.name}: row of partition {row[0]}, which is not in the topic"
                )


class _Partition:
    """One partition of a topic against all tables of the topic."""

    def __init__(
        self,
        instant: Instant,
        connections: Mapping[str, Connection],
        specs: Sequence[Table],
        topic: str,
        partition: int,
    ) -> None:
        self._tape, self._connections = instant.tape, connections
        self._kept_from = instant.kept_from_us
        self._interval_us = instant.quote_interval_ms * 1_000
        self._specs, self._topic, self._number = specs, topic, partition
        self.comparisons: dict[str, Comparison] = {}

    def run(self, reader: TopicReader, decoder: BatchDecoder, low: int, end: int) -> Iterator[int]:
        """Compare records [low, end); yields how many each step did."""
        state = PartitionRows(self._topic, self._number, Sampler(self._interval_us))
        if low:
            state.sampler.last = self._sampled_before(low)
        at = (self._topic, self._number)
        for fetched in read_until(reader, {at: low}, {at: end}):
            self._expect(state, decoder, fetched, low)
            yield len(fetched)
        self._open(self._first_id([], low))
        for comparison in self.comparisons.values():
            comparison.finish()

    def _expect(
        self, state: PartitionRows, decoder: BatchDecoder, fetched: Fetched, low: int
    ) -> None:
        found, _ = state.process(decoder.decode(fetched))
        if found:
            self._open(self._first_id(found, low))
        for rows in found:
            if rows.table.name in self.comparisons:
                self.comparisons[rows.table.name].expect(rows)

    def _first_id(self, found: Sequence[TableRows], low: int) -> Id:
        """The id from which on table and topic must agree; earlier rows' events are deleted."""
        if not low:
            return FIRST_ID
        if BY_NAME[self._topic].kind != "derived":
            return (low, 0)
        return min(((int(r.ids[0, 0]), int(r.ids[0, 1])) for r in found), default=LAST_ID)

    def _sampled_before(self, low: int) -> dict[Series, int]:
        """The newest quote of each series that was stored from below `low`, by its time in µs."""
        for table in self._specs:
            if table.sampled:
                rows = self._connections[table.name].execute(
                    sql.SQL(
                        "SELECT DISTINCT ON (venue, symbol) venue, symbol,"
                        " (extract(epoch FROM event_time) * 1000000)::bigint FROM {}"
                        " WHERE tape_partition = %s AND tape_offset < %s"
                        " ORDER BY venue, symbol, tape_offset DESC"
                    ).format(sql.Identifier(self._tape, table.name)),
                    (self._number, low),
                )
                return {(str(v), str(s)): int(str(time)) for v, s, time in rows}
        return {}

    def _open(self, first: Id) -> None:
        if self.comparisons:
            return
        for table in self._specs:
            kept_from = self._kept_from.get(table.name)
            statement = select_in_order(self._tape, table, self._number, first, kept_from)
            rows = copied_rows(self._connections[table.name], statement)
            self.comparisons[table.name] = Comparison(table, self._number, rows, kept_from)
