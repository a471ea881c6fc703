"""The population stability index by its formula."""

from math import isnan, log

import numpy as np
import pytest

from tape.selection.drift import stability_index


def test_index_is_the_formula() -> None:
    random = np.random.default_rng(0)
    values = random.uniform(size=(800, 2))
    values[random.uniform(size=800) < 0.2, 1] = np.nan
    found = stability_index(values, 4)
    assert found.shape == (3, 2)

    def shares(part: list[float]) -> list[float]:
        counts = [0.5] * 11
        for value in part:
            counts[10 if isnan(value) else int(value * 10)] += 1
        return [count / sum(counts) for count in counts]

    for column in range(2):
        parts = [shares(values[at : at + 200, column].tolist()) for at in range(0, 800, 200)]
        for period, part in enumerate(parts[1:]):
            index = sum((p - q) * log(p / q) for p, q in zip(part, parts[0], strict=True))
            assert found[period, column] == pytest.approx(index, rel=1e-9)


def test_a_trend_drifts_and_noise_does_not() -> None:
    rows = 4000
    noise = np.random.default_rng(1).uniform(size=rows)
    found = stability_index(np.stack((noise, np.arange(rows) / rows), axis=1), 4)
    assert found[:, 0].max() < 0.1
    assert found[:, 1].min() > 1
