"""The technical features are TA-Lib's, bar for bar, and their state is all that they remember."""

from typing import Any

import numpy as np
import pytest
import talib.abstract
from hypothesis import given, settings

from processors.features.catalogue import OUTPUTS
from processors.features.technical import RING, five_minutes, kernel
from tests.processors.features.technical.oracle import (
    RECORDED,
    SERIES,
    Alone,
    Floats,
    any_bars,
    assert_exact,
    gapped,
    ours,
    random_walk,
    recorded,
)

# All families of one-minute bars go through the kernel.
BOTH = pytest.mark.parametrize("family", [kernel, five_minutes], ids=["1m", "5m"])


@BOTH
@pytest.mark.parametrize("name", SERIES)
def test_made_bars(name: str, family: Any) -> None:
    assert_exact(family, SERIES[name]())


@BOTH
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_bars(name: str, family: Any) -> None:
    assert_exact(family, recorded(name))


@BOTH
@given(bars=any_bars())
@settings(max_examples=50, deadline=None)
def test_any_bars(family: Any, bars: Floats) -> None:
    assert_exact(family, bars)


def same_bits(a: Floats, b: Floats) -> bool:
    return a.tobytes() == b.tobytes()


def test_the_kernel_is_its_families() -> None:
    bars = gapped()
    families = [Alone(family) for family in kernel.FAMILIES]
    apart = np.array([np.concatenate([each.add(bar) for each in families]) for bar in bars])
    assert same_bits(ours(kernel, bars), apart)


@BOTH
@pytest.mark.parametrize("cut", [1, 13, 40, RING, 300])
def test_goes_on_from_a_snapshot(cut: int, family: Any) -> None:
    bars = gapped(400)
    run = Alone(family)
    for bar in bars[:cut]:
        run.add(bar)
    run = run.restored()
    assert same_bits(ours(family, bars)[cut:], np.array([run.add(bar) for bar in bars[cut:]]))


@BOTH
def test_instruments_do_not_meet(family: Any) -> None:
    first, second = random_walk(200, seed=8), random_walk(200, price=1e-3, seed=9)
    one, other = Alone(family), Alone(family)
    found = [(one.add(a), other.add(b)) for a, b in zip(first, second, strict=True)]
    assert same_bits(ours(family, first), np.array([a for a, _ in found]))
    assert same_bits(ours(family, second), np.array([b for _, b in found]))


@BOTH
@pytest.mark.parametrize("name", ["walk", "gapped", "no volume"])
def test_values_are_in_their_range(name: str, family: Any) -> None:
    found = ours(family, SERIES[name]())
    for feature, values in zip(family.FEATURES, found.T, strict=True):
        room = 1e-9 * np.nanmax(np.abs(values))
        assert np.nanmin(values) >= feature.low - room, feature.name
        assert np.nanmax(values) <= feature.high + room, feature.name


def test_catalogue() -> None:
    features = (*kernel.FEATURES, *five_minutes.FEATURES)
    assert len({feature.name for feature in features}) == len(features) == 62
    assert {feature.interval for feature in kernel.FEATURES} == {"1m"}
    assert {feature.interval for feature in five_minutes.FEATURES} == {"5m"}
    assert {feature.group for feature in features} == {"technical"}
    assert len({feature.talib[0] for feature in features if feature.talib}) >= 50


def test_outputs_have_talib_s_names() -> None:
    features = (*kernel.FEATURES, *five_minutes.FEATURES)
    for function in {feature.talib[0] for feature in features if feature.talib}:
        names = tuple(talib.abstract.Function(function).output_names)
        assert OUTPUTS.get(function, names[:1]) == names, function
