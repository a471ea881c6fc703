"""The index that queries by time use, made with the table or, which is quicker, when it is full.

Each chunk's is made in a transaction of its own, so that none locks many.
"""

from psycopg import sql

from sinks.storage import Connection, Storage, partitions
from sinks.tables import TIME, Table


def create(connection: Connection, schema: str, table: Table) -> None:
    """Make the index of a table that is empty."""
    connection.execute(
        sql.SQL("CREATE INDEX ON {} ({})").format(
            sql.Identifier(schema, table.name), _columns(table)
        )
    )


def complete(connection: Connection, schema: str, table: Table, storage: Storage) -> None:
    """Make the index of a table that has rows, where it is not there; needs autocommit.

    What a run before has made of it, is kept.
    """
    found = _found(connection, schema, table)
    if found is not None and found[1]:
        return
    if storage == "hypertable":
        if found is not None:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(found[0])))
        connection.execute(
            sql.SQL("CREATE INDEX ON {} ({}) WITH (timescaledb.transaction_per_chunk)").format(
                sql.Identifier(schema, table.name), _columns(table)
            )
        )
        return
    if found is None:
        connection.execute(
            sql.SQL("CREATE INDEX ON ONLY {} ({})").format(
                sql.Identifier(schema, table.name), _columns(table)
            )
        )
        found = _found(connection, schema, table)
    assert found is not None
    _attach(connection, schema, table, found[0])


def _attach(connection: Connection, schema: str, table: Table, parent: str) -> None:
    """Make each partition's index and make it part of the parent's."""
    done = {
        str(name)
        for (name,) in connection.execute(
            "SELECT x.indrelid::regclass::text FROM pg_inherits i"
            " JOIN pg_index x ON x.indexrelid = i.inhrelid WHERE i.inhparent = %s::regclass",
            (parent,),
        )
    }
    for number, (chunk, _) in enumerate(partitions(connection, schema, table.name)):
        if chunk in done:
            continue
        with connection.transaction():
            oid = connection.execute("SELECT %s::regclass::oid", (chunk,)).fetchone()
            name = sql.Identifier(f"{table.name}_{(oid or (number,))[0]}_query")
            connection.execute(
                sql.SQL("CREATE INDEX {} ON {} ({})").format(name, sql.SQL(chunk), _columns(table))
            )
            of_chunk = sql.SQL(chunk.rpartition(".")[0] + ".") + name
            connection.execute(
                sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(sql.SQL(parent), of_chunk)
            )


def _found(connection: Connection, schema: str, table: Table) -> tuple[str, bool] | None:
    """The index's name and whether it is whole; None: there is none."""
    row = connection.execute(
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index"
        " WHERE indrelid = %s::regclass AND NOT indisunique"
        " AND pg_get_indexdef(indexrelid) LIKE %s",
        (f'"{schema}"."{table.name}"', f"%{TIME} DESC)%"),
    ).fetchone()
    return (str(row[0]), bool(row[1])) if row else None


def _columns(table: Table) -> sql.Composed:
    lead = [sql.Identifier(column) for column in table.query_columns]
    return sql.SQL(", ").join([*lead, sql.SQL(f"{TIME} DESC")])
