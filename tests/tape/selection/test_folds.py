"""Folds do not leak: no training label overlaps a tested one, and nothing else is left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError
from tape.selection.folds import block_weights, purged_folds


@given(
    gaps=st.lists(st.integers(0, 5), min_size=300, max_size=400),
    horizon=st.integers(1, 20),
    folds=st.integers(2, 4),
    embargo=st.sampled_from([0.0, 0.01, 0.05]),
)
def test_purging_leaves_out_what_overlaps_and_no_more(
    gaps: list[int], horizon: int, folds: int, embargo: float
) -> None:
    time = np.cumsum(gaps)
    rest = round(embargo * int(time[-1] - time[0]))
    try:
        pairs = purged_folds(time, horizon, folds, embargo)
    except ConfigError:
        return  # hypothesis made nearly all rows of one time
    assert np.array_equal(np.concatenate([test for _, test in pairs]), np.arange(len(time)))
    for train, test in pairs:
        first, last = time[test[0]], time[test[-1]]
        expected = [
            row
            for row, begin in enumerate(time)
            if begin + horizon < first or begin > last + horizon + rest
        ]
        assert train.tolist() == expected


def test_rows_of_one_time_are_in_one_fold() -> None:
    time = np.repeat(np.arange(100), 7)
    pairs = purged_folds(time, 1, 3, 0.0)
    for _, test in pairs:
        assert len(test) % 7 == 0


def test_a_horizon_that_purges_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"too few rows by a horizon of 0\.001 s"):
        purged_folds(np.arange(1000), 1000, 5, 0.0)


def test_a_resample_repeats_whole_blocks() -> None:
    weights = block_weights(1000, 10, np.random.default_rng(0)).reshape(10, 100)
    assert (weights == weights[:, :1]).all()
    assert weights[:, 0].sum() == 10
    assert weights[:, 0].max() > 1
