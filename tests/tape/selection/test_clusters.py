"""Columns that say nothing or the same are dropped; those that say nearly the same are joined."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from tape.selection.clusters import cluster, useless
from tape.selection.frame import Array

ROWS = 500


def _ranks(*columns: Array) -> Array:
    return np.stack([rankdata(column) / (ROWS + 1) for column in columns], axis=1)


def test_empty_constant_and_repeated_columns_are_dropped() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, ROWS))
    values = _ranks(x, np.zeros(ROWS), 3 * x, y, y)
    values[:, 4] = np.nan
    gaps = values.copy()
    gaps[::2, 2] = np.nan
    names = ("x", "zero", "triple", "y", "nothing")
    assert useless(names, values) == {
        "zero": "constant",
        "triple": "same order of rows as x",
        "nothing": "no values",
    }
    assert "triple" not in useless(names, gaps)


def test_correlation_is_spearmans() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(4, ROWS))
    x[1] += x[0]
    assert cluster(_ranks(*x), 0.5).correlation == pytest.approx(spearmanr(x.T).statistic)


def test_likes_are_joined_whatever_their_sign() -> None:
    random = np.random.default_rng(2)
    x, y = random.normal(size=(2, ROWS))
    near = [value + 0.4 * random.normal(size=ROWS) for value in (x, -x, y)]
    found = cluster(_ranks(x, near[2], near[0], random.normal(size=ROWS), near[1], y), 0.6)
    assert found.members == ((0, 2, 4), (1, 5), (3,))


def test_a_single_column_is_a_cluster() -> None:
    assert cluster(_ranks(np.arange(ROWS)), 0.6).members == ((0,),)
