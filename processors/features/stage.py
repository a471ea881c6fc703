"""The stage `features`: one vector of features a symbol at each decision.

docs/features.md has the rules. Needs what `books`, `bars`, `quality` and `indicators` fill in.
"""

from hashlib import blake2b

import numpy as np

from processors.cells import Cells, pack_symbol
from processors.codes import NEWS
from processors.config import FeaturesConfig, ProcessorsConfig
from processors.emitted import columns, emitted_table
from processors.features import feature_set, kernel, market, sentiment
from processors.instruments import Instruments
from processors.work import Work
from schemas import catalogue
from schemas.columns import Batch, Rows, enum_symbols, item_dtypes
from schemas.errors import SchemaError

_LAYOUT = 1
_RECORD = "FeatureVector"
_EXCHANGES = ("binance", "bybit", "okx")
_MARKET = enum_symbols("Trade", "kind").index("MARKET")
_BUY, _SELL = (enum_symbols("Trade", "aggressor_side").index(side) for side in ("BUY", "SELL"))
_COLUMNS = columns(_RECORD)
_FIRST = _COLUMNS[feature_set.NAMES[0]]
_LAST = _FIRST + 2 * kernel.WIDTH


class Features:
    """Vectors of features (Stage)."""

    name = "features"

    def __init__(self, instruments: Instruments) -> None:
        expected = catalogue.schema(_RECORD)["feature_set"]
        if feature_set.version() != expected:
            raise SchemaError(
                f"the features have version {feature_set.version()}, their schema {expected}: "
                "run `tape features generate`"
            )
        self._instruments = instruments
        self._word = instruments.word(expected.encode())
        self._cells = Cells((0,) * market.INTEGERS, (0.0,) * kernel.INSTRUMENT_FLOATS, ())
        self._symbols = Cells((0,) * kernel.SYMBOL_INTEGERS, (0.0,) * sentiment.FLOATS, ())
        self._blank = self._symbols.pack(0)
        self._used = np.zeros(6, np.int64)
        self._fit_outputs(64)
        self._order = np.zeros(0, np.int64)
        self._config = FeaturesConfig()

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; without features only what `quality` excludes is kept."""
        self._config = config.features
        self._order = np.zeros(0, np.int64)
        if not self._config.enabled:
            excluded = self._cells.integers[:, market.EXCLUDED].copy()
            for symbol in self._instruments.symbol_names:
                self.forget(symbol)
            self._cells.integers[:, market.EXCLUDED] = excluded

    def process(self, work: Work) -> list[Rows]:
        """Follow the markets over a batch."""
        if not self._config.enabled:
            # They are told once, when they change.
            self._cells.fit(len(self._instruments))
            for _, instrument, excluded in work.exclusions.tolist():
                self._cells.integers[instrument, market.EXCLUDED] = excluded
                self._cells.dirty[instrument] = 1
            return []
        self._fit()
        self._used[:] = 0
        at = 0
        while (at := self._advance(at, work)) < len(work.batch):
            if self._used[kernel.STOPPED_FOR] == kernel.GLOBAL:
                self._take_global(work, at)
                self._used[kernel.USED_GLOBAL] = at + 1
            else:
                old = self._out, self._vectors
                self._fit_outputs(2 * len(self._out) + len(self._instruments))
                for before, after in zip(old, (self._out, self._vectors), strict=True):
                    after[: len(before)] = before
        return self._emitted(work)

    def _fit(self) -> None:
        """Have rows for all instruments, and know of each what the configuration says."""
        instruments, config = self._instruments, self._config
        self._cells.fit(len(instruments))
        self._symbols.fit(len(instruments.symbol_names))
        if len(self._order) == len(instruments) > 0:
            return
        self._order = instruments.order()
        venues = [instruments.venue(i).decode() for i in range(len(instruments))]
        exchanges = {name: at for at, name in enumerate(_EXCHANGES)}
        self._exchanges = np.array(
            [exchanges.get(venue.split("-")[0], -1) for venue in venues], np.int64
        )
        self._fees = np.array([config.fees_bps.get(venue, 10.0) / 1e4 for venue in venues])
        # Venues that are not named come last, by their names.
        unnamed = sorted(set(venues) - set(config.venues))
        ranks = {venue: rank for rank, venue in enumerate((*config.venues, *unnamed))}
        self._priority = np.array([ranks[venue] for venue in venues], np.int64)
        self._groups = np.zeros((len(instruments.symbol_names), 2), np.int64)
        ordered = instruments.symbols[self._order]
        for symbol in range(len(self._groups)):
            found = np.flatnonzero(ordered == symbol)
            self._groups[symbol] = (found[0], found[-1] + 1) if len(found) else (0, 0)
        self._scratch = np.empty(len(instruments))

    def _fit_outputs(self, rows: int) -> None:
        self._out = np.empty((rows, kernel.OUT_COLUMNS), np.int64)
        self._vectors = np.empty((rows, kernel.WIDTH))

    def _advance(self, first: int, work: Work) -> int:
        trades, marks, funding = work.table("Trade"), work.table("MarkPrice"), work.table("Funding")
        instruments, config = self._instruments, self._config
        return int(kernel.advance(
            first, work.code, work.batch.row, work.instrument, work.event_time,
            work.best_bid, work.best_ask, work.top_time,
            trades["price"], trades["quantity"], trades["aggressor_side"], trades["kind"],
            trades["backfilled"], _MARKET, _BUY, _SELL,
            marks["mark_price"], marks["index_price"], marks["index_price_null"],
            funding["rate"], funding["settled"], funding["funding_time"],
            funding["interval_hours"], funding["interval_hours_null"],
            funding["funding_time_null"],
            work.books, work.book_bids, work.book_asks,
            work.indicators, work.indicator_values, work.exclusions,
            self._order, self._groups, instruments.symbols, instruments.kinds,
            self._exchanges, self._fees, self._priority,
            1000 * config.decision_ms, 1000 * config.stale_after_ms,
            self._cells.integers, self._cells.floats, self._cells.dirty,
            self._symbols.integers, self._symbols.floats, self._symbols.dirty,
            self._scratch, self._out, self._vectors, self._used,
        ))  # fmt: skip

    def _take_global(self, work: Work, at: int) -> None:
        """Tell every symbol of a headline or of an index value."""
        batch, row = work.batch, int(work.batch.row[at])
        dated, received = int(work.event_time[at]), int(work.receive_time[at])
        headline = _headline(batch, row) if work.code[at] == NEWS else None
        if headline is None and batch.string("SentimentIndex", "index", row) != "fear_greed":
            return
        for symbol, name in enumerate(self._instruments.symbol_names):
            integers = self._symbols.integers[symbol]
            if integers[kernel.SEEN] == 0:
                continue
            own = integers[kernel.SYMBOL_INTEGERS - sentiment.INTEGERS :]
            floats = self._symbols.floats[symbol]
            # What is dated ahead counts as of now: it came before the next pulse.
            pulse = int(integers[kernel.PULSE])
            time = min(dated, pulse + market.SECOND_US if pulse else received)
            if headline is None:
                value = float(work.table("SentimentIndex")["value"][row])
                sentiment.on_index(floats, own, time, value)
            else:
                key, currencies, *rest = headline
                # A headline that names no currency is of the whole market.
                concerns = not currencies or name.split("-")[0] in currencies
                sentiment.on_news(floats, own, time, concerns, key, *rest)
            self._symbols.dirty[symbol] = 1

    def _emitted(self, work: Work) -> list[Rows]:
        used = self._used[kernel.USED_OUT]
        if not used:
            return []
        out, vectors = self._out[:used], self._vectors[:used]
        table = emitted_table(
            _RECORD,
            work,
            out[:, kernel.OUT_EVENT],
            out[:, kernel.OUT_SEQ],
            out[:, kernel.OUT_PRIMARY],
        )
        # Each feature has two columns of eight bytes: its value, and whether it is null.
        cells = table.view(np.int64).reshape(used, len(_COLUMNS))
        cells[:, _COLUMNS["feature_set_start"]] = self._word[0]
        cells[:, _COLUMNS["feature_set_length"]] = self._word[1]
        cells[:, _COLUMNS["stale"]] = out[:, kernel.OUT_STALE]
        cells[:, _COLUMNS["fallback"]] = out[:, kernel.OUT_FALLBACK]
        known = np.isfinite(vectors)
        np.copyto(cells.view(np.float64)[:, _FIRST:_LAST:2], vectors, where=known)
        np.logical_not(known, out=known)
        cells[:, _FIRST + 1 : _LAST : 2] = known
        return [Rows("features", _RECORD, table, {}, self._instruments.text)]

    def changed(self) -> set[str]:
        """Symbols whose state changed since the last call."""
        found = np.flatnonzero(self._symbols.dirty)
        self._symbols.dirty[found] = 0
        names = self._instruments.symbol_names
        return self._cells.changed(self._instruments) | {names[symbol] for symbol in found.tolist()}

    def snapshot(self, symbol: str) -> bytes:
        """The state of a symbol and of its markets."""
        known = self._cells.known(self._instruments, symbol)
        index = self._index(symbol)
        # What was forgotten has the state of one that was never met.
        own = self._symbols.pack(index) if index >= 0 else self._blank
        return pack_symbol(_LAYOUT, self._instruments, known, self._cells.pack) + own

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over the state of a symbol and of its markets."""
        end = len(state) - self._symbols.packed_size
        self._cells.restore(self._instruments, self.name, symbol, _LAYOUT, state[:end])
        self._symbols.fit(len(self._instruments.symbol_names))
        index = self._index(symbol)
        if index >= 0:
            self._symbols.unpack(index, state[end:])

    def forget(self, symbol: str) -> None:
        """Begin a symbol anew."""
        self._cells.forget(self._instruments, symbol)
        self._symbols.fit(len(self._instruments.symbol_names))
        index = self._index(symbol)
        if index >= 0 and not self._symbols.is_blank(index):
            self._symbols.reset(index)

    def counts(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def _index(self, symbol: str) -> int:
        """The symbol's row; -1 where none of its instruments was met."""
        members = self._instruments.of_symbol(symbol)
        return int(self._instruments.symbols[members[0]]) if members else -1


def _headline(batch: Batch, row: int) -> tuple[int, set[str], float, int, int]:
    """A headline's key, currencies, score (NaN: none) and votes (-1: not known)."""
    table = batch.tables["News"]
    named = "\0".join(batch.string("News", field, row) for field in ("source", "news_id"))
    key = int.from_bytes(blake2b(named.encode(), digest_size=8).digest(), "little", signed=True)
    found = table[row]
    items = batch.items.get("News.currencies", np.zeros(0, item_dtypes("News")["currencies"]))
    start, count = int(found["currencies_start"]), int(found["currencies_count"])
    currencies = {
        bytes(batch.text[each["value_start"] : each["value_start"] + each["value_length"]]).decode()
        for each in items[start : start + count]
    }
    score = np.nan if found["sentiment_null"] else float(found["sentiment"])
    votes = (
        -1 if found[f"{name}_null"] else int(found[name])
        for name in ("votes_positive", "votes_negative")
    )
    positive, negative = votes
    return key, currencies, score, positive, negative
