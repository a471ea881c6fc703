"""Databases for the sinks' tests: plain PostgreSQL, and TimescaleDB where there is one."""

import os
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from sinks.config import DatabaseConfig
from sinks.storage import Connection, drop_schema
from sinks.store import connect
from tests.conftest import Stack
from tests.sinks.tapes import Tape, make_tape

TIMESCALE_VARIABLE = "TAPE_TEST_TIMESCALE_URL"


@pytest.fixture(params=["native", pytest.param("hypertable", marks=pytest.mark.timescale)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A real database of each kind; without a TimescaleDB its tests are skipped."""
    if request.param == "hypertable":
        url = os.environ.get(TIMESCALE_VARIABLE, "")
        if not url:
            pytest.skip(f"{TIMESCALE_VARIABLE} names no TimescaleDB")
        return url
    stack: Stack = request.getfixturevalue("stack")
    return stack.database_url


# For what does not depend on how tables are stored.
on_plain_postgresql = pytest.mark.parametrize("database_url", ["native"], indirect=True)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with connect(database_url) as opened:
        yield opened


@pytest.fixture
def tape(connection: Connection, tape_name: str) -> Iterator[str]:
    """A tape's name; its schemas in the database are dropped afterwards."""
    yield tape_name
    for suffix in ("", "$rebuild", "$trash", "$chunks"):
        drop_schema(connection, f"{tape_name}{suffix}")


@pytest.fixture
def market_tape(stack: Stack, tape: str) -> Tape:
    """A tape with topics and registered schemas."""
    return make_tape(stack, tape)


@pytest.fixture
def config(database_url: str) -> DatabaseConfig:
    return DatabaseConfig(url=SecretStr(database_url))
