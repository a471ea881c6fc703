"""Proving tables equal to their topics, row for row, every column."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from schemas.catalogue import BY_NAME
from schemas.errors import StoreError
from schemas.registry import Registry
from sinks.comparison import FIRST_ID, LAST_ID, Comparison, copied_rows, select_in_order
from sinks.config import DatabaseConfig
from sinks.decoding import BatchDecoder
from sinks.reading import Fetched, TopicReader, read_until
from sinks.rows import Id, PartitionRows, Position, TableRows
from sinks.sampling import Sampler, Series
from sinks.storage import Connection
from sinks.store import connect
from sinks.tables import Table, tables
from streams.config import KafkaConfig

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class TableProof:
    """What one table came to."""

    table: str
    topic: str
    rows: int
    """Rows that are equal (up to the first difference)."""
    difference: str
    """The first difference; empty where there is none."""


@dataclass(slots=True)
class Report:
    """The outcome of a verification."""

    tables: list[TableProof] = field(default_factory=list)
    behind: int = 0
    """Events that the topics held at the start and the sink had not stored in time."""

    @property
    def equal(self) -> bool:
        """Whether every table is its topic, up to the topic's end."""
        return not self.behind and not any(proof.difference for proof in self.tables)


Progress = Callable[[int, int], None]
"""Is told events done and events in all."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Compares the tables of topics with the topics."""

    kafka: KafkaConfig
    registry: Registry
    config: DatabaseConfig
    url: str
    tape: str
    topics: Sequence[str]

    def run(self, wait_s: float = 30.0, on_progress: Progress = lambda done, total: None) -> Report:
        """Compare, once the sink has stored what is there now, or `wait_s` have passed.

        The tables are seen as of one instant; a sink that runs on does not disturb.
        Raises StoreError when something needed cannot be reached.
        """
        reader = TopicReader(self.kafka, self.tape)
        try:
            marks = {
                (topic, partition): reader.watermarks(topic, partition)
                for topic in self.topics
                for partition in range(reader.partitions(topic))
            }
            with connect(self.url) as connection:
                report = Report(behind=self._await(connection, marks, wait_s))
                self._compare(connection, reader, marks, report, on_progress)
            return report
        finally:
            reader.close()

    def _await(
        self, connection: Connection, marks: dict[Position, tuple[int, int]], wait_s: float
    ) -> int:
        deadline = time.monotonic() + wait_s
        while True:
            offsets = self._offsets(connection)
            behind = sum(max(high - offsets.get(at, 0), 0) for at, (_, high) in marks.items())
            if not behind or time.monotonic() > deadline:
                return behind
            time.sleep(_POLL_S)

    def _offsets(self, connection: Connection) -> dict[Position, int]:
        there = connection.execute(
            "SELECT to_regclass(%s) IS NOT NULL",
            (sql.Identifier(self.tape, "offsets").as_string(connection),),
        ).fetchone()
        if there is None or not there[0]:
            return {}
        rows = connection.execute(
            sql.SQL("SELECT topic, partition, next_offset FROM {}").format(
                sql.Identifier(self.tape, "offsets")
            )
        ).fetchall()
        return {(str(t), int(str(p))): int(str(offset)) for t, p, offset in rows}

    def _compare(
        self,
        connection: Connection,
        reader: TopicReader,
        marks: dict[Position, tuple[int, int]],
        report: Report,
        on_progress: Progress,
    ) -> None:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        offsets = self._offsets(connection)
        if not offsets:
            raise StoreError(f"tape {self.tape!r} has no tables: run `tape sink`")
        snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert snapshot is not None
        decoder = BatchDecoder(self.registry, self.tape)
        total = sum(max(offsets.get(at, 0) - low, 0) for at, (low, _) in marks.items())
        done = 0
        for topic in self.topics:
            specs = [table for table in tables() if table.topic == topic]
            counts = dict.fromkeys((table.name for table in specs), 0)
            differences: dict[str, str] = {}
            parts = [partition for name, partition in marks if name == topic]
            with ExitStack() as stack:
                connections = {
                    table.name: stack.enter_context(_same_snapshot(self.url, str(snapshot[0])))
                    for table in specs
                }
                for table in specs:
                    if stray := self._stray(connection, table, len(parts)):
                        differences[table.name] = stray
                for partition in parts:
                    at = (topic, partition)
                    if offsets.get(at, 0) > reader.watermarks(*at)[1]:
                        raise StoreError(
                            f"the database is beyond the end of {topic} partition {partition}:"
                            " the topic was made anew"
                        )
                    same = [table for table in specs if table.name not in differences]
                    one = _Partition(self, connections, same, topic, partition)
                    for records in one.run(reader, decoder, marks[at][0], offsets.get(at, 0)):
                        done += records
                        on_progress(done, total)
                    for comparison in one.comparisons.values():
                        counts[comparison.table.name] += comparison.rows
                        if comparison.difference:
                            differences.setdefault(comparison.table.name, comparison.difference)
            report.tables += [
                TableProof(table.name, topic, counts[table.name], differences.get(table.name, ""))
                for table in specs
            ]

    def _stray(self, connection: Connection, table: Table, partitions: int) -> str:
        """Rows of partitions that the topic does not have."""
        column = sql.Identifier(table.id_columns[0])
        row = connection.execute(
            sql.SQL("SELECT {} FROM {} WHERE {} < 0 OR {} >= {} LIMIT 1").format(
                column, sql.Identifier(self.tape, table.name), column, column, partitions
            )
        ).fetchone()
        return f"{table.name}: row of partition {row[0]}, which is not in the topic" if row else ""


@contextmanager
def _same_snapshot(url: str, snapshot: str) -> Iterator[Connection]:
    """A connection that sees what the exporting one does."""
    connection = connect(url)
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
        yield connection
    finally:
        connection.close()


class _Partition:
    """One partition of a topic against all tables of the topic."""

    def __init__(
        self,
        verification: Verification,
        connections: dict[str, Connection],
        specs: Sequence[Table],
        topic: str,
        partition: int,
    ) -> None:
        self._tape, self._connections = verification.tape, connections
        self._interval_us = verification.config.quote_interval_ms * 1_000
        self._specs, self._topic, self._number = specs, topic, partition
        self.comparisons: dict[str, Comparison] = {}

    def run(self, reader: TopicReader, decoder: BatchDecoder, low: int, end: int) -> Iterator[int]:
        """Compare records [low, end); yields how many each step did."""
        topic = self._topic
        state = PartitionRows(topic, self._number, Sampler(self._interval_us))
        if low:
            state.sampler.last = self._sampled_before(low)
        at = (topic, self._number)
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
            statement = select_in_order(self._tape, table, self._number, first)
            rows = copied_rows(self._connections[table.name], statement)
            self.comparisons[table.name] = Comparison(table, self._number, rows)
