"""The stage `quality`: what is wrong with a venue's data, as events that begin and end.

The rules are in docs/quality.md. Needs what `books` fills in; fills the work's `exclusions`.
"""

import struct
from dataclasses import dataclass

import numpy as np

from processors import quality_clock as clock
from processors import quality_conditions as q
from processors import quality_kernel as kernel
from processors.cells import Cells, pack_symbol
from processors.config import ProcessorsConfig
from processors.emitted import emitted_table, one_nan
from processors.instruments import Instruments
from processors.work import Work
from schemas.catalogue import EVERY_SYMBOL
from schemas.columns import Rows, enum_symbols
from schemas.errors import SchemaError

_LAYOUT = 1
_SHARED = struct.Struct("<Bqq")
_MARKET = enum_symbols("Trade", "kind").index("MARKET")


@dataclass(frozen=True, slots=True)
class Condition:
    """How a condition is named on the tape."""

    kind: str
    channel: str
    unit: str


# In the order of their numbers in quality_conditions.
CONDITIONS = (
    Condition("STALE", "book", "ms"),
    Condition("STALE", "quotes", "ms"),
    Condition("STALE", "trades", "ms"),
    Condition("CROSSED", "book", "bps"),
    Condition("CROSSED", "quotes", "bps"),
    Condition("JUMP", "book", "bps"),
    Condition("IMPOSSIBLE", "book", ""),
    Condition("IMPOSSIBLE", "quotes", ""),
    Condition("IMPOSSIBLE", "trades", ""),
    Condition("IMPOSSIBLE", "klines", ""),
    Condition("IMPOSSIBLE", "marks", ""),
    Condition("TIME_BACKWARDS", "book", "ms"),
    Condition("TIME_BACKWARDS", "quotes", "ms"),
    Condition("TIME_BACKWARDS", "trades", "ms"),
    Condition("VOLUME_OUTLIER", "trades", "ratio"),
    Condition("TRADE_OUTSIDE_BOOK", "trades", "bps"),
    Condition("GAP", "book", "ms"),
    Condition("FALLBACK", "book", "score"),
)
_TOTALS = tuple(dict.fromkeys(condition.kind.lower() for condition in CONDITIONS))
_TOTAL = np.array([_TOTALS.index(condition.kind.lower()) for condition in CONDITIONS])
_SEVERITIES = ("INFO", "WARNING", "ERROR")
_KIND, _SEVERITY, _STATE = (
    np.array([enum_symbols("Quality", field).index(name) for name in names])
    for field, names in (
        ("kind", [condition.kind for condition in CONDITIONS]),
        ("severity", [_SEVERITIES[severity] for severity in q.SEVERITY]),
        ("state", ["RAISED", "CLEARED"]),
    )
)


class Quality:
    """Conditions of each venue and symbol, and its score (Stage)."""

    name = "quality"

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._words = np.array(
            [(instruments.word(c.channel.encode()), instruments.word(c.unit.encode()))
             for c in CONDITIONS], np.int64,
        )  # fmt: skip
        self._cells = Cells(q.INTEGER_START, q.FLOAT_START, _TOTALS)
        self._shared = np.array([0, clock.NEVER], np.int64)
        self._packed = self._pack_shared()
        self._used = np.zeros(4, np.int64)
        self._make_outputs(64)
        self.configure(ProcessorsConfig())

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; what is raised stays until it is cleared by it."""
        own = config.quality
        ms, s = 1e3, 1e6
        self._limits = np.array([
            own.stale_ms * ms, own.stale_trades_ms * ms, own.stale_factor, own.crossed_ms * ms,
            own.jump_bps, own.absurd_ratio, own.backwards_ms * ms, own.volume_ratio,
            own.outside_bps, own.learn_events, own.learn_s, own.clear_after_ms * ms,
            own.recover_s * s,
            config.reference.stale_after_ms * ms, config.reference.least_score,
            config.reference.return_score,
        ])  # fmt: skip

    def process(self, work: Work) -> list[Rows]:
        """Look at a batch."""
        count = len(self._instruments)
        self._cells.fit(count)
        self._scratch = np.empty(count)
        self._jumps = np.empty(count)
        self._used[:] = (0, 0, -1, 0)
        at = 0
        while (at := self._advance(at, work)) < len(work.batch):
            old = self._out, self._out_floats, self._exclusions
            self._make_outputs(2 * len(self._out) + kernel.ROWS_A_CLOCK * count)
            new = self._out, self._out_floats, self._exclusions
            for before, after in zip(old, new, strict=True):
                after[: len(before)] = before
        work.exclusions = self._exclusions[: self._used[q.USED_EXCLUSIONS]].copy()
        return self._emitted(work)

    def _make_outputs(self, rows: int) -> None:
        self._out = np.empty((rows, q.OUT_COLUMNS), np.int64)
        self._out_floats = np.empty((rows, q.OUT_FLOATS))
        # Each exclusion comes with a row.
        self._exclusions = np.empty((rows, 3), np.int64)

    def _advance(self, first: int, work: Work) -> int:
        trades, quotes, klines = work.table("Trade"), work.table("Quote"), work.table("Kline")
        deltas, snapshots = work.table("BookDelta"), work.table("BookSnapshot")
        marks, funding = work.table("MarkPrice"), work.table("Funding")
        delta_bids = work.item_table("BookDelta", "bids")
        delta_asks = work.item_table("BookDelta", "asks")
        snapshot_bids = work.item_table("BookSnapshot", "bids")
        snapshot_asks = work.item_table("BookSnapshot", "asks")
        return int(kernel.advance(
            first, work.code, work.batch.row, work.instrument, work.event_time,
            work.best_bid, work.best_ask, work.book_live,
            trades["price"], trades["quantity"], trades["kind"], trades["backfilled"], _MARKET,
            quotes["bid_price"], quotes["bid_quantity"], quotes["ask_price"],
            quotes["ask_quantity"],
            deltas["bids_start"], deltas["bids_count"], deltas["asks_start"], deltas["asks_count"],
            delta_bids["price"], delta_bids["quantity"],
            delta_asks["price"], delta_asks["quantity"],
            snapshots["bids_start"], snapshots["bids_count"], snapshots["asks_start"],
            snapshots["asks_count"],
            snapshot_bids["price"], snapshot_bids["quantity"],
            snapshot_asks["price"], snapshot_asks["quantity"],
            klines["open"], klines["high"], klines["low"], klines["close"], klines["volume"],
            marks["mark_price"], marks["index_price"], marks["index_price_null"], funding["rate"],
            self._limits, self._instruments.order(), self._instruments.symbols, self._shared,
            self._cells.integers, self._cells.floats, self._cells.dirty,
            self._scratch, self._jumps,
            self._out, self._out_floats, self._exclusions, self._used,
        ))  # fmt: skip

    def _emitted(self, work: Work) -> list[Rows]:
        out = self._out[: self._used[q.USED_OUT]]
        if not len(out):
            return []
        table = emitted_table(
            "Quality", work, out[:, q.OUT_EVENT], out[:, q.OUT_SEQ], out[:, q.OUT_INSTRUMENT]
        )
        floats = one_nan(self._out_floats[: len(out)])
        condition = out[:, q.OUT_CONDITION]
        raised = out[:, q.OUT_CLEARED] == 0
        places = out[raised, q.OUT_INSTRUMENT], _TOTAL[condition[raised]]
        np.add.at(self._cells.totals, places, 1)
        table["kind"], table["severity"] = _KIND[condition], _SEVERITY[condition]
        table["state"] = _STATE[out[:, q.OUT_CLEARED]]
        words = self._words[condition]
        table["channel_start"], table["channel_length"] = words[:, 0].T
        table["unit_start"], table["unit_length"] = words[:, 1].T
        table["value"] = floats[:, q.OUT_VALUE]
        table["limit"] = floats[:, q.OUT_LIMIT]
        table["score"] = floats[:, q.OUT_SCORE]
        table["raised_time"] = out[:, q.OUT_RAISED]
        table["count"] = out[:, q.OUT_COUNT]
        return [Rows("quality", "Quality", table, {}, self._instruments.text)]

    def changed(self) -> set[str]:
        """Symbols of which something was heard since the last call; `*`: a Clock."""
        found = self._cells.changed(self._instruments)
        packed = self._pack_shared()
        if packed != self._packed:
            self._packed = packed
            found.add(EVERY_SYMBOL)
        return found

    def snapshot(self, symbol: str) -> bytes:
        """The conditions of a symbol."""
        found = self._cells.known(self._instruments, symbol)
        packed = pack_symbol(_LAYOUT, self._instruments, found, self._cells.pack)
        return self._pack_shared() + packed if symbol == EVERY_SYMBOL else packed

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over the conditions of a symbol."""
        if symbol == EVERY_SYMBOL:
            self._unpack_shared(state)
            state = state[_SHARED.size :]
        self._cells.restore(self._instruments, self.name, symbol, _LAYOUT, state)

    def forget(self, symbol: str) -> None:
        """Put the conditions of a symbol back to their start."""
        self._cells.forget(self._instruments, symbol)

    def counts(self) -> dict[str, int]:
        """Conditions raised, by kind."""
        return self._cells.counts()

    def _pack_shared(self) -> bytes:
        return _SHARED.pack(_LAYOUT, *self._shared.tolist())

    def _unpack_shared(self, state: bytes) -> None:
        layout, *shared = _SHARED.unpack_from(state)
        if layout != _LAYOUT:
            raise SchemaError(
                f"the state of stage {self.name!r}, symbol '*', has layout {layout}, this version "
                f"reads {_LAYOUT}: start from the beginning of the tape instead"
            )
        self._shared[:] = shared
        self._packed = self._pack_shared()
