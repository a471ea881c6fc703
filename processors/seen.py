"""The stage `seen`: each market event takes effect once, however often it was written.

The rules are in docs/processors.md. What comes again gets the code OTHER, which no later stage
handles. Emits nothing.
"""

import struct
from hashlib import blake2b

import numpy as np

from processors import seen_kernel as kernel
from processors.cells import Cells, pack_symbol, unpack_symbol
from processors.codes import NEWS, OTHER, SENTIMENT_INDEX
from processors.config import ProcessorsConfig, SeenConfig
from processors.instruments import Instruments
from processors.windows import Windows
from processors.work import Work
from schemas.catalogue import EVERY_SYMBOL
from schemas.columns import Batch, Rows, item_dtypes, table_dtype
from schemas.errors import SchemaError

_LAYOUT = 1
_SHARED = struct.Struct("<Bqqqqi")
_GLOBAL = {NEWS: "News", SENTIMENT_INDEX: "SentimentIndex"}
# A headline is the same whenever it is dated; an index has a value for each day.
_UNSAID = {"News": {"event_time", "receive_time"}, "SentimentIndex": {"receive_time"}}


class Seen:
    """Drops what was seen before, by venue id, sequence or time (Stage)."""

    name = "seen"

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._config = SeenConfig()
        self._cells = Cells(kernel.INTEGER_START, kernel.FLOAT_START, kernel.TOTALS)
        self._windows = Windows()
        self._shared = np.array([kernel.NEVER, 0, 0], np.int64)
        # Fingerprints of global events in the order in which they came.
        self._global: dict[int, None] = {}
        self._totals = dict.fromkeys(_GLOBAL.values(), 0)
        self._packed = self._pack_shared()
        self._fit(1)

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; of windows that are to be smaller the newest stay."""
        self._config = config.seen
        for kind, most in (
            (kernel.TRADE_IDS, self._config.trades),
            (kernel.OTHER_KEYS, self._config.others),
        ):
            had = self._windows.keep(most, slice(kind, None, kernel.WINDOWS))
            self._cells.dirty[had] = 1
        self._forget_global()

    def process(self, work: Work) -> list[Rows]:
        """Mark what comes again."""
        self._fit(len(self._instruments))
        if any(len(work.table(record)) for record in _GLOBAL.values()):
            self._advance_global(work)
        at = 0
        while (at := self._advance(at, work)) < len(work.batch):
            self._windows.grow(int(self._shared[kernel.TO_GROW]))
        return []

    def _advance(self, first: int, work: Work) -> int:
        trades, quotes, klines = work.table("Trade"), work.table("Quote"), work.table("Kline")
        funding, config = work.table("Funding"), self._config
        return int(kernel.advance(
            first, work.code, work.batch.row, work.instrument, work.event_time, work.batch.text,
            trades["trade_id_start"], trades["trade_id_length"],
            quotes["sequence"], quotes["bid_price"], quotes["bid_quantity"],
            quotes["ask_price"], quotes["ask_quantity"],
            klines["interval_start"], klines["interval_length"], klines["open_time"],
            klines["closed"],
            klines["open"].view("<i8"), klines["high"].view("<i8"), klines["low"].view("<i8"),
            klines["close"].view("<i8"), klines["volume"].view("<i8"),
            funding["settled"], funding["rate"].view("<i8"), funding["funding_time"],
            config.trades, config.others, 1000 * config.restart_ms, 1000 * config.set_back_ms,
            self._cells.integers, self._cells.floats, self._cells.totals, self._cells.dirty,
            self._windows.pool, self._windows.slots, self._shared,
        ))  # fmt: skip

    def _advance_global(self, work: Work) -> None:
        for at in np.flatnonzero(np.isin(work.code, list(_GLOBAL))).tolist():
            record = _GLOBAL[int(work.code[at])]
            key = _fingerprint(work.batch, record, int(work.batch.row[at]))
            if key in self._global:
                work.code[at] = OTHER
                self._totals[record] += 1
            else:
                self._global[key] = None
                self._forget_global()

    def _forget_global(self) -> None:
        for key in list(self._global)[: max(0, len(self._global) - self._config.others)]:
            del self._global[key]

    def changed(self) -> set[str]:
        """Symbols of which something was seen since the last call; `*`: a clock or headline."""
        found = self._cells.changed(self._instruments)
        packed = self._pack_shared()
        if packed != self._packed:
            self._packed = packed
            found.add(EVERY_SYMBOL)
        return found

    def snapshot(self, symbol: str) -> bytes:
        """What was seen of a symbol."""
        found = [i for i in self._instruments.of_symbol(symbol) if self._is_known(i)]
        packed = pack_symbol(_LAYOUT, self._instruments, found, self._pack)
        return self._pack_shared() + packed if symbol == EVERY_SYMBOL else packed

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over what was seen of a symbol."""
        if symbol == EVERY_SYMBOL:
            state = state[self._unpack_shared(state) :]
            self._packed = self._pack_shared()
        for venue, body in unpack_symbol(self.name, symbol, _LAYOUT, state):
            instrument = self._instruments.add(venue, symbol.encode())
            self._fit(instrument + 1)
            self._cells.unpack(instrument, body)
            at = self._cells.packed_size
            for slot in self._slots(instrument):
                at = self._windows.unpack(slot, body, at)

    def forget(self, symbol: str) -> None:
        """Drop what was seen of a symbol."""
        for instrument in self._instruments.of_symbol(symbol):
            if self._is_known(instrument):
                self._cells.reset(instrument)
                for slot in self._slots(instrument):
                    self._windows.put(slot, np.empty(0, np.int64))

    def counts(self) -> dict[str, int]:
        """Events that came again, by kind."""
        return {
            **self._cells.counts(),
            "clocks": int(self._shared[kernel.CLOCKS]),
            "news": self._totals["News"],
            "index_values": self._totals["SentimentIndex"],
        }

    def _fit(self, count: int) -> None:
        self._cells.fit(count)
        self._windows.fit(kernel.WINDOWS * len(self._cells.dirty))

    def _slots(self, instrument: int) -> range:
        return range(kernel.WINDOWS * instrument, kernel.WINDOWS * (instrument + 1))

    def _is_known(self, instrument: int) -> bool:
        return instrument < len(self._cells.dirty) and not (
            self._cells.is_blank(instrument)
            and not any(self._windows.count(slot) for slot in self._slots(instrument))
        )

    def _pack(self, instrument: int) -> bytes:
        slots = self._slots(instrument)
        return self._cells.pack(instrument) + b"".join(self._windows.pack(s) for s in slots)

    def _pack_shared(self) -> bytes:
        keys = np.array(list(self._global), np.uint64).astype("<u8")
        clock, clocks, _ = self._shared.tolist()
        totals = self._totals.values()
        return _SHARED.pack(_LAYOUT, clock, clocks, *totals, len(keys)) + keys.tobytes()

    def _unpack_shared(self, state: bytes) -> int:
        layout, clock, clocks, news, values, count = _SHARED.unpack_from(state)
        if layout != _LAYOUT:
            raise SchemaError(
                f"the state of stage {self.name!r}, symbol '*', has layout {layout}, this version "
                f"reads {_LAYOUT}: start from the beginning of the tape instead"
            )
        self._shared[: kernel.TO_GROW] = clock, clocks
        self._totals = {"News": news, "SentimentIndex": values}
        keys = np.frombuffer(state, "<u8", count, _SHARED.size)
        self._global = dict.fromkeys(keys.tolist())
        return int(_SHARED.size + 8 * count)


def _fingerprint(batch: Batch, record: str, row: int) -> int:
    """64 bits of all that a global event says, but for when we heard of it."""
    line, items = batch.tables[record][row], item_dtypes(record)
    names = set(table_dtype(record).names or ()) - _UNSAID[record]
    said = blake2b(record.encode(), digest_size=8)
    for name in sorted(names):
        stem = name.removesuffix("_start")
        if stem in items:
            start = int(line[name])
            texts = batch.items[f"{record}.{stem}"][start : start + int(line[f"{stem}_count"])]
            spans = zip(texts["value_start"].tolist(), texts["value_length"].tolist(), strict=True)
            for first, length in spans:
                said.update(batch.text[first : first + length].tobytes() + b"\0")
        elif stem != name and f"{stem}_length" in names:
            first, length = int(line[name]), int(line[f"{stem}_length"])
            said.update(batch.text[first : first + length].tobytes() + b"\0")
        else:
            said.update(line[name].tobytes())
    return int.from_bytes(said.digest(), "little")
