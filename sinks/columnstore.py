"""TimescaleDB's columnstore (compression, before 2.18), which only its own licence has.

Not run by our tests: the build that they have is of the Apache licence. The statements follow
TimescaleDB's documentation of ALTER TABLE (hypercore), add_columnstore_policy and, for older
servers, add_compression_policy.
"""

from psycopg import sql

from sinks.storage import Connection
from sinks.tables import TIME, Table

_COLUMNSTORE_SINCE = (2, 18)


def unavailable(connection: Connection) -> str:
    """Why this server cannot compress chunks; empty: it can."""
    row = connection.execute(
        "SELECT max(extversion), current_setting('timescaledb.license', true)"
        " FROM pg_extension WHERE extname = 'timescaledb'"
    ).fetchone()
    version, license_ = row or (None, None)
    if version is None:
        return "PostgreSQL without TimescaleDB has no columnstore"
    if license_ != "timescale":
        return (
            f"this TimescaleDB's licence is {license_!r}: columnstore and its policies need"
            " 'timescale' (timescaledb.license)"
        )
    return ""


def version(connection: Connection) -> tuple[int, int]:
    """TimescaleDB's major and minor version."""
    row = connection.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    ).fetchone()
    major, minor, *_ = str((row or ("0.0",))[0]).split(".")
    return int(major), int(minor)


def statements(
    schema: str, table: Table, days: int, of: tuple[int, int], had_policy: bool
) -> list[sql.Composed]:
    """What sets a hypertable's columnstore and its policy, on a server of this version.

    Chunks older than `days` are compressed, 0: none any more. Compressed rows lie together by
    the columns that queries name, in the order of time.
    """
    name = sql.Identifier(schema, table.name)
    relation = sql.Literal(f'"{schema}"."{table.name}"')
    new = of >= _COLUMNSTORE_SINCE
    found = []
    if had_policy:
        remove = "CALL remove_columnstore_policy" if new else "SELECT remove_compression_policy"
        found.append(sql.SQL(remove + "({}, if_exists => true)").format(relation))
    if not days:
        return found
    prefix = "timescaledb." if new else "timescaledb.compress_"
    settings = [
        sql.SQL("timescaledb.enable_columnstore = true" if new else "timescaledb.compress"),
        sql.SQL(prefix + "orderby = {}").format(
            sql.Literal(", ".join((f"{TIME} DESC", *table.id_columns)))
        ),
    ]
    if segments := [column for column in table.query_columns if column != "interval"]:
        settings.append(sql.SQL(prefix + "segmentby = {}").format(sql.Literal(", ".join(segments))))
    found.append(sql.SQL("ALTER TABLE {} SET ({})").format(name, sql.SQL(", ").join(settings)))
    add = (
        "CALL add_columnstore_policy({}, after => make_interval(days => {}))"
        if new
        else "SELECT add_compression_policy({}, compress_after => make_interval(days => {}))"
    )
    found.append(sql.SQL(add).format(relation, sql.Literal(days)))
    return found
