"""Databases for the sinks' tests: plain PostgreSQL, and TimescaleDB where there is one."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pydantic import SecretStr

from sinks.config import DatabaseConfig
from sinks.storage import Connection, chunk_schema, drop_schema
from sinks.store import connect
from tests.conftest import Stack

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


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with connect(database_url) as opened:
        yield opened


@pytest.fixture
def tape(connection: Connection) -> Iterator[str]:
    """A tape whose schemas in the database are dropped afterwards."""
    name = f"t{uuid4().hex[:8]}"
    yield name
    for schema in (name, f"{name}$rebuild", f"{name}$trash", chunk_schema(name)):
        drop_schema(connection, schema)


@pytest.fixture
def config(database_url: str) -> DatabaseConfig:
    return DatabaseConfig(url=SecretStr(database_url))
