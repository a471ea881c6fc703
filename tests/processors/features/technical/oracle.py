"""TA-Lib as the oracle of the technical features, and the series on which both are compared."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import talib
import talib.abstract
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyarrow import csv, feather

from processors.features.catalogue import BAR_INPUTS, Feature
from processors.features.technical import RING
from tests.data import shared_data

Floats = NDArray[np.float64]

RELATIVE = 1e-9


class Alone:
    """A family with a state and a ring of its own."""

    def __init__(self, family: Any) -> None:
        self.family = family
        self.floats = np.zeros(family.FLOATS)
        self.integers = np.zeros(family.INTEGERS, dtype=np.int64)
        self.ring = np.zeros((RING, 5))
        self.count = 0

    def add(self, bar: Floats) -> Floats:
        """One bar further: what the family gives for it."""
        out = np.zeros(len(self.family.FEATURES))
        self.ring[self.count % RING] = bar
        self.count += 1
        self.family.update(self.ring, self.count, self.floats, self.integers, out)
        return out

    def restored(self) -> "Alone":
        """Another one, from the bytes of the state."""
        other = Alone(self.family)
        other.floats = np.frombuffer(self.floats.tobytes()).copy()
        other.integers = np.frombuffer(self.integers.tobytes(), dtype=np.int64).copy()
        other.ring, other.count = self.ring.copy(), self.count
        return other


def ours(family: Any, bars: Floats) -> Floats:
    """What a family gives for each bar: [bars, features]."""
    alone = Alone(family)
    return np.array([alone.add(bar) for bar in bars])


def theirs(feature: Feature, bars: Floats) -> Floats:
    """What TA-Lib gives for each bar; NaN in its lookback, for whole numbers too."""
    assert feature.talib is not None
    name, parameters, output = feature.talib
    columns = [np.ascontiguousarray(bars[:, BAR_INPUTS.index(i)]) for i in feature.inputs]
    found = getattr(talib, name)(*columns, **parameters)
    values = found[output] if isinstance(found, tuple | list) else found
    if values.dtype.kind == "i":
        values = values.astype(np.float64)
        values[: talib.abstract.Function(name, **parameters).lookback] = np.nan
    return np.asarray(values)


def assert_exact(family: Any, bars: Floats) -> None:
    """All features of a family equal TA-Lib's: NaN at the same bars, then 1e-9 relative."""
    found = ours(family, bars)
    for column, feature in enumerate(family.FEATURES):
        mine, oracle = found[:, column], theirs(feature, bars)
        valid = ~np.isnan(oracle)
        np.testing.assert_array_equal(~np.isnan(mine), valid, err_msg=f"{feature.name}: NaN")
        assert not valid[: feature.warm_up - 1].any(), f"{feature.name}: warm-up"
        assert valid[feature.warm_up - 1 :].all(), f"{feature.name}: warm-up"
        a, b = mine[valid], oracle[valid]
        room = RELATIVE * np.maximum(np.abs(a), np.abs(b))
        wrong = np.flatnonzero(~((np.abs(a - b) <= room) | (a == b)))
        assert not len(wrong), (
            f"{feature.name}: {len(wrong)} of {len(a)} differ, first at bar "
            f"{np.flatnonzero(valid)[wrong[0]]}: {a[wrong[0]]!r}, TA-Lib {b[wrong[0]]!r}"
        )


def random_walk(count: int = 600, price: float = 100.0, seed: int = 1) -> Floats:
    """Bars whose closes walk, by a thousandth or so a bar, on a grid of prices."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0.0, 1e-3, count)))
    opened = np.concatenate(([price], close[:-1]))
    high = np.maximum(opened, close) * (1.0 + rng.exponential(5e-4, count))
    low = np.minimum(opened, close) * (1.0 - rng.exponential(5e-4, count))
    volume = rng.exponential(10.0, count)
    return np.column_stack((opened, high, low, close, volume))


def flat(count: int = 300, price: float = 100.0) -> Floats:
    """Nothing happens: all four prices are one, with some volume."""
    return np.column_stack((*[np.full(count, price)] * 4, np.full(count, 5.0)))


def gapped(count: int = 600) -> Floats:
    """A walk that jumps by a tenth, up and down, every fifty bars, and rests in between."""
    bars = random_walk(count, seed=2)
    for start in range(50, count, 50):
        bars[start:, :4] *= 1.1 if (start // 50) % 2 else 1 / 1.1
    for start in range(100, count, 100):
        bars[start : start + 30, :4] = bars[start - 1, 3]
    return bars


def jump(count: int = 200, factor: float = 1e6) -> Floats:
    """A walk that goes on at another height altogether: running sums lose their digits."""
    bars = random_walk(count, seed=10)
    bars[count // 2 :, :4] *= factor
    return bars


def no_volume(count: int = 600) -> Floats:
    """A walk in which nothing is traded in the middle, then nothing at all."""
    bars = random_walk(count, seed=3)
    bars[count // 4 : count // 2, 4] = 0.0
    bars[3 * count // 4 :, 4] = 0.0
    return bars


SERIES: dict[str, Callable[[], Floats]] = {
    "walk": random_walk,
    # Long enough for the running sums that are taken anew with age.
    "long": lambda: random_walk(1_200, seed=8),
    "up": jump,
    "down": lambda: jump(factor=1e-9),
    "rounded": lambda: np.round(random_walk(seed=7), 1),
    "flat": flat,
    "gapped": gapped,
    "price 1e-8": lambda: random_walk(price=1e-8, seed=4),
    "price 1e9": lambda: random_walk(price=1e9, seed=5),
    "no volume": no_volume,
    "one bar": lambda: random_walk(1),
    "few bars": lambda: random_walk(16, seed=6),
}

# Recorded bars of several symbols, of one minute and of five.
RECORDED = (
    "binanceus_BTCUSDT-1m_202303.csv.gz",
    "bybit_ADAUSDT-1m.csv.gz",
    "bybit_SOLUSDT_perp-5m-futures.feather",
    "bybit_WIFUSDT_perp-1m.feather",
    "okx_BTC-USDT-SWAP-1m.feather",
)


def recorded(name: str, most: int = 20_000) -> Floats:
    """Recorded bars; skips the calling test where there are none."""
    path = shared_data() / "ohlcv" / name
    table = feather.read_table(path) if path.suffix == ".feather" else csv.read_csv(path)
    columns = [table.column(i).to_numpy().astype(np.float64) for i in BAR_INPUTS]
    bars: Floats = np.column_stack(columns)[:most]
    assert len(bars) >= 10_000
    return bars


@st.composite
def any_bars(draw: st.DrawFn) -> Floats:
    """Bars of a few ticks, with repeats, gaps, long stillness and no volume."""
    tick = draw(st.sampled_from([1e-8, 0.01, 0.5, 1.0]))
    steps = draw(
        st.lists(
            st.tuples(st.integers(-3, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 9)),
            min_size=1,
            max_size=160,
        )
    )
    level, rows = 1000, []
    for step, above, below, volume in chain(steps, steps):
        opened, level = level, max(10, level + step)
        rows.append((opened, max(opened, level) + above, min(opened, level) - below, level, volume))
    bars = np.array(rows, dtype=np.float64)
    bars[:, :4] *= tick
    return bars
