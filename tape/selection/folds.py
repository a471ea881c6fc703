"""Folds in time that do not leak, and resamples of blocks of time."""

import numpy as np

from schemas.errors import ConfigError
from tape.selection.frame import Array

# Fewer rows teach or prove nothing.
_LEAST = 50


def purged_folds(
    time: Array, horizon: int, folds: int, embargo: float
) -> list[tuple[Array, Array]]:
    """Numbers of the training and the tested rows of each fold.

    A tested fold is contiguous in time. A training row's label ends before the fold begins, or the
    row begins after the fold's last label ended and the embargo passed. `time` is ascending, it
    and `horizon` in microseconds; `embargo` is a share of the whole time. ConfigError if a fold is
    left with too few rows.

    Source: López de Prado, Advances in Financial Machine Learning (2018), chapter 7.
    """
    rest = round(embargo * int(time[-1] - time[0]))
    edges = np.searchsorted(time, time[np.arange(folds) * len(time) // folds])
    pairs = []
    for begin, end in zip(edges, [*edges[1:], len(time)], strict=True):
        test = np.arange(begin, end)
        before = np.searchsorted(time, time[begin] - horizon)
        after = np.searchsorted(time, time[end - 1] + horizon + rest, side="right")
        train = np.concatenate((np.arange(before), np.arange(after, len(time))))
        if min(len(test), len(train)) < _LEAST:
            raise ConfigError(
                f"a fold of {folds} was left with too few rows by a horizon of {horizon / 1e6:g} s "
                f"and an embargo of {rest / 1e6:g} s: give more rows, or fewer folds"
            )
        pairs.append((train, test))
    return pairs


def block_weights(rows: int, blocks: int, random: np.random.Generator) -> Array:
    """How often each row of a fold is in a resample that draws whole blocks with replacement.

    A fold is resampled in itself, so that there is always something to test.

    Source: Carlstein (1986), The use of subseries values for estimating the variance of a general
    statistic from a stationary sequence.
    """
    times = np.bincount(random.integers(blocks, size=blocks), minlength=blocks)
    return times[np.arange(rows) * blocks // rows].astype(np.float64)
