"""Every table holds exactly what its events say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from schemas import catalogue
from sinks.comparison import FIRST_ID, copied_rows, fields, select_in_order
from sinks.config import DatabaseConfig
from sinks.storage import Connection
from sinks.store import Store, Update
from sinks.tables import Column, Table, tables
from tests.sinks.batches import Json, batch, events, same

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# More chunks than this a transaction are never asked for (Store.MOST_CHUNKS).
_FEW = 5


def rows_of(table: Table) -> st.SearchStrategy[list[Json]]:
    return st.lists(events(table.record), min_size=1, max_size=_FEW)


def expected(column: Column, event: Json, record: str) -> Any:
    """What a client must read in a column, by a way that shares nothing with the encoder."""
    value: Any = event
    if column.array:
        items = event[column.field]
        value = [item if column.item == "value" else item[column.item] for item in items]
    else:
        for name in [column.field] if column.field in event else column.field.split("_", 1):
            value = value[name]
    if column.kind == "time" and value is not None:
        return _EPOCH + timedelta(microseconds=value)
    return value


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_rows_of_every_table_read_as_their_events(
    table: Table, connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    config = config.model_copy(update={"quote_interval_ms": 0})
    store = Store.open(connection, tape, config, specs=[table])
    (state,) = store.states([(table.topic, 0)]).values()

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows_of(table))
    def check(found: list[Json]) -> None:
        offset = state.next_offset
        for index, event in enumerate(found):
            if table.derived:
                event["origin"] |= {"partition": 0, "offset": offset + index}
                event["seq"] = 0
        made, refused = state.rows.process(
            batch(table.topic, 0, [(table.record, event) for event in found], offset)
        )
        assert not refused
        store.write([Update(state, made, offset + len(found))])
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
        got = connection.execute(
            sql.SQL("SELECT {} FROM {} WHERE {} >= {} ORDER BY {}").format(
                names,
                sql.Identifier(tape, table.name),
                sql.Identifier(table.id_columns[1]),
                offset,
                sql.Identifier(table.id_columns[1]),
            )
        ).fetchall()
        assert len(got) == len(found)
        for index, (row, event) in enumerate(zip(got, found, strict=True)):
            for column, value in zip(table.columns, row, strict=True):
                if column.field:
                    assert same(value, expected(column, event, table.record)), column.name
                else:
                    assert value == (0 if column.name == "tape_partition" else offset + index)
        statement = select_in_order(tape, table, 0, FIRST_ID)
        copied = list(copied_rows(connection, statement))[-len(found) :]
        assert b"".join(copied) == made[0].encoded.data.tobytes()
        assert [len(fields(row)) for row in copied] == [len(table.columns)] * len(found)

    check()


def test_every_record_of_inputs_and_derived_topics_has_a_table_or_is_named_as_not_stored() -> None:
    from sinks.tables import NOT_STORED

    stored = {table.record for table in tables()}
    for topic in catalogue.TOPICS:
        if topic.kind != "internal":
            assert set(topic.records) <= stored | NOT_STORED
