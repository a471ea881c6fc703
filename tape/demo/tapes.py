"""The demo's tapes: a new one each run; what runs of more than an hour ago left is removed."""

import calendar
import time
from typing import Any

import psycopg
from psycopg import sql

from schemas import catalogue
from schemas.errors import StoreError
from sinks.storage import drop_schema
from sinks.tables import tables
from streams.config import KafkaConfig
from streams.kafka import connect
from streams.topics import delete_tape
from tape.config import Settings

PREFIX = "demo_"
_TIME = "%Y%m%d_%H%M%S"
# Younger ones may be in use, by a demo from elsewhere on the same servers.
_KEPT_S = 3600
_TIMEOUT_S = 20


def new_name() -> str:
    """The name of a new demo's tape: `demo_` and the time, UTC."""
    return PREFIX + time.strftime(_TIME, time.gmtime())


def is_old(tape: str) -> bool:
    """Whether it is a demo's tape that was made more than an hour ago."""
    try:
        made = calendar.timegm(time.strptime(tape.removeprefix(PREFIX), _TIME))
    except ValueError:
        return False
    return tape.startswith(PREFIX) and time.time() - made > _KEPT_S


def remove_old(settings: Settings) -> None:
    """Delete the topics and tables of earlier demos."""
    _remove_topics(settings.kafka)
    with _connect(settings) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (PREFIX,)
        ).fetchall()
        for (schema,) in found:
            if is_old(str(schema)):
                drop_schema(connection, str(schema))


def _remove_topics(kafka: KafkaConfig) -> None:
    topics = connect(kafka).list_topics(timeout=_TIMEOUT_S).topics
    suffix = f".{catalogue.TAPE}"
    for name in topics:
        if name.endswith(suffix) and is_old(name.removesuffix(suffix)):
            delete_tape(kafka, name.removesuffix(suffix))


def row_counts(settings: Settings) -> dict[str, int]:
    """Rows in each table of the tape that holds any."""
    counts = {}
    with _connect(settings) as connection:
        for table in tables():
            name = sql.Identifier(settings.tape, table.name)
            try:
                row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
            except psycopg.errors.UndefinedTable:
                continue  # The sink has not made it yet.
            if row and row[0]:
                counts[table.name] = int(row[0])
    return counts


def _connect(settings: Settings) -> "psycopg.Connection[tuple[Any, ...]]":
    url = settings.database.url.get_secret_value()
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise StoreError(f"the database does not answer: {str(error).strip()}") from error
