"""How far the distribution of a feature moves away from its beginning."""

from itertools import pairwise

import numpy as np

from tape.selection.frame import Array

_BINS = 10


def stability_index(values: Array, periods: int) -> Array:
    """Population stability index of each later period against the first.

    Σ (p - q) · ln(p / q) over the tenths of the ranks and the missing values, where p is the share
    in the period and q that in the first. By custom, below 0.1 is stable and above 0.25 is not.
    `values` are ranks from 0 to 1 in order of time, NaN where missing; periods are of equally many
    rows. The shape is periods - 1, columns.

    Source: Siddiqi (2006), Credit Risk Scorecards; half a row is added to each bin, so that an
    empty one has a logarithm.
    """
    bins = np.where(np.isnan(values), _BINS, np.floor(values * _BINS)).astype(np.int64)
    edges = np.arange(periods + 1) * len(values) // periods
    shares = np.empty((periods, values.shape[1], _BINS + 1))
    for period, (begin, end) in enumerate(pairwise(edges)):
        for number in range(_BINS + 1):
            shares[period, :, number] = np.sum(bins[begin:end] == number, axis=0) + 0.5
    shares /= shares.sum(axis=2, keepdims=True)
    found = np.sum((shares[1:] - shares[0]) * np.log(shares[1:] / shares[0]), axis=2)
    return np.asarray(found)
