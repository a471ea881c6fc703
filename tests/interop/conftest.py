"""One tape with every record on it, for all clients that read it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from streams import topics
from streams.config import KafkaConfig
from tests.conftest import Stack
from tests.interop.written import Written, write


@pytest.fixture(scope="session")
def written(stack: Stack) -> Iterator[Written]:
    """The tape; deleted afterwards."""
    name = f"t{uuid4().hex[:8]}"
    try:
        yield write(stack, name)
    finally:
        topics.delete_tape(KafkaConfig(bootstrap=stack.kafka_bootstrap), name)
