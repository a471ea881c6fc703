"""On recorded markets the stages equal their models, and the laws hold."""

from functools import cache

import pytest

from processors.config import BooksConfig, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas.events import Event
from tests.processors.batches import Emitted, add, batch, configured, values
from tests.processors.captures import BINANCE, SMALL, capture
from tests.processors.models import expected
from tests.processors.test_laws import finish, part
from tests.processors.test_models import encoded

CAPTURES = [BINANCE, *((name,) for name in SMALL)]
CONFIG = ProcessorsConfig(books=BooksConfig(levels=20))


@cache
def events_of(names: tuple[str, ...]) -> list[Event]:
    return capture(*names, most=15_000)


@pytest.mark.parametrize("names", CAPTURES, ids=lambda names: names[0])
def test_stages_emit_what_plain_models_emit(names: tuple[str, ...]) -> None:
    events = events_of(names)
    emitted = values(Pipeline().process(batch([configured(CONFIG), *events])))
    vectors = emitted.pop("features", [])
    assert emitted == encoded(expected(events, CONFIG, first_offset=1))
    assert emitted["books"]
    assert emitted["bars"]
    assert vectors


@pytest.mark.parametrize("names", CAPTURES, ids=lambda names: names[0])
def test_cuts_and_restarts_change_nothing(names: tuple[str, ...]) -> None:
    whole = batch([configured(CONFIG), *events_of(names)])
    uncut = Pipeline()
    expected_values = values(uncut.process(whole))
    pipeline = Pipeline()
    emitted: Emitted = {}
    chunks: dict[tuple[str, str], bytes] = {}
    begin = 0
    # Cuts of all sizes: 1, 2, 4, … events; a restart after each.
    while begin < len(whole):
        end = min(len(whole), 2 * begin + 1)
        add(emitted, values(pipeline.process(part(whole, begin, end))))
        chunks |= {key: pipeline.snapshot(*key) for key in pipeline.changed()}
        pipeline = Pipeline()
        for key in sorted(chunks, reverse=True):
            pipeline.restore(*key, chunks[key])
        begin = end
    assert emitted == expected_values
    assert pipeline.counts() == uncut.counts()
    assert finish(pipeline, whole, len(whole)) == {}


@pytest.mark.parametrize("names", CAPTURES, ids=lambda names: names[0])
def test_clean_captures_have_no_gap(names: tuple[str, ...]) -> None:
    pipeline = Pipeline()
    pipeline.process(batch([configured(CONFIG), *events_of(names)]))
    counts = pipeline.counts()
    assert counts["books.gaps"] == counts["books.feed_gaps"] == 0
    assert counts["books.applied"] > 50
