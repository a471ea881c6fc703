"""The pipeline: the stages over one partition of `tape`, fused, under the tape's configuration."""

import struct
from dataclasses import replace
from typing import Final

import numpy as np
from pydantic import ValidationError

from processors.bars import Bars
from processors.books import Books
from processors.codes import CLOCK
from processors.config import VERSION, ProcessorsConfig, VersionMismatch
from processors.emitted import join
from processors.features.indicators import Indicators
from processors.features.stage import Features
from processors.instruments import Instruments
from processors.quality import Quality
from processors.reference import Reference
from processors.seen import Seen
from processors.stage import Stage
from processors.work import open_work
from schemas import catalogue
from schemas.columns import Batch, Rows
from schemas.errors import ConfigError, SchemaError

NAME: Final = "pipeline"
_LAYOUT = 1
_STATE = struct.Struct("<BqqqH")
_NEVER = -(1 << 63)
_CONFIGURED = catalogue.RECORDS.index("Configured")


class Pipeline:
    """All stages over one partition.

    Its configuration comes from the `Configured` events on the tape; what precedes the first
    one is not processed. State is kept by (stage, symbol); what belongs to no symbol is under
    (`pipeline`, `*`).
    """

    def __init__(self) -> None:
        self.instruments = Instruments()
        # In the order of their work: what `seen` drops, the others pass over.
        self._stages: tuple[Stage, ...] = (
            Seen(self.instruments),
            Books(self.instruments),
            Bars(self.instruments),
            Quality(self.instruments),
            Reference(self.instruments),
            Indicators(self.instruments),
            Features(self.instruments),
        )
        self._config: ProcessorsConfig | None = None
        self._hash = ""
        self._unconfigured = 0
        self._configurations = 0
        self._newest_clock = _NEVER
        self._changed = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in the order of their work."""
        return self._stages

    @property
    def configuration(self) -> ProcessorsConfig | None:
        """The configuration in force; None before the first."""
        return self._config

    @property
    def configuration_hash(self) -> str:
        """Hash that the Configured event in force gives; empty before the first."""
        return self._hash

    @property
    def clock(self) -> int:
        """Newest event time of a Clock, microseconds UTC; 0 before the first."""
        return 0 if self._newest_clock == _NEVER else self._newest_clock

    def process(self, batch: Batch) -> list[Rows]:
        """Advance over a batch; at most one Rows a topic, rows in the order of their ids.

        Raises VersionMismatch or ConfigError for a Configured event that cannot be followed;
        nothing of the batch has been processed then, and the error names its offset.
        """
        switches = [
            (at, *_configuration(batch, at))
            for at in np.flatnonzero(batch.kind == _CONFIGURED).tolist()
        ]
        self._changed = self._changed or len(batch) > 0
        emitted: dict[str, list[Rows]] = {}
        begin = 0
        for at, config, given_hash in switches:
            self._segment(batch, begin, at, emitted)
            self._switch(config, given_hash)
            begin = at + 1
        self._segment(batch, begin, len(batch), emitted)
        return [join(parts) for parts in emitted.values()]

    def _segment(self, batch: Batch, begin: int, end: int, emitted: dict[str, list[Rows]]) -> None:
        """Process the events [begin, end) of a batch, which no Configured parts."""
        if begin == end:
            return
        if self._config is None:
            self._unconfigured += end - begin
            return
        if end - begin < len(batch):
            batch = replace(
                batch,
                offsets=batch.offsets[begin:end],
                timestamps_ms=batch.timestamps_ms[begin:end],
                kind=batch.kind[begin:end],
                row=batch.row[begin:end],
            )
        work = open_work(batch, self.instruments)
        clocks = work.event_time[work.code == CLOCK]
        if len(clocks):
            self._newest_clock = max(self._newest_clock, int(clocks.max()))
        for stage in self._stages:
            for rows in stage.process(work):
                emitted.setdefault(rows.topic, []).append(rows)

    def _switch(self, config: ProcessorsConfig, given_hash: str) -> None:
        self._configurations += 1
        self._hash = given_hash
        self._take(config)
        for symbol in self.instruments.symbol_names:
            if not self.instruments.is_selected(symbol):
                for stage in self._stages:
                    stage.forget(symbol)

    def _take(self, config: ProcessorsConfig) -> None:
        self._config = config
        self.instruments.select(config.symbols)
        for stage in self._stages:
            stage.configure(config)

    def changed(self) -> set[tuple[str, str]]:
        """Every (stage, symbol) whose state changed since the last call."""
        found = {(stage.name, symbol) for stage in self._stages for symbol in stage.changed()}
        if self._changed:
            found.add((NAME, catalogue.EVERY_SYMBOL))
        self._changed = False
        return found

    def snapshot(self, stage: str, symbol: str) -> bytes:
        """The state of one stage and symbol as bytes; the same state gives the same bytes."""
        if stage != NAME:
            return self._stage(stage).snapshot(symbol)
        text = self._config.canonical_json() if self._config else ""
        given_hash = self._hash.encode()
        return b"".join(
            (
                _STATE.pack(
                    _LAYOUT,
                    self._unconfigured,
                    self._configurations,
                    self._newest_clock,
                    len(given_hash),
                ),
                given_hash,
                text.encode(),
            )
        )

    def restore(self, stage: str, symbol: str, state: bytes) -> None:
        """Take over what `snapshot` gave, into a new pipeline, in any order.

        SchemaError for a stage or a layout that is not known.
        """
        if stage != NAME:
            self._stage(stage).restore(symbol, state)
            return
        layout, unconfigured, configurations, clock, length = _STATE.unpack_from(state)
        if layout != _LAYOUT:
            raise SchemaError(
                f"the state of the pipeline has layout {layout}, this version reads {_LAYOUT}: "
                "start from the beginning of the tape instead"
            )
        self._unconfigured, self._configurations = unconfigured, configurations
        self._newest_clock = clock
        text = state[_STATE.size + length :].decode()
        if text:
            self._hash = state[_STATE.size : _STATE.size + length].decode()
            self._take(_parsed(text, "in the state of the pipeline"))

    def counts(self) -> dict[str, int]:
        """Totals since the start of the tape, by `stage.what`."""
        found = {
            "pipeline.unconfigured": self._unconfigured,
            "pipeline.configurations": self._configurations,
        }
        for stage in self._stages:
            found |= {f"{stage.name}.{name}": n for name, n in stage.counts().items()}
        return found

    def _stage(self, name: str) -> Stage:
        for stage in self._stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self._stages)
        raise SchemaError(f"there is no stage {name!r} in this version; it has {known}")


def _configuration(batch: Batch, at: int) -> tuple[ProcessorsConfig, str]:
    row, offset = int(batch.row[at]), int(batch.offsets[at])
    version, given_hash, text = (
        batch.string("Configured", name, row) for name in ("version", "hash", "configuration")
    )
    if version != VERSION:
        raise VersionMismatch(version, batch.partition, offset)
    return _parsed(text, f"at offset {offset} of partition {batch.partition}"), given_hash


def _parsed(text: str, where: str) -> ProcessorsConfig:
    try:
        return ProcessorsConfig.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(
            f"the configuration {where} cannot be followed: {error}; "
            "write a right one with `tape configure`"
        ) from error
