"""`tape up` makes the topics of the tape that is named, and registers its schemas."""

import subprocess
import sys

from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import SchemaRegistryClient

from schemas import catalogue
from tests.conftest import Stack


def _up(stack: Stack, tape_name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tape", "up", "--tape", tape_name, "--set", "partitions=3"],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stderr


def test_up_makes_what_is_missing_of_the_tape_and_nothing_twice(
    stack: Stack, tape_name: str
) -> None:
    said = _up(stack, tape_name)
    assert f"{len(catalogue.TOPICS)} topics made" in said
    topics = (
        AdminClient({"bootstrap.servers": stack.kafka_bootstrap}).list_topics(timeout=10).topics
    )
    assert len(topics[catalogue.kafka_name(tape_name, catalogue.TAPE)].partitions) == 3
    registry = SchemaRegistryClient({"url": stack.registry_url})
    assert registry.get_latest_version(catalogue.subject(tape_name, catalogue.TAPE, "Trade"))
    assert "all topics are there" in _up(stack, tape_name)
