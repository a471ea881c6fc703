"""The stage `reference`: one price a symbol across its venues, at each Clock pulse.

The rules are in docs/processors.md. Needs what `books` and `quality` fill in.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors import instrument_kernel
from processors import reference_kernel as kernel
from processors.cells import Cells, pack_symbol
from processors.config import ProcessorsConfig, ReferenceConfig
from processors.emitted import emitted_table, one_nan
from processors.instruments import SPOT, Instruments
from processors.work import Work
from schemas.columns import Rows, item_dtypes

_LAYOUT = 2


class Reference:
    """Median of the venues' mid prices (Stage)."""

    name = "reference"

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._config = ReferenceConfig()
        self._cells = Cells(kernel.INTEGER_START, kernel.FLOAT_START, ())
        self._used = np.zeros(4, np.int64)
        self._fit_outputs(64)

    def _fit_outputs(self, rows: int) -> None:
        self._out = np.empty((rows, kernel.OUT_COLUMNS), np.int64)
        self._out_floats = np.empty((rows, 2))
        self._item_instrument = np.empty(rows, np.int64)
        self._item_mid = np.empty(rows)
        self._excluded = np.empty(rows, np.int64)

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; it concerns only what contributes."""
        self._config = config.reference

    def _outputs(self) -> tuple[NDArray[Any], ...]:
        return (
            self._out, self._out_floats, self._item_instrument, self._item_mid, self._excluded,
        )  # fmt: skip

    def process(self, work: Work) -> list[Rows]:
        """Follow the tops of book over a batch."""
        instruments = self._instruments
        self._cells.fit(len(instruments))
        scratch = np.empty(len(instruments))
        self._used[:] = 0
        at = 0
        while True:
            at = int(kernel.advance(
                at, work.code, work.instrument, work.event_time,
                work.best_bid, work.best_ask, work.top_time,
                instruments.order(), instruments.symbols, instruments.kinds, SPOT,
                1000 * self._config.stale_after_ms, work.exclusions,
                self._cells.integers, self._cells.floats, self._cells.dirty,
                self._out, self._out_floats, self._item_instrument, self._item_mid,
                self._excluded, scratch, self._used,
            ))  # fmt: skip
            if at == len(work.batch):
                return self._emitted(work)
            old = self._outputs()
            self._fit_outputs(2 * len(self._out) + len(instruments))
            new = self._outputs()
            for before, after in zip(old, new, strict=True):
                after[: len(before)] = before

    def _emitted(self, work: Work) -> list[Rows]:
        rows, items, excluded, _ = self._used
        if not rows:
            return []
        out = self._out[:rows]
        table = emitted_table(
            "ReferencePrice",
            work,
            out[:, kernel.OUT_EVENT],
            out[:, kernel.OUT_SEQ],
            out[:, kernel.OUT_INSTRUMENT],
        )
        floats = one_nan(self._out_floats[:rows])
        table["price"] = floats[:, kernel.OUT_PRICE]
        table["dispersion_bps"] = floats[:, kernel.OUT_DISPERSION]
        table["venues_start"] = out[:, kernel.OUT_START]
        table["venues_count"] = out[:, kernel.OUT_COUNT]
        venues = np.zeros(items, item_dtypes("ReferencePrice")["venues"])
        spans = self._instruments.spans[self._item_instrument[:items]]
        venues["venue_start"] = spans[:, instrument_kernel.VENUE_START]
        venues["venue_length"] = spans[:, instrument_kernel.VENUE_LENGTH]
        venues["mid_price"] = self._item_mid[:items]
        table["excluded_start"] = out[:, kernel.OUT_EXCLUDED_START]
        table["excluded_count"] = out[:, kernel.OUT_EXCLUDED_COUNT]
        left_out = np.zeros(excluded, item_dtypes("ReferencePrice")["excluded"])
        spans = self._instruments.spans[self._excluded[:excluded]]
        left_out["value_start"] = spans[:, instrument_kernel.VENUE_START]
        left_out["value_length"] = spans[:, instrument_kernel.VENUE_LENGTH]
        found = {"ReferencePrice.venues": venues, "ReferencePrice.excluded": left_out}
        return [Rows("reference", "ReferencePrice", table, found, self._instruments.text)]

    def changed(self) -> set[str]:
        """Symbols whose tops of book changed since the last call."""
        return self._cells.changed(self._instruments)

    def snapshot(self, symbol: str) -> bytes:
        """The tops of book of a symbol."""
        known = self._cells.known(self._instruments, symbol)
        return pack_symbol(_LAYOUT, self._instruments, known, self._cells.pack)

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over the tops of book of a symbol."""
        self._cells.restore(self._instruments, self.name, symbol, _LAYOUT, state)

    def forget(self, symbol: str) -> None:
        """Drop the tops of book of a symbol."""
        self._cells.forget(self._instruments, symbol)

    def counts(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}
