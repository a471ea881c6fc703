"""Dashboards' queries on tables of realistic size: `python -m benchmarks._queries docs/queries.md`.

Writes times and plans, on the stack's PostgreSQL and on the TimescaleDB that
TAPE_TEST_TIMESCALE_URL names, and what the tables' indexes cost in writing.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

from psycopg import sql

from benchmarks.harness import machine
from sinks import schema, storage
from sinks.config import DatabaseConfig
from sinks.storage import US_PER_HOUR, Connection
from sinks.store import connect
from sinks.tables import tables
from tape import config, stack

_RUNS = 7
_END = datetime(2024, 1, 29, tzinfo=UTC)
_END_SQL = f"timestamptz '{_END:%Y-%m-%d}Z'"
_VENUES = ("binance-spot", "okx-swap")
_SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "ADA-USDT")

_SERIES = (
    f"unnest(ARRAY{list(_VENUES)}) venue, unnest(ARRAY{list(_SYMBOLS)}) WITH ORDINALITY"
    " s(symbol, number)"
)
_BARS = """
INSERT INTO {tape}.bars
SELECT 'tape', number % 4, (extract(epoch FROM t) * 10)::bigint, {seq}, venue, symbol,
 t + interval '{width}', t + interval '{width}' + interval '20 ms', '{name}', t,
 p, p + 1, p - 1, p + 0.5, 3, 3 * p, p, 12, 1.5, 0, 'TRADES'
FROM generate_series({end} - interval '{span}', {end} - interval '{width}', interval '{width}') t,
 {series}, LATERAL (SELECT 100 * number + 10 * sin(extract(epoch FROM t) / 900) AS p) price
ORDER BY t, venue, symbol
"""
_TRADES = """
INSERT INTO {tape}.trades
SELECT (i % 4)::integer, i, (ARRAY{venues})[1 + i % {nv}], (ARRAY{symbols})[1 + (i / {nv}) % {ns}],
 {end} - interval '2 days' + i * interval '172 ms',
 {end} - interval '2 days' + i * interval '172 ms' + interval '20 ms',
 (4000000000 + i)::text, 100 + i % 50, 0.25, 'BUY', 'MARKET', 1, false
FROM generate_series(0, 999999) i
"""
_REFERENCE = """
INSERT INTO {tape}.reference
SELECT 'tape', number % 4, (extract(epoch FROM t) * 10)::bigint, number, symbol, t,
 t + interval '20 ms', 100 * number, 0.5, ARRAY{venues}, ARRAY[1.0, 2.0]{more}
FROM generate_series({end} - interval '1 day', {end}, interval '1 second') t,
 unnest(ARRAY{symbols}) WITH ORDINALITY s(symbol, number) ORDER BY t
"""


@dataclass(frozen=True, slots=True)
class Query:
    """A question of a dashboard."""

    title: str
    text: str
    remark: str = ""


_IN = "venue = 'okx-swap' AND symbol = 'ETH-USDT'"
QUERIES = (
    Query(
        "A day of 1 s bars",
        f"SELECT open_time AS time, open, high, low, close, volume FROM {{tape}}.bars\n"
        f" WHERE {_IN} AND interval = '1s'\n"
        f" AND event_time > {_END_SQL} - interval '1 day' AND event_time <= {_END_SQL}\n"
        " ORDER BY open_time",
    ),
    Query(
        "A week of 1 m bars",
        f"SELECT open_time AS time, open, high, low, close, volume FROM {{tape}}.bars\n"
        f" WHERE {_IN} AND interval = '1m'\n"
        f" AND event_time > {_END_SQL} - interval '7 days' AND event_time <= {_END_SQL}\n"
        " ORDER BY open_time",
    ),
    Query(
        "Last prices of all symbols, of the last hour's bars",
        "SELECT DISTINCT ON (venue, symbol) venue, symbol, close, event_time FROM {tape}.bars\n"
        f" WHERE interval = '1s' AND event_time > {_END_SQL} - interval '1 hour'\n"
        " ORDER BY venue, symbol, event_time DESC",
    ),
    Query(
        "Last prices of all symbols, one look into the index for each",
        "SELECT s.venue, s.symbol, l.price, l.event_time\n"
        " FROM (SELECT DISTINCT venue, symbol FROM {tape}.bars WHERE interval = '1m'\n"
        f"  AND event_time > {_END_SQL} - interval '10 minutes') s,\n"
        " LATERAL (SELECT price, event_time FROM {tape}.trades t\n"
        "  WHERE t.venue = s.venue AND t.symbol = s.symbol\n"
        f"  AND event_time > {_END_SQL} - interval '1 day'\n"
        "  ORDER BY event_time DESC LIMIT 1) l",
    ),
    Query(
        "Symbols to choose from, over all time",
        "SELECT DISTINCT symbol FROM {tape}.bars WHERE interval = '1m' ORDER BY 1",
        "The dashboard's variable, run once when it is opened. It reads every chunk.",
    ),
    Query(
        "Symbols to choose from, of the last day",
        "SELECT DISTINCT symbol FROM {tape}.bars WHERE interval = '1m'\n"
        f" AND event_time > {_END_SQL} - interval '1 day' ORDER BY 1",
    ),
    Query(
        "A day of reference prices",
        "SELECT event_time AS time, price FROM {tape}.reference WHERE symbol = 'ETH-USDT'\n"
        f" AND event_time > {_END_SQL} - interval '1 day' ORDER BY event_time",
    ),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A query on one server."""

    rows: int
    milliseconds: float
    plan: str


@dataclass(frozen=True, slots=True)
class Server:
    """What was found on one server."""

    name: str
    counts: dict[str, int]
    queries: list[Measured]
    writing: dict[str, float]
    """Rows per second of COPY into `trades`, by which indexes it has."""


@contextmanager
def _filled(connection: Connection) -> Iterator[str]:
    tape = f"queries{uuid4().hex[:8]}"
    specs = [table for table in tables() if table.name in {"bars", "trades", "reference"}]
    try:
        stored = schema.ensure(connection, tape, DatabaseConfig(), specs=specs)
        end_us = int(_END.timestamp()) * 1_000_000
        for one in stored.values():
            if one.storage == "native":
                chunks = storage.NativeChunks(tape, tape, one.table, one.chunk_interval_hours)
                days = range(-29, 2)
                chunks.ensure(connection, [end_us + day * 24 * US_PER_HOUR for day in days])
        _insert(connection, tape)
        yield tape
    finally:
        for suffix in ("", "$chunks"):
            storage.drop_schema(connection, f"{tape}{suffix}")


def _insert(connection: Connection, tape: str) -> None:
    common = {"tape": tape, "end": _END_SQL, "series": _SERIES}
    names = {"venues": list(_VENUES), "symbols": list(_SYMBOLS)}
    excluded = any(
        c.name == "excluded" for t in tables() if t.name == "reference" for c in t.columns
    )
    bars = (("1s", "1 second", "2 days"), ("1m", "1 minute", "28 days"))
    for name, width, span in bars:
        # The id of a bar is the event that ended it; several end with one.
        seq = f"({1 if name == '1m' else 0} + 2 * (venue = '{_VENUES[0]}')::integer + 4 * number)"
        connection.execute(_BARS.format(**common, name=name, width=width, span=span, seq=seq))
    connection.execute(_TRADES.format(**common, **names, nv=len(_VENUES), ns=len(_SYMBOLS)))
    more = ", ARRAY[]::text[]" if excluded else ""
    connection.execute(_REFERENCE.format(**common, **names, more=more))
    for table in ("bars", "trades", "reference"):
        connection.execute(f"VACUUM (ANALYZE) {tape}.{table}")


def _measure(connection: Connection, text: str) -> Measured:
    times = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        rows = connection.execute(text).fetchall()
        times.append((time.perf_counter() - began) * 1_000)
    plan = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {text}").fetchall()
    return Measured(len(rows), median(times), "\n".join(str(line) for (line,) in plan))


def _writing(connection: Connection, tape: str) -> dict[str, float]:
    """COPY of 300,000 trades into tables that have fewer indexes, and all."""
    table = next(table for table in tables() if table.name == "trades")
    with connection.cursor().copy(
        f"COPY (SELECT * FROM {tape}.trades ORDER BY event_time LIMIT 300000) TO STDOUT"
        " (FORMAT BINARY)"
    ) as copy:
        data = b"".join(bytes(part) for part in copy)
    index = sql.SQL(", ").join(
        [*map(sql.Identifier, table.query_columns), sql.SQL("event_time DESC")]
    )
    steps: dict[str, list[sql.Composable]] = {
        "no index": [],
        "the key": [sql.SQL("ALTER TABLE pg_temp.w ADD PRIMARY KEY ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, (*table.id_columns, "event_time")))
        )],
    }  # fmt: skip
    steps["the key and the index of queries"] = [
        *steps["the key"], sql.SQL("CREATE INDEX ON pg_temp.w ({})").format(index)
    ]  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(3):
        for name, statements in steps.items():
            connection.execute(f"CREATE TABLE {tape}.w (LIKE {tape}.trades)")
            for statement in statements:
                text = statement.as_string(connection).replace("pg_temp.w", f"{tape}.w")
                connection.execute(text)
            began = time.perf_counter()
            with connection.cursor().copy(f"COPY {tape}.w FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(data)
            found[name].append(300_000 / (time.perf_counter() - began))
            connection.execute(f"DROP TABLE {tape}.w")
    return {name: median(rates) for name, rates in found.items()}


def measure(url: str) -> Server:
    """Fill tables, ask the queries, drop the tables."""
    with connect(url) as connection, _filled(connection) as tape:
        (version,) = connection.execute("SHOW server_version").fetchone() or ("",)
        (extension,) = connection.execute(
            "SELECT max(extversion) FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone() or (None,)
        name = f"PostgreSQL {str(version).split()[0]}"
        counts = {}
        for table in ("bars", "trades", "reference"):
            (count,) = connection.execute(f"SELECT count(*) FROM {tape}.{table}").fetchone() or (0,)
            counts[table] = int(str(count))
        queries = [_measure(connection, query.text.format(tape=tape)) for query in QUERIES]
        queries = [
            Measured(one.rows, one.milliseconds, one.plan.replace(tape, "live")) for one in queries
        ]
        return Server(
            f"{name}, TimescaleDB {extension}" if extension else f"{name}, native partitions",
            counts, queries, _writing(connection, tape),
        )  # fmt: skip


def report(servers: list[Server]) -> str:
    """The document."""
    found = machine()
    counts = ", ".join(f"{count:,} {name}" for name, count in servers[0].counts.items())
    names = [server.name for server in servers]
    lines = [
        "# Dashboards' queries: times and plans",
        "",
        "Written by `python -m benchmarks._queries docs/queries.md`; do not edit. Tables of"
        f" {len(_VENUES) * len(_SYMBOLS)} series ({counts}): 1 s bars and trades of two days, 1 m"
        " bars of 28, reference prices of one, put there without Kafka. Times are medians of"
        f" {_RUNS} runs in a warm cache, rows received by the client included.",
        "",
        f"{found['processor']}, {found['cores']} cores, load {found['load']};"
        f" {datetime.now(UTC):%Y-%m-%d}.",
        "",
        f"| query | rows | {' | '.join(f'{name}, ms' for name in names)} |",
        f"|---|---:|{'---:|' * len(names)}",
    ]
    for index, query in enumerate(QUERIES):
        times = " | ".join(f"{server.queries[index].milliseconds:.1f}" for server in servers)
        lines.append(f"| {query.title} | {servers[0].queries[index].rows:,} | {times} |")
    lines += [
        "",
        "## What indexes cost in writing",
        "",
        "Binary COPY of 300,000 trades in the order of time into a plain table, rows/s:",
        "",
        f"| indexes | {' | '.join(names)} |",
        f"|---|{'---:|' * len(names)}",
    ]
    for name in servers[0].writing:
        rates = " | ".join(f"{server.writing[name]:,.0f}" for server in servers)
        lines.append(f"| {name} | {rates} |")
    lines += [
        "",
        "The key is what makes a row's id unique and lets `tape verify` read in its order. The"
        " index of queries (venue, symbol, interval, time) serves every query here; each of them"
        " reads it alone, so no other index was added. A query without a bound on `event_time`"
        " looks into every chunk: bound it.",
        "",
        "## Plans",
    ]
    for index, query in enumerate(QUERIES):
        lines += ["", f"### {query.title}", "", query.remark, "```sql"]
        lines += [query.text.format(tape="live"), "```"]
        for server in servers:
            lines += ["", f"{server.name}:", "", "```", server.queries[index].plan, "```"]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def main() -> None:
    """Measure on each server that there is and write the document."""
    settings = stack.addresses(config.settings(), only=("postgres",))
    urls = [settings.database.url.get_secret_value(), os.environ.get("TAPE_TEST_TIMESCALE_URL", "")]
    Path(sys.argv[1]).write_text(report([measure(url) for url in urls if url]))


if __name__ == "__main__":
    main()
