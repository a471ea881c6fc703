"""What a tape may hold, through the pipeline: any valid event, in any order, at any time."""

import random
from collections.abc import Sequence

import numpy as np

from processors.config import BooksConfig, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue, rows
from schemas.decode import Decoder
from schemas.errors import TapeError
from schemas.events import Clock
from sinks import encoding
from sinks.tables import tables
from streams.outputs import outputs_of
from tests.fuzz import samples
from tests.fuzz.events import changed, some_of_each
from tests.fuzz.log_targets import batch_of
from tests.fuzz.mutation import Case
from tests.fuzz.target import Plain
from tests.processors.batches import IDS, WRITERS, configured

_BEHIND = 3


class PipelineTarget(Plain):
    """One pipeline over a block of batches, then snapshot, restore, and on; sinks' rows too."""

    name, block = "pipeline", 64

    def __init__(self) -> None:
        self._decoder = Decoder(WRITERS)
        self._tables = {(t.topic, t.record): t for t in tables()}
        self.reset()

    def seeds(self) -> Sequence[Case]:
        found = some_of_each(samples.model_events(), random.Random(2), 60)
        return [Case(b"", rows.encode(event, IDS[type(event).__name__])) for event in found]

    def case(self, seeds: Sequence[Case], pick: random.Random) -> Case:
        """A few events, one of them at its extremes; now and then a pulse."""
        count = 1 + pick.randrange(_BEHIND)
        parts = [rows.decode(pick.choice(seeds).body, WRITERS) for _ in range(count)]
        if pick.random() < 0.9:
            parts[0] = changed(parts[0], pick)
        if pick.random() < 0.2:
            time = 1_767_225_600_000_000 + pick.randrange(10**8)
            parts.append(Clock(event_time=time, receive_time=time))
        values = [rows.encode(event, IDS[type(event).__name__]) for event in parts]
        return Case(b"", b"".join(len(v).to_bytes(4, "big") + v for v in values))

    def reset(self) -> None:
        self._pipeline = Pipeline()
        self._offset, self._cases = 0, 0
        self._states: dict[tuple[str, str], bytes] = {}
        config = ProcessorsConfig(books=BooksConfig(emit_interval_ms=0))
        self._process([rows.encode(configured(config), IDS["Configured"])])

    def run(self, case: Case) -> None:
        values, at = [], 0
        while at + 4 <= len(case.body):
            length = int.from_bytes(case.body[at : at + 4], "big")
            values.append(case.body[at + 4 : at + 4 + length])
            at += 4 + length
        try:
            self._process(values)
        except TapeError:  # a Configured event that cannot be followed
            self.reset()
        self._cases += 1
        if self._cases % 16 == 0:
            self._restored()

    def _process(self, values: list[bytes]) -> None:
        batch = batch_of(self._decoder, catalogue.TAPE, values, self._offset)
        self._offset += len(values)
        for kind, record in enumerate(catalogue.RECORDS):
            table = self._tables.get((catalogue.TAPE, record))
            chosen = batch.row[batch.kind == kind]
            if table is not None and len(chosen):
                encoding.encode(table, batch, chosen, batch.offsets[batch.kind == kind])
        for emitted in self._pipeline.process(batch):
            outputs = outputs_of(emitted, IDS[emitted.record])
            derived = self._decoder.decode(
                emitted.topic, 3, outputs.values, outputs.value_starts, outputs.value_ends,
                np.arange(len(outputs)), outputs.timestamps_ms,
            )  # fmt: skip
            assert not derived.refused, derived.refused[0]
            table = self._tables[emitted.topic, emitted.record]
            encoding.encode(table, derived, derived.row, derived.offsets)

    def _restored(self) -> None:
        """Go on with a pipeline that is restored from this one's states."""
        keys = self._pipeline.changed()
        self._states |= {key: self._pipeline.snapshot(*key) for key in sorted(keys)}
        restored = Pipeline()
        for (stage, symbol), state in self._states.items():
            restored.restore(stage, symbol, state)
        for key, state in self._states.items():
            assert restored.snapshot(*key) == state, key
        self._pipeline = restored
