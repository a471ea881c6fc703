"""Each stage emits exactly what a plain model in Python emits."""

from typing import Any

import pytest
from hypothesis import given, settings

from processors.config import ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import rows
from schemas.events import Event
from tests.processors.batches import IDS, Emitted, batch, configured, values
from tests.processors.models import expected
from tests.processors.sequences import CONFIGS, tapes


def encoded(events: dict[str, list[Event]]) -> Emitted:
    return {
        topic: [rows.encode(event, IDS[type(event).__name__]) for event in found]
        for topic, found in events.items()
    }


def emitted(events: list[Any], config: ProcessorsConfig) -> Emitted:
    found = values(Pipeline().process(batch([configured(config), *events])))
    # Each group of features has a plain reference of its own (tests/processors/features/).
    found.pop("features", None)
    return found


@pytest.mark.parametrize("config", CONFIGS)
@given(events=tapes(max_size=120))
@settings(max_examples=150, deadline=None)
def test_stages_emit_what_plain_models_emit(config: ProcessorsConfig, events: list[Event]) -> None:
    assert emitted(events, config) == encoded(expected(events, config, first_offset=1))
