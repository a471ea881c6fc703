"""The stage `bars`: OHLCV bars a venue and symbol from trades, or from klines where none are.

The rules are in docs/processors.md.
"""

import numpy as np

from processors import bar_kernel as kernel
from processors.cells import Cells, pack_symbol
from processors.config import INTERVAL_US, BarsConfig, ProcessorsConfig
from processors.emitted import emitted_table, one_nan
from processors.instruments import Instruments
from processors.work import Work
from schemas.columns import Rows, enum_symbols

_LAYOUT = 1
_INTERVALS = sorted(INTERVAL_US.items(), key=lambda item: item[1])
_LENGTHS = np.array([length for _, length in _INTERVALS], np.int64)
_MARKET = enum_symbols("Trade", "kind").index("MARKET")
_BUY = enum_symbols("Trade", "aggressor_side").index("BUY")
_SOURCES = np.zeros(3, np.int64)
_SOURCES[kernel.FROM_TRADES] = enum_symbols("Bar", "source").index("TRADES")
_SOURCES[kernel.FROM_KLINES] = enum_symbols("Bar", "source").index("KLINES")


class Bars:
    """Bars of all configured intervals (Stage)."""

    name = "bars"

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._words = np.array(
            [instruments.word(name.encode()) for name, _ in _INTERVALS], np.int64
        )
        self._cells = Cells(
            (0, *kernel.SLOT_INTEGER_START * len(_INTERVALS)),
            kernel.SLOT_FLOAT_START * len(_INTERVALS),
            kernel.TOTALS,
        )
        self._used = np.zeros(1, np.int64)
        self._out = np.empty((64, kernel.OUT_COLUMNS), np.int64)
        self._out_floats = np.empty((64, kernel.SLOT_FLOATS))
        self.configure(ProcessorsConfig())

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; bars of intervals that are no more are forgotten."""
        self._config: BarsConfig = config.bars
        self._enabled = np.array(
            [name in config.bars.intervals for name, _ in _INTERVALS], np.int64
        )
        for slot in np.flatnonzero(self._enabled == 0).tolist():
            at, values = 1 + slot * kernel.SLOT_INTEGERS, slot * kernel.SLOT_FLOATS
            integers = self._cells.integers[:, at : at + kernel.SLOT_INTEGERS]
            had = (integers != kernel.SLOT_INTEGER_START).any(axis=1)
            self._cells.dirty[had] = 1
            integers[:] = kernel.SLOT_INTEGER_START
            self._cells.floats[:, values : values + kernel.SLOT_FLOATS] = kernel.SLOT_FLOAT_START

    def process(self, work: Work) -> list[Rows]:
        """Advance the bars over a batch."""
        self._cells.fit(len(self._instruments))
        self._used[0] = 0
        at = 0
        while (at := self._advance(at, work)) < len(work.batch):
            more = len(self._out) + 2 * len(_INTERVALS) * (1 + len(self._instruments))
            self._out = np.vstack((self._out, np.empty((more, kernel.OUT_COLUMNS), np.int64)))
            self._out_floats = np.vstack((self._out_floats, np.empty((more, kernel.SLOT_FLOATS))))
        return self._emitted(work)

    def _advance(self, first: int, work: Work) -> int:
        trades, klines = work.table("Trade"), work.table("Kline")
        return int(kernel.advance(
            first, work.code, work.batch.row, work.instrument, work.event_time, work.batch.text,
            trades["price"], trades["quantity"], trades["aggressor_side"], trades["kind"],
            trades["count"], _MARKET, _BUY,
            klines["interval_start"], klines["interval_length"], klines["open_time"],
            klines["open"], klines["high"], klines["low"], klines["close"], klines["volume"],
            klines["notional"], klines["notional_null"],
            klines["trade_count"], klines["trade_count_null"],
            klines["taker_buy_volume"], klines["taker_buy_volume_null"], klines["closed"],
            _LENGTHS, self._enabled, 1000 * self._config.grace_ms, self._instruments.order(),
            self._cells.integers, self._cells.floats, self._cells.totals, self._cells.dirty,
            self._out, self._out_floats, self._used,
        ))  # fmt: skip

    def _emitted(self, work: Work) -> list[Rows]:
        out, floats = self._out[: self._used[0]], one_nan(self._out_floats[: self._used[0]])
        work.bars, work.bar_values = out, floats
        if not len(out):
            return []
        slot = out[:, kernel.OUT_SLOT]
        table = emitted_table(
            "Bar",
            work,
            out[:, kernel.OUT_EVENT],
            out[:, kernel.OUT_SEQ],
            out[:, kernel.OUT_INSTRUMENT],
        )
        table["interval_start"], table["interval_length"] = self._words[slot].T
        table["open_time"] = out[:, kernel.OUT_OPEN_TIME]
        table["event_time"] = out[:, kernel.OUT_OPEN_TIME] + _LENGTHS[slot]
        volume, notional = floats[:, kernel.VOLUME], floats[:, kernel.NOTIONAL]
        table["open"] = floats[:, kernel.OPEN]
        table["high"] = floats[:, kernel.HIGH]
        table["low"] = floats[:, kernel.LOW]
        table["close"] = floats[:, kernel.CLOSE]
        table["volume"], table["notional"] = volume, notional
        with np.errstate(invalid="ignore"):  # infinite by infinite
            vwap = np.divide(notional, volume, out=np.full(len(out), np.nan), where=volume > 0.0)
        table["vwap"] = one_nan(vwap)
        table["trade_count"] = out[:, kernel.OUT_COUNT]
        table["taker_buy_volume"] = floats[:, kernel.TAKER_BUY]
        table["late_trades"] = out[:, kernel.OUT_LATE]
        table["source"] = _SOURCES[out[:, kernel.OUT_SOURCE]]
        return [Rows("bars", "Bar", table, {}, self._instruments.text)]

    def changed(self) -> set[str]:
        """Symbols whose bars changed since the last call."""
        return self._cells.changed(self._instruments)

    def snapshot(self, symbol: str) -> bytes:
        """The open bars of a symbol."""
        known = self._cells.known(self._instruments, symbol)
        return pack_symbol(_LAYOUT, self._instruments, known, self._cells.pack)

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over the open bars of a symbol."""
        self._cells.restore(self._instruments, self.name, symbol, _LAYOUT, state)

    def forget(self, symbol: str) -> None:
        """Drop the open bars of a symbol."""
        self._cells.forget(self._instruments, symbol)

    def counts(self) -> dict[str, int]:
        """Trades and klines used and left out; a late trade counts once for each interval."""
        return self._cells.counts()
