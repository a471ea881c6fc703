"""The laws of processors, for each stage that the pipeline has, and for the pipeline.

A stage is tested by being in the pipeline: nothing here names one.
"""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import bar_kernel, book_kernel
from processors.codes import OTHER
from processors.config import ProcessorsConfig
from processors.instruments import Instruments
from processors.pipeline import Pipeline
from processors.stage import Stage
from processors.work import Work, open_work
from schemas.columns import Batch
from schemas.events import Event
from tests.processors.batches import Emitted, add, batch, configured, values
from tests.processors.sequences import CONFIGS, INSTRUMENTS, START_US, tapes

STAGES = [stage.name for stage in Pipeline().stages]
CHUNKS = dict[tuple[str, str], bytes]

laws = settings(max_examples=25, deadline=None)
configs = st.sampled_from(CONFIGS)


def part(whole: Batch, begin: int, end: int) -> Batch:
    return replace(
        whole,
        offsets=whole.offsets[begin:end],
        timestamps_ms=whole.timestamps_ms[begin:end],
        kind=whole.kind[begin:end],
        row=whole.row[begin:end],
    )


def under(config: ProcessorsConfig) -> Pipeline:
    pipeline = Pipeline()
    pipeline.process(batch([configured(config)]))
    return pipeline


def named(pipeline: Pipeline, name: str) -> Stage:
    (found,) = (stage for stage in pipeline.stages if stage.name == name)
    return found


class Bench:
    """One stage alone; what the stages before it hand on is taken from an uncut run."""

    def __init__(self, name: str, config: ProcessorsConfig, events: list[Event]) -> None:
        self._name, self._config = name, config
        self._batch = batch(events)
        pipeline = under(config)
        self._whole = open_work(self._batch, pipeline.instruments)
        for stage in pipeline.stages:
            if stage.name == name:
                break
            stage.process(self._whole)

    def start(self) -> tuple[Instruments, Stage]:
        pipeline = under(self._config)
        return pipeline.instruments, named(pipeline, self._name)

    def work(self, instruments: Instruments, begin: int, end: int) -> Work:
        work = open_work(part(self._batch, begin, end), instruments)
        cut = slice(begin, end)
        work.code[:] = self._whole.code[cut]
        work.best_bid[:] = self._whole.best_bid[cut]
        work.best_ask[:] = self._whole.best_ask[cut]
        work.top_time[:] = self._whole.top_time[cut]
        work.book_live[:] = self._whole.book_live[cut]
        whole = self._whole
        work.exclusions, _ = self._cut(instruments, whole.exclusions, 1, begin, end)
        work.books, _ = self._cut(instruments, whole.books, book_kernel.OUT_INSTRUMENT, begin, end)
        work.book_bids, work.book_asks = whole.book_bids, whole.book_asks
        work.bars, kept = self._cut(instruments, whole.bars, bar_kernel.OUT_INSTRUMENT, begin, end)
        work.bar_values = whole.bar_values[kept]
        work.indicators, kept = self._cut(instruments, whole.indicators, 1, begin, end)
        work.indicator_values = whole.indicator_values[kept]
        return work

    def _cut(self, instruments: Instruments, rows: Any, column: int, begin: int, end: int) -> Any:
        """Rows of the events [begin, end), with instruments as they are numbered now."""
        kept = (rows[:, 0] >= begin) & (rows[:, 0] < end)
        found = rows[kept].copy()
        found[:, 0] -= begin
        for row in found:
            spans = self._whole.instruments.spans[row[column]]
            names = [
                self._whole.instruments.text[start : start + length].tobytes()
                for start, length in (spans[:2], spans[2:])
            ]
            row[column] = instruments.add(*names)
        return found, kept

    def uncut(self) -> tuple[Emitted, dict[str, bytes], dict[str, int]]:
        instruments, stage = self.start()
        emitted = values(stage.process(self.work(instruments, 0, len(self._batch))))
        return emitted, {s: stage.snapshot(s) for s in stage.changed()}, stage.counts()


@pytest.mark.parametrize("name", STAGES)
@given(events=tapes(), config=configs)
@laws
def test_stage_emits_the_same_bytes_for_every_cut_in_two(
    name: str, events: list[Event], config: ProcessorsConfig
) -> None:
    bench = Bench(name, config, events)
    expected = bench.uncut()
    for cut in range(1, len(events)):
        instruments, stage = bench.start()
        emitted = values(stage.process(bench.work(instruments, 0, cut)))
        add(emitted, values(stage.process(bench.work(instruments, cut, len(events)))))
        states = {s: stage.snapshot(s) for s in stage.changed()}
        assert (emitted, states, stage.counts()) == expected


@pytest.mark.parametrize("name", STAGES)
@given(events=tapes(), config=configs, order=st.randoms(use_true_random=False))
@laws
def test_stage_restored_at_every_event_goes_on_with_the_same_bytes(
    name: str, events: list[Event], config: ProcessorsConfig, order: Random
) -> None:
    bench = Bench(name, config, events)
    expected, final, counts = bench.uncut()
    instruments, stage = bench.start()
    emitted: Emitted = {}
    chunks: dict[str, bytes] = {}
    for cut in range(len(events)):
        add(emitted, values(stage.process(bench.work(instruments, cut, cut + 1))))
        chunks |= {symbol: stage.snapshot(symbol) for symbol in stage.changed()}
        symbols = sorted(chunks)
        order.shuffle(symbols)
        others, restored = bench.start()
        for symbol in symbols:
            restored.restore(symbol, chunks[symbol])
        assert {symbol: restored.snapshot(symbol) for symbol in symbols} == chunks
        rest = values(restored.process(bench.work(others, cut + 1, len(events))))
        assert add({topic: list(found) for topic, found in emitted.items()}, rest) == expected
        assert {symbol: restored.snapshot(symbol) for symbol in final} == final
        assert restored.counts() == counts


@pytest.mark.parametrize("name", STAGES)
@given(events=tapes(), config=configs)
@laws
def test_stage_passes_over_events_that_an_earlier_one_dropped(
    name: str, events: list[Event], config: ProcessorsConfig
) -> None:
    pipeline = under(config)
    work = open_work(batch(events), pipeline.instruments)
    work.code[:] = OTHER
    stage = named(pipeline, name)
    assert stage.process(work) == []
    assert stage.changed() == set()


def finish(pipeline: Pipeline, whole: Batch, begin: int) -> Emitted:
    return values(pipeline.process(part(whole, begin, len(whole))))


@given(events=tapes(configure=True), config=configs)
@laws
def test_pipeline_emits_the_same_bytes_for_every_cut_in_two(
    events: list[Event], config: ProcessorsConfig
) -> None:
    whole = batch([*events[:3], configured(config), *events[3:]])
    uncut = Pipeline()
    expected = values(uncut.process(whole))
    states = {key: uncut.snapshot(*key) for key in uncut.changed()}
    for cut in range(1, len(whole)):
        pipeline = Pipeline()
        emitted = add(values(pipeline.process(part(whole, 0, cut))), finish(pipeline, whole, cut))
        assert emitted == expected
        assert {key: pipeline.snapshot(*key) for key in pipeline.changed()} == states
        assert pipeline.counts() == uncut.counts()


@given(events=tapes(configure=True), config=configs, order=st.randoms(use_true_random=False))
@laws
def test_pipeline_restored_at_every_event_goes_on_with_the_same_bytes(
    events: list[Event], config: ProcessorsConfig, order: Random
) -> None:
    whole = batch([*events[:3], configured(config), *events[3:]])
    uncut = Pipeline()
    expected = values(uncut.process(whole))
    pipeline = Pipeline()
    emitted: Emitted = {}
    chunks: CHUNKS = {}
    for cut in range(len(whole)):
        add(emitted, values(pipeline.process(part(whole, cut, cut + 1))))
        chunks |= {key: pipeline.snapshot(*key) for key in pipeline.changed()}
        keys = sorted(chunks)
        order.shuffle(keys)
        restored = Pipeline()
        for key in keys:
            restored.restore(*key, chunks[key])
        assert restored.configuration_hash == pipeline.configuration_hash
        assert {key: restored.snapshot(*key) for key in keys} == chunks
        rest = finish(restored, whole, cut + 1)
        assert add({topic: list(found) for topic, found in emitted.items()}, rest) == expected
        assert restored.counts() == uncut.counts()
        assert restored.clock == uncut.clock


@given(events=tapes(), config=configs, order=st.permutations(INSTRUMENTS))
@laws
def test_order_in_which_instruments_were_met_does_not_matter(
    events: list[Event], config: ProcessorsConfig, order: list[tuple[str, str]]
) -> None:
    whole = batch([configured(config), *events])
    usual, other = Pipeline(), Pipeline()
    for venue, symbol in order:
        other.instruments.add(venue.encode(), symbol.encode())
    assert values(usual.process(whole)) == values(other.process(whole))
    changed = usual.changed()
    assert other.changed() == changed
    assert [usual.snapshot(*key) for key in changed] == [other.snapshot(*key) for key in changed]


@given(events=tapes(), futures=tapes(), config=configs, data=st.data())
@laws
def test_nothing_is_emitted_from_what_comes_later(
    events: list[Event], futures: list[Event], config: ProcessorsConfig, data: st.DataObject
) -> None:
    now = data.draw(st.integers(0, len(events)))
    one = values(under(config).process(batch(events)))
    other = Pipeline()
    other.process(batch([configured(config)]))
    two = other.process(batch([*events[:now], *futures]))
    for rows in two:
        known = rows.table["origin_offset"] < now
        emitted = values([replace(rows, table=rows.table[known])])
        assert one.get(rows.topic, [])[: int(known.sum())] == emitted.get(rows.topic, [])


@given(events=tapes(configure=True))
@laws
def test_ids_grow_strictly_and_each_topic_comes_once(events: list[Event]) -> None:
    emitted = Pipeline().process(batch([configured(CONFIGS[0], START_US), *events]))
    assert len({rows.topic for rows in emitted}) == len(emitted)
    for rows in emitted:
        ids = list(
            zip(rows.table["origin_offset"].tolist(), rows.table["seq"].tolist(), strict=True)
        )
        assert ids == sorted(set(ids))
        seqs: dict[int, list[int]] = {}
        for origin, seq in ids:
            seqs.setdefault(origin, []).append(seq)
        assert all(found == list(range(len(found))) for found in seqs.values())
