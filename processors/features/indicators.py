"""The stage `indicators`: what the features take from closed bars, for each venue and symbol.

Technical features, the regimes and a user's features of bars, updated when a bar of one minute or
of five closes. Needs what `bars` fills in; fills `indicators` of the work. Emits nothing.
"""

import numpy as np

from processors.cells import Cells, pack_symbol
from processors.config import INTERVAL_US, ProcessorsConfig
from processors.features import indicators_kernel as kernel
from processors.instruments import Instruments
from processors.work import Work
from schemas.columns import Rows

_LAYOUT = 1
_SLOTS = sorted(INTERVAL_US, key=lambda name: INTERVAL_US[name])


class Indicators:
    """The features of bars (Stage)."""

    name = "indicators"

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._cells = Cells((0,) * kernel.INTEGERS_PER_ROW, (0.0,) * kernel.FLOATS_PER_ROW, ())
        self._enabled = True

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; without features nothing is kept."""
        self._enabled = config.features.enabled
        if not self._enabled:
            for symbol in self._instruments.symbol_names:
                self.forget(symbol)

    def process(self, work: Work) -> list[Rows]:
        """Take the bars that a batch closed."""
        self._cells.fit(len(self._instruments))
        bars = len(work.bars)
        if not bars or not self._enabled:
            return []
        out = np.empty((bars, 2), np.int64)
        values = np.empty((bars, kernel.COUNT))
        used = kernel.advance(
            work.bars, work.bar_values, _SLOTS.index("1m"), _SLOTS.index("5m"),
            self._cells.integers, self._cells.floats, self._cells.dirty, out, values,
        )  # fmt: skip
        work.indicators, work.indicator_values = out[:used], values[:used]
        return []

    def changed(self) -> set[str]:
        """Symbols of which a bar was taken since the last call."""
        return self._cells.changed(self._instruments)

    def snapshot(self, symbol: str) -> bytes:
        """The state of a symbol's indicators."""
        known = self._cells.known(self._instruments, symbol)
        return pack_symbol(_LAYOUT, self._instruments, known, self._cells.pack)

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over the state of a symbol's indicators."""
        self._cells.restore(self._instruments, self.name, symbol, _LAYOUT, state)

    def forget(self, symbol: str) -> None:
        """Begin a symbol's indicators anew."""
        self._cells.forget(self._instruments, symbol)

    def counts(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}
