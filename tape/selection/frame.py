"""From a frame to samples: label, ranks of each feature within its symbol, a hash of the data."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.stats import rankdata

from schemas.errors import ConfigError
from tape.selection.options import ROWS_A_FOLD, SelectionOptions

Array = np.ndarray[Any, np.dtype[Any]]

# A fold must have room for two blocks of a resample, each longer than a label.
_HORIZONS_A_FOLD = 2
# A few jumps would outweigh all else in a squared error.
_CLIPPED = 0.005


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows in order of time (int64 microseconds UTC).

    `symbol` has numbers of `symbols`. `values` is the rank of each value among those of its
    symbol, from 0 to 1 (exclusive), NaN where it is missing; shape rows, names. Ranks make symbols
    comparable, and a tree sees nothing else of a single symbol anyway. `rows` is the frame's;
    `data_hash` the SHA-256 of all that was read, in order of symbol and time; `feature_set` the
    version of the feature set, if the frame's metadata has it.
    """

    time: Array
    symbol: Array
    symbols: tuple[str, ...]
    names: tuple[str, ...]
    values: Array
    label: Array
    rows: int
    data_hash: str
    feature_set: str


def load(frame: pa.Table | str | Path, options: SelectionOptions) -> Samples:
    """The samples of a frame or of its Parquet file (or folder of them).

    ConfigError if a column is missing or has the wrong type, or the rows are too few.
    """
    table = frame if isinstance(frame, pa.Table) else _read(Path(frame))
    names = _candidates(table, options)
    time, symbols, symbol = _index(table)
    target = _doubles(table, options.label or options.price)
    columns = [_doubles(table, name) for name in names]

    order = np.lexsort((time, symbol))
    time, symbol, target = time[order], symbol[order], target[order]
    columns = [column[order] for column in columns]
    bounds = np.searchsorted(symbol, np.arange(len(symbols) + 1))
    groups = [slice(a, b) for a, b in pairwise(bounds)]

    horizon = horizon_us(options)
    if options.price:
        label = np.concatenate([_forward_return(time[g], target[g], horizon) for g in groups])
    else:
        label = np.where(np.isfinite(target), target, np.nan)
    labelled = np.flatnonzero(~np.isnan(label))
    _check_rows(time[labelled], len(time), options)

    values = np.empty((len(time), len(names)), order="F")
    for at, column in enumerate(columns):
        for group in groups:
            values[group, at] = _ranks(column[group])
    kept = _thinned(symbol[labelled], labelled, options.max_rows)
    kept = kept[np.argsort(time[kept], kind="stable")]
    return Samples(
        time=time[kept],
        symbol=symbol[kept],
        symbols=symbols,
        names=names,
        values=np.asfortranarray(values[kept]),
        label=label[kept],
        rows=len(time),
        data_hash=_hash(symbols, names, [time, symbol, target, *columns]),
        feature_set=(table.schema.metadata or {}).get(b"feature_set", b"").decode(),
    )


def horizon_us(options: SelectionOptions) -> int:
    """The horizon in microseconds."""
    return round(options.horizon_s * 1e6)


def _read(path: Path) -> pa.Table:
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file")
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"{path} could not be read as Parquet: {error}") from None


def _candidates(table: pa.Table, options: SelectionOptions) -> tuple[str, ...]:
    named = ["event_time", "symbol", options.label or options.price]
    if absent := [
        name
        for name in (*named, *options.features, *options.exclude)
        if name not in table.column_names
    ]:
        raise ConfigError(
            f"the frame has no column {', '.join(map(repr, absent))}; "
            f"it has {', '.join(table.column_names)}"
        )
    if options.label in options.features:
        raise ConfigError(f"{options.label!r} is the label and cannot be a feature as well")
    names = options.features or tuple(
        field.name
        for field in table.schema
        if pa.types.is_floating(field.type) and field.name not in named
    )
    names = tuple(name for name in names if name not in options.exclude)
    if not names:
        raise ConfigError("the frame has no floating-point column that could be a feature")
    if len(set(names)) < len(names):
        raise ConfigError("a feature is named twice")
    return names


def _index(table: pa.Table) -> tuple[Array, tuple[str, ...], Array]:
    time, symbol = table["event_time"], table["symbol"]
    if pa.types.is_timestamp(time.type):
        time = time.cast(pa.timestamp("us", time.type.tz)).cast(pa.int64())
    if not pa.types.is_integer(time.type):
        raise ConfigError(f"event_time was {time.type}; it must be int64 microseconds UTC")
    if time.null_count or symbol.null_count:
        raise ConfigError("event_time and symbol must have a value in every row")
    symbols, codes = np.unique(
        np.array(symbol.cast(pa.string()).to_pylist(), dtype=str), return_inverse=True
    )
    return (
        np.asarray(time.cast(pa.int64())),
        tuple(str(name) for name in symbols),
        codes.astype(np.int64),
    )


def _doubles(table: pa.Table, name: str) -> Array:
    column = table[name]
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise ConfigError(f"column {name!r} was {kind}; it must be a number")
    values = np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan))
    return np.where(np.isnan(values), np.nan, values)  # one NaN: the hash knows of no others


def _forward_return(time: Array, price: Array, horizon: int) -> Array:
    """Return to the last price at or before the horizon, in standard deviations; else NaN.

    It has none where the horizon is past the symbol's last row, or where the last price by then
    is older than half of it: behind a gap, it would be a return of nothing.
    """
    known = np.isfinite(price) & (price > 0)
    label = np.full(len(time), np.nan)
    if not known.any():
        return label
    times, prices = time[known], price[known]
    ends = time + horizon
    at = np.searchsorted(times, ends, side="right") - 1
    rows = np.flatnonzero(
        known & (ends <= time[-1]) & ((ends - times[np.maximum(at, 0)]) * 2 < horizon)
    )
    if not len(rows):
        return label
    label[rows] = prices[at[rows]] / price[rows] - 1.0
    label[rows] = np.clip(label[rows], *np.quantile(label[rows], (_CLIPPED, 1 - _CLIPPED)))
    spread = float(np.std(label[rows]))
    return label / spread if spread > 0 else label


def _check_rows(time: Array, rows: int, options: SelectionOptions) -> None:
    need = ROWS_A_FOLD * options.folds
    what = options.label or f"forward return of {options.price} over {options.horizon_s:g} s"
    if len(time) < need:
        raise ConfigError(
            f"{len(time)} of {rows} rows have a label ({what}); "
            f"at least {need} are needed for {options.folds} folds"
        )
    span = (time.max() - time.min()) / 1e6
    horizons = _HORIZONS_A_FOLD * options.folds
    if span < horizons * options.horizon_s:
        raise ConfigError(
            f"the labels span {span:g} s; "
            f"at least {horizons} horizons of {options.horizon_s:g} s "
            f"are needed for {options.folds} folds"
        )


def _ranks(values: Array) -> Array:
    known = ~np.isnan(values)
    ranks = np.full(len(values), np.nan)
    ranks[known] = rankdata(values[known]) / (np.count_nonzero(known) + 1)
    return ranks


def _thinned(symbol: Array, rows: Array, most: int) -> Array:
    step = -(-len(rows) // most)
    first = np.searchsorted(symbol, symbol)
    return np.asarray(rows[(np.arange(len(rows)) - first) % step == 0])


def _hash(symbols: tuple[str, ...], names: tuple[str, ...], arrays: list[Array]) -> str:
    digest = hashlib.sha256(repr((symbols, names)).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
