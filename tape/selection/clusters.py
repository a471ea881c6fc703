"""Columns that say nothing or the same, and clusters of those that say nearly the same."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from tape.selection.frame import Array


@dataclass(frozen=True, slots=True)
class Clusters:
    """Columns by likeness: the column numbers of each cluster, in order of their first column.

    `correlation` is the rank correlation of the columns, within symbols; `tree` the merges, as of
    `scipy.cluster.hierarchy.linkage`.
    """

    members: tuple[tuple[int, ...], ...]
    correlation: Array
    tree: Array


def useless(names: tuple[str, ...], values: Array) -> dict[str, str]:
    """Columns without a difference within a symbol, or in the order of another, and why.

    `values` are the columns' ranks, shape rows, columns.
    """
    reasons: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    for at, name in enumerate(names):
        column = np.ascontiguousarray(values[:, at])
        known = column[~np.isnan(column)]
        if not len(known):
            reasons[name] = "no values"
        elif known.min() == known.max():
            reasons[name] = "constant"
        elif (other := seen.setdefault(column.tobytes(), name)) != name:
            reasons[name] = f"same order of rows as {other}"
    return reasons


def cluster(values: Array, correlation: float) -> Clusters:
    """Average linkage of 1 - |rank correlation|, cut at `correlation`.

    A missing value counts as the middle rank. Source: López de Prado, Machine Learning for Asset
    Managers (2020), chapters 4 and 6 (clustered importance).
    """
    count = values.shape[1]
    centred = np.where(np.isnan(values), 0.0, values - 0.5)
    centred -= centred.mean(axis=0)
    centred /= np.sqrt(np.sum(centred * centred, axis=0))
    matrix = np.clip(centred.T @ centred, -1.0, 1.0)
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    if count == 1:
        return Clusters(((0,),), matrix, np.empty((0, 4)))
    tree = linkage(squareform(1.0 - np.abs(matrix), checks=False), "average")
    numbers = fcluster(tree, 1.0 - correlation, "distance")
    members: dict[int, list[int]] = {}
    for at, number in enumerate(numbers):
        members.setdefault(int(number), []).append(at)
    return Clusters(tuple(map(tuple, members.values())), matrix, tree)
