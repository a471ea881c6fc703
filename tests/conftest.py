"""Real servers for the tests: those that the environment names, or a stack of their own."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql

from tape.config import StackConfig
from tape.stack import control
from tape.stack.artifacts import Cache
from tape.stack.supervisor import Plan

_VARIABLES = ("TAPE_KAFKA__BOOTSTRAP", "TAPE_REGISTRY__URL", "TAPE_DATABASE__URL")
_SERVICES = ("kafka", "registry", "postgres")


@dataclass(frozen=True)
class Stack:
    """Addresses of Kafka, the registry and PostgreSQL."""

    kafka_bootstrap: str
    registry_url: str
    database_url: str

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with these addresses, for a `tape` started by a test."""
        values = (self.kafka_bootstrap, self.registry_url, self.database_url)
        return {**os.environ, **dict(zip(_VARIABLES, values, strict=True))}


_shared: list[tuple[StackConfig, TemporaryDirectory[str]]] = []


def pytest_configure(config: pytest.Config) -> None:
    """With several test processes (`-n`), one stack for them all, in the environment they get."""
    is_controller = not hasattr(config, "workerinput")
    if not (is_controller and getattr(config.option, "numprocesses", None)):
        return
    if not all(os.environ.get(name) for name in _VARIABLES):
        folder = TemporaryDirectory(prefix="tape-tests-")
        stack_config = fresh_stack_config(Path(folder.name))
        state = control.start(Plan(config=stack_config, services=_SERVICES), bound=True)
        _shared.append((stack_config, folder))
        addresses = (state.services[name].address for name in _SERVICES)
        os.environ.update(zip(_VARIABLES, addresses, strict=True))


def pytest_unconfigure() -> None:
    """End that stack."""
    while _shared:
        stack_config, folder = _shared.pop()
        control.stop(stack_config)
        folder.cleanup()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Real servers: those of the environment (all three TAPE_… addresses), or new ones."""
    given = [os.environ.get(name, "") for name in _VARIABLES]
    if all(given):
        yield Stack(*given)
        return
    config = fresh_stack_config(tmp_path_factory.mktemp("stack"))
    state = control.start(Plan(config=config, services=_SERVICES), bound=True)
    yield Stack(*(state.services[name].address for name in _SERVICES))
    control.stop(config)


def fresh_stack_config(home: Path) -> StackConfig:
    """A stack in this folder on free ports; its downloads are there."""
    zeros = {name: 0 for name in StackConfig.model_fields if name.endswith("_port")}
    config = StackConfig(home=home, **zeros)
    cache = Cache(config.cache)
    cache.fetch(cache.missing())
    return config


@pytest.fixture
def tape_name(stack: Stack) -> Iterator[str]:
    """Name of a tape of the test's own; its topics and tables are deleted afterwards."""
    name = f"t{uuid4().hex[:8]}"
    yield name
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    topics = [topic for topic in admin.list_topics(timeout=10).topics if name in topic]
    for deletion in (admin.delete_topics(topics) if topics else {}).values():
        try:
            deletion.result(timeout=10)
        except KafkaException:
            # Gone already: the test deleted it itself.
            continue
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
