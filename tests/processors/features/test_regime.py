"""The regime features are what their formulas say over all closes so far."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from processors.features import regime
from tests.processors.features.technical.oracle import (
    RECORDED,
    SERIES,
    Floats,
    any_bars,
    ours,
    recorded,
)

NAMES = [f.name for f in regime.FEATURES]


def probabilities_of_high(returns: Sequence[float]) -> list[float]:
    """Hamilton's filter after each return."""
    probability, found = 0.5, [math.nan]
    variance = returns[0] ** 2
    for n, r in enumerate(returns[1:], 2):
        high = 0.98 * probability + 0.02 * (1 - probability)
        ratio = r * r / variance if variance else math.inf if r else 0.0
        # Both densities divided by exp(-ratio / 8), that they do not both vanish.
        density_high = 1 / math.sqrt(4.0)
        density_low = math.exp(-ratio / (2 * 0.5) + ratio / (2 * 4.0)) / math.sqrt(0.5)
        if ratio == math.inf:
            density_low = 0.0
        joint_high, joint_low = high * density_high, (1 - high) * density_low
        probability = joint_high / (joint_high + joint_low)
        if n <= 120:
            variance = math.fsum(x * x for x in returns[:n]) / n
        else:
            variance += 2 / 241 * (r * r - variance)
        found.append(probability if n >= 120 else math.nan)
    return found


def hurst(returns: Sequence[float]) -> float:
    """Aggregated variance of 127 returns."""
    lengths = (1, 2, 4, 8, 16)
    logs = []
    for length in lengths:
        ends = range(len(returns), length - 1, -length)
        means = [math.fsum(returns[end - length : end]) / length for end in ends]
        logs.append(math.log2(max(statistics.variance(means), 1e-24)))
    if logs[0] <= math.log2(1e-24):
        return math.nan
    slope = np.polyfit(np.log2(lengths), logs, 1)[0]
    return float(min(max(1 + slope / 2, 0.0), 1.0))


def reference(closes: Sequence[float], wanted: Sequence[int] | range) -> Floats:
    """The features at the wanted bars, each from all closes so far."""
    returns = [b / a - 1.0 for a, b in pairwise(closes)]
    high = [math.nan, *(probabilities_of_high(returns) if returns else [])]
    rows = []
    for i in wanted:
        past = returns[:i]
        row = [high[i], *[math.nan] * 4]
        if len(past) >= 60 and (long := statistics.stdev(past[-60:])) > 1e-12:
            row[1] = statistics.stdev(past[-10:]) / long
        if i >= 30:
            move = closes[i] - closes[i - 30]
            path = math.fsum(abs(closes[j] - closes[j - 1]) for j in range(i - 29, i + 1))
            row[2] = abs(move) / path if path else 0.0
            row[4] = math.copysign(1.0, move) if row[2] > 0.3 else 0.0
        if len(past) >= 127:
            row[3] = hurst(past[-127:])
        rows.append(row)
    return np.array(rows)


def check(bars: Floats, step: int = 1) -> None:
    wanted = range(0, len(bars), step)
    found = ours(regime, bars)[wanted]
    expected = reference(bars[:, 3].tolist(), wanted)
    for column, feature in enumerate(regime.FEATURES):
        mine = found[:, column]
        np.testing.assert_allclose(
            mine, expected[:, column], rtol=1e-9, atol=1e-12, err_msg=feature.name
        )
        known = mine[~np.isnan(mine)]
        assert (known >= feature.low).all()
        assert (known <= feature.high).all()


@pytest.mark.parametrize("name", SERIES)
def test_made_bars(name: str) -> None:
    check(SERIES[name]())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_bars(name: str) -> None:
    check(recorded(name), 37)


@given(bars=any_bars())
@settings(max_examples=20, deadline=None)
def test_any_bars(bars: Floats) -> None:
    check(bars, 5)


def with_returns(returns: Floats) -> Floats:
    closes = 100.0 * np.cumprod(np.concatenate(([1.0], 1.0 + returns)))
    return np.column_stack([closes] * 5)


def last(returns: Floats) -> dict[str, float]:
    return dict(zip(NAMES, ours(regime, with_returns(returns))[-1].tolist(), strict=True))


def test_first_values_come_after_the_warm_up() -> None:
    found = ours(regime, with_returns(np.random.default_rng(1).normal(0, 1e-3, 200)))
    for column, feature in enumerate(regime.FEATURES):
        assert np.isnan(found[: feature.warm_up - 1, column]).all()
        assert not np.isnan(found[feature.warm_up - 1 :, column]).any()


def test_volatility_is_high_in_a_burst_and_low_in_a_calm() -> None:
    rng = np.random.default_rng(2)
    usual = rng.normal(0, 1e-3, 300)
    zigzag = np.tile([1.0, -1.0], 5)
    burst = last(np.concatenate((usual, 4e-3 * zigzag)))
    calm = last(np.concatenate((usual, 3e-4 * zigzag)))
    assert burst["volatility_regime"] > 0.95
    assert calm["volatility_regime"] < 0.1
    assert burst["volatility_ratio"] > 1.5
    assert calm["volatility_ratio"] < 0.5


def test_a_trend_has_its_sign_and_a_zigzag_has_none() -> None:
    assert last(np.full(200, 1e-3))["trend_regime"] == 1.0
    assert last(np.full(200, -1e-3))["trend_regime"] == -1.0
    assert last(np.tile([1e-3, -1e-3], 100))["trend_regime"] == 0.0


def test_hurst_is_a_half_without_memory_above_with_and_below_in_reversion() -> None:
    rng = np.random.default_rng(3)
    found: dict[float, list[float]] = {-0.5: [], 0.0: [], 0.6: []}
    for memory, values in found.items():
        for _ in range(200):
            noise = rng.normal(0, 1e-3, 127)
            returns = noise.copy()
            for i in range(1, len(returns)):
                returns[i] = memory * returns[i - 1] + noise[i]
            values.append(last(returns)["hurst_128"])
    means = {memory: statistics.mean(values) for memory, values in found.items()}
    assert 0.4 < means[0.0] < 0.6
    assert means[-0.5] < means[0.0] - 0.1
    assert means[0.6] > means[0.0] + 0.1


def test_nothing_moves() -> None:
    found = last(np.zeros(200))
    assert found["volatility_regime"] < 0.05
    assert math.isnan(found["volatility_ratio"])
    assert math.isnan(found["hurst_128"])
    assert found["efficiency_ratio_30"] == found["trend_regime"] == 0.0
