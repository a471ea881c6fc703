"""The whole stack: starts in time, keeps its state, ends cleanly, heals after kill -9."""

import signal
from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tape.stack.state import State
from tests.conftest import fresh_stack_config
from tests.tape.stack.cli import Cli, wait_until

TOPIC = "kept"
YEAR_2021_MS = 1_609_459_200_000


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    home = tmp_path_factory.mktemp("life")
    fresh_stack_config(home)
    cli = Cli(home)
    yield cli
    cli.clean_up()


def test_up_ends_when_every_service_answers(cli: Cli) -> None:
    state = cli.up()
    assert state.phase == "ready"
    assert all(part["answers"] for part in cli.status().values())


def test_second_up_says_that_it_runs_and_succeeds(cli: Cli) -> None:
    before = cli.up()
    assert "already running" in cli.run("up", "--no-topics")
    assert cli.state().supervisor == before.supervisor


def test_data_and_schema_ids_survive_a_restart(cli: Cli) -> None:
    before = _write(cli.up(), "restart")
    assert "has ended" in cli.down()
    assert _read(cli.up(), "restart") == before


def test_data_and_schema_ids_survive_kill_9_of_the_supervisor(cli: Cli) -> None:
    before = _write(cli.up(), "killed")
    left = cli.kill_supervisor()
    wait_until(lambda: all(_is_gone(left, name) for name in left.services))
    assert _read(cli.up(), "killed") == before


def test_kafka_killed_alone_is_started_again_with_its_records(cli: Cli) -> None:
    before = _write(cli.up(), "alone")
    identity = cli.state().services["kafka"].identity
    assert identity is not None
    process = identity.process()
    assert process is not None
    process.kill()
    wait_until(lambda: cli.state().services["kafka"].restarts > 0 and cli.state().phase == "ready")
    assert _read(cli.state(), "alone") == before


def test_sigterm_ends_registry_kafka_postgres_cleanly_in_this_order(cli: Cli) -> None:
    cli.down()
    process = cli.foreground()
    marks = {name: len(cli.log(name)) for name in ("kafka", "postgres")}
    left = cli.state()
    process.send_signal(signal.SIGTERM)
    ended = _order_of_ends(left)
    assert process.wait(timeout=60) == 0
    assert ended == ["registry", "kafka", "postgres"]
    assert "shut down completed" in cli.log("kafka")[marks["kafka"] :]
    assert "database system is shut down" in cli.log("postgres")[marks["postgres"] :]
    assert cli.state().phase == "stopped"


def _is_gone(state: State, name: str) -> bool:
    identity = state.services[name].identity
    return identity is None or identity.process() is None


def _order_of_ends(state: State) -> list[str]:
    order: list[str] = []

    def all_ended() -> bool:
        order.extend(name for name in state.services if name not in order and _is_gone(state, name))
        return len(order) == len(state.services)

    wait_until(all_ended)
    return order


def _write(state: State, key: str) -> tuple[int, bytes, str]:
    """Leave a schema, a record of 2021 and a row under this key; what reading must give."""
    registry = SchemaRegistryClient({"url": state.services["registry"].address})
    text = f'{{"type": "record", "name": "{key}", "fields": []}}'
    schema_id = registry.register_schema(f"kept-{key}", Schema(text, "AVRO"))
    admin = AdminClient({"bootstrap.servers": state.services["kafka"].address})
    if TOPIC not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic(TOPIC, 1)])[TOPIC].result(timeout=10)
    producer = Producer({"bootstrap.servers": state.services["kafka"].address})
    producer.produce(TOPIC, key.encode(), timestamp=YEAR_2021_MS)
    assert producer.flush(10) == 0
    with psycopg.connect(state.services["postgres"].address) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (key text PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (%s)", [key])
    return schema_id, key.encode(), key


def _read(state: State, key: str) -> tuple[int, bytes, str]:
    registry = SchemaRegistryClient({"url": state.services["registry"].address})
    schema_id = registry.get_latest_version(f"kept-{key}").schema_id
    with psycopg.connect(state.services["postgres"].address) as connection:
        row = connection.execute("SELECT key FROM kept WHERE key = %s", [key]).fetchone()
    return schema_id, _find_record(state, key.encode()), row[0] if row else ""


def _find_record(state: State, value: bytes) -> bytes:
    consumer = Consumer({"bootstrap.servers": state.services["kafka"].address, "group.id": "test"})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    try:
        found: list[bytes] = []
        wait_until(lambda: value in _poll_into(found, consumer), within_s=20)
        return value
    finally:
        consumer.close()


def _poll_into(found: list[bytes], consumer: Consumer) -> list[bytes]:
    message = consumer.poll(0.2)
    if message is not None and message.error() is None:
        found.append(message.value())
    return found
