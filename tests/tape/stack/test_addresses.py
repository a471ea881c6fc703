"""Addresses: external ones win, local ones come from the running stack, absence is told."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.errors import StoreError
from sinks.config import DatabaseConfig
from streams.config import KafkaConfig, RegistryConfig
from tape.config import Settings, StackConfig
from tape.stack.addresses import addresses
from tape.stack.layout import Layout
from tape.stack.process import Identity
from tape.stack.state import ServiceState, State
from tape.stack.status import masked


def _settings(home: Path, bootstrap: str = "") -> Settings:
    return Settings(
        stack=StackConfig(home=home),
        kafka=KafkaConfig(bootstrap=bootstrap),
        registry=RegistryConfig(),
        database=DatabaseConfig(),
    )


def _running(home: Path, **services: str) -> None:
    state = State(
        supervisor=Identity.of(os.getpid()),
        phase="ready",
        started=0.0,
        services={name: ServiceState(address=text, port=1) for name, text in services.items()},
    )
    state.write(Layout(home).state)


def test_absent_stack_is_told_with_the_command_that_starts_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="local kafka is not running: `tape up`"):
        addresses(_settings(tmp_path))


def test_local_addresses_are_filled_in(tmp_path: Path) -> None:
    url = "postgresql://tape:word@127.0.0.1:3/tape"
    _running(tmp_path, kafka="127.0.0.1:1", registry="http://127.0.0.1:2", postgres=url)
    final = addresses(_settings(tmp_path))
    assert final.kafka.bootstrap == "127.0.0.1:1"
    assert final.registry.url == "http://127.0.0.1:2"
    assert final.database.url == SecretStr(url)


def test_external_address_wins_over_the_local_one(tmp_path: Path) -> None:
    _running(tmp_path, kafka="127.0.0.1:1", registry="http://127.0.0.1:2", postgres="postgresql://")
    assert addresses(_settings(tmp_path, "broker:9092")).kafka.bootstrap == "broker:9092"


def test_only_what_is_needed_must_run(tmp_path: Path) -> None:
    _running(tmp_path, kafka="127.0.0.1:1")
    assert addresses(_settings(tmp_path), only=("kafka",)).kafka.bootstrap == "127.0.0.1:1"
    with pytest.raises(StoreError, match="runs without registry"):
        addresses(_settings(tmp_path))


def test_stack_whose_supervisor_died_is_not_running(tmp_path: Path) -> None:
    _running(tmp_path, kafka="127.0.0.1:1")
    state = State.read(Layout(tmp_path).state)
    assert state is not None
    dead = state.model_copy(update={"supervisor": Identity(os.getpid(), created=1.0)})
    dead.write(Layout(tmp_path).state)
    with pytest.raises(StoreError, match="not running"):
        addresses(_settings(tmp_path), only=("kafka",))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("postgresql://tape@h:1/d", "postgresql://tape@h:1/d"),
        ("postgresql://tape:a@b:c@h:1/d", "postgresql://tape:********@h:1/d"),
        ("http://h:1/apis", "http://h:1/apis"),
    ],
)
def test_addresses_are_shown_without_passwords(address: str, shown: str) -> None:
    assert masked(address) == shown
