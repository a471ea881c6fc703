"""How much worse a model predicts the unseen when a cluster of columns is shuffled.

Each resample of blocks is a whole cross-validation: a model is trained on the training rows of a
fold and tested on its others, as often as the resample has them. Beside the columns it is given
their shadows: each cluster, moved round in time as one, so that it is as smooth and as inwardly
correlated as itself but has nothing to do with the label. What does not beat every shadow is luck.

Sources: López de Prado, Machine Learning for Asset Managers (2020), chapter 6 (clustered
permutation importance); Meinshausen and Bühlmann (2010), Stability selection; Kursa and Rudnicki
(2010), Feature selection with the Boruta package (shadows).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from tape.selection.folds import block_weights, purged_folds
from tape.selection.frame import Array, Samples, horizon_us
from tape.selection.options import SelectionOptions

_BLOCKS_A_FOLD = 10
# More levels than a small tree can tell apart; a model bins few levels without sorting them.
_LEVELS = 128
_ROWS_AT_ONCE = 20_000
# A shadow is at least this share of the time away from the present, either way round.
_NEAREST = 0.1

Members = tuple[tuple[int, ...], ...]
Pairs = list[tuple[Array, Array]]
_Resample = tuple[Array, Array, Array, Array]


@dataclass(frozen=True, slots=True)
class Importance:
    """What each of `resamples` × `folds` models lost, as a share of the label's variance.

    By shuffling a column, a cluster as one, or a cluster's shadow; shape resamples, folds, columns
    or clusters. `scores` is the share of the variance that it explained, out of sample (R²).
    """

    columns: Array
    clusters: Array
    shadows: Array
    scores: Array

    @property
    def hits(self) -> Array:
        """Whether a cluster beat all shadows, and zero; shape resamples, clusters."""
        mine = self.clusters.mean(axis=1)
        bar = np.maximum(self.shadows.mean(axis=1).max(axis=1), 0.0)
        return np.asarray(mine > bar[:, None])


def measure(
    samples: Samples,
    values: Array,
    members: Members,
    options: SelectionOptions,
    progress: Callable[[int, int], None] | None = None,
) -> Importance:
    """Importance of all columns of `values` and their clusters, over all resamples and folds.

    `values` are ranks, shape rows, columns; `members` the columns of each cluster. `progress` is
    told the resamples done and all of them.
    """
    horizon = horizon_us(options)
    pairs = purged_folds(samples.time, horizon, options.folds, options.embargo)
    span = int(samples.time[-1] - samples.time[0])
    # A block is to be longer than a label.
    blocks = max(1, min(_BLOCKS_A_FOLD, span // (horizon * options.folds)))
    values = np.floor(values * _LEVELS)
    done: list[_Resample] = []
    for result in Parallel(n_jobs=options.jobs, return_as="generator")(
        delayed(_resample)(
            samples, values, members, pairs, blocks, np.random.default_rng([options.seed, at])
        )
        for at in range(options.resamples)
    ):
        done.append(result)
        if progress is not None:
            progress(len(done), options.resamples)
    return Importance(*(np.array(part) for part in zip(*done, strict=True)))


def _resample(
    samples: Samples,
    values: Array,
    members: Members,
    pairs: Pairs,
    blocks: int,
    random: np.random.Generator,
) -> _Resample:
    weights = np.concatenate([block_weights(len(test), blocks, random) for _, test in pairs])
    both = np.concatenate((values, _shadows(values, members, samples.symbol, random)), axis=1)
    count = values.shape[1]
    shadows = [tuple(count + column for column in cluster) for cluster in members]
    single = [(column,) for column in range(count)]
    groups = [*single, *members, *shadows]  # a cluster of one is its column
    losses, scores = [], []
    with threadpool_limits(1):  # processes share the cores, and sums keep their order
        for train, test in pairs:
            loss, score = _fit(both, samples.label, weights, train, test, groups, random)
            losses.append(loss)
            scores.append(score)
    found = np.array(losses)
    whole = count + len(members)
    return found[:, :count], found[:, count:whole], found[:, whole:], np.array(scores)


def _shadows(values: Array, members: Members, symbol: Array, random: np.random.Generator) -> Array:
    moves = random.uniform(_NEAREST, 1.0 - _NEAREST, len(members))
    shadows = np.empty_like(values)
    for number in np.unique(symbol):
        rows = np.flatnonzero(symbol == number)
        for move, cluster in zip(moves, members, strict=True):
            for column in cluster:
                shadows[rows, column] = np.roll(values[rows, column], int(move * len(rows)))
    return shadows


def _fit(
    values: Array,
    label: Array,
    weights: Array,
    train: Array,
    test: Array,
    groups: list[tuple[int, ...]],
    random: np.random.Generator,
) -> tuple[Array, float]:
    train, test = train[weights[train] > 0], test[weights[test] > 0]
    model = HistGradientBoostingRegressor(
        learning_rate=0.15,
        max_iter=30,
        max_leaf_nodes=4,
        min_samples_leaf=40,
        max_features=0.5,  # so that a column is not hidden behind its like
        early_stopping=False,
        random_state=int(random.integers(2**31)),
    )
    model.fit(values[train], label[train], sample_weight=weights[train])
    seen, truth, weight = values[test], label[test], weights[test]
    mean = np.average(truth, weights=weight)
    variance = np.average((truth - mean) ** 2, weights=weight) or 1.0
    base = np.average((truth - model.predict(seen)) ** 2, weights=weight)
    shuffled = random.permutation(len(test))
    errors = _shuffled_errors(model, seen, truth, weight, groups, shuffled)
    return (errors - base) / variance, float(1.0 - base / variance)


def _shuffled_errors(
    model: HistGradientBoostingRegressor,
    seen: Array,
    truth: Array,
    weight: Array,
    groups: list[tuple[int, ...]],
    shuffled: Array,
) -> Array:
    """Mean squared error with each group of columns shuffled, many groups in one prediction."""
    at_once = max(1, _ROWS_AT_ONCE // len(seen))
    errors: dict[tuple[int, ...], float] = {}
    distinct = list(dict.fromkeys(groups))
    for begin in range(0, len(distinct), at_once):
        part = distinct[begin : begin + at_once]
        inputs = np.repeat(seen[None], len(part), axis=0)
        for rows, group in zip(inputs, part, strict=True):
            rows[:, group] = seen[shuffled][:, group]
        outputs = model.predict(inputs.reshape(-1, seen.shape[1])).reshape(len(part), -1)
        found = np.average((truth - outputs) ** 2, axis=1, weights=weight)
        errors.update(zip(part, map(float, found), strict=True))
    return np.array([errors[group] for group in groups])
