"""The selection: the best column of each cluster that is stable, and all that speaks for it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.errors import ConfigError
from tape.selection.clusters import Clusters, cluster, useless
from tape.selection.drift import stability_index
from tape.selection.frame import load
from tape.selection.importance import measure
from tape.selection.options import SelectionOptions

FORMAT = 1
"""Version of the JSON's form."""


@dataclass(frozen=True, slots=True)
class Column:
    """What was found of one column.

    `cluster` counts from 0. Importance is what is lost when it is shuffled, as a share of the
    label's variance: mean and standard deviation over all models. `psi` is the population
    stability index of each period against the first.
    """

    name: str
    cluster: int
    importance_mean: float
    importance_std: float
    psi: tuple[float, ...]
    kept: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was found of a cluster, shuffled as one.

    `stability` is the share of the resamples in which it beat all shadows, `shadow_mean` the mean
    importance of its own.
    """

    members: tuple[str, ...]
    importance_mean: float
    importance_std: float
    stability: float
    shadow_mean: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """Which features to keep, and why.

    `features` are those kept, in the frame's order; there may be none. `rows` are the frame's,
    `samples` those with a label that were used, their times in microseconds UTC. The score is the
    share of the label's variance that the models explained out of sample (R²): mean and standard
    deviation. `dropped` says why a column was not looked at further. `found` is for the report.
    """

    features: tuple[str, ...]
    options: SelectionOptions
    feature_set: str
    data_hash: str
    rows: int
    samples: int
    symbols: tuple[str, ...]
    first_time: int
    last_time: int
    score_mean: float
    score_std: float
    dropped: dict[str, str]
    columns: tuple[Column, ...]
    clusters: tuple[Cluster, ...]
    found: Clusters = field(compare=False, repr=False)

    @property
    def id(self) -> str:
        """Hash of all that it says: the same data and options have the same."""
        return hashlib.sha256(_json(self._content()).encode()).hexdigest()[:16]

    def write(self, path: str | Path) -> None:
        """Write it as JSON."""
        content = {"format": FORMAT, "id": self.id, **self._content()}
        Path(path).write_text(_json(content) + "\n", encoding="utf-8")

    def _content(self) -> dict[str, Any]:
        content = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("found", "options", "columns", "clusters")
        }
        options = asdict(self.options)
        del options["jobs"]  # has no part in the result
        return {
            **content,
            "options": options,
            "columns": [asdict(column) for column in self.columns],
            "clusters": [asdict(cluster) for cluster in self.clusters],
            "libraries": {name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
        }


def select(
    frame: pa.Table | str | Path,
    options: SelectionOptions,
    progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Choose among the features of a frame; deterministic.

    The frame, or its Parquet file, has the columns event_time (int64 microseconds UTC), symbol,
    the features, and the label or price that the options name. `progress` is told the resamples
    done and all of them. ConfigError if a column is missing or has the wrong type, or there is too
    little to learn.
    """
    samples = load(frame, options)
    if samples.label.min() == samples.label.max():
        raise ConfigError("the label is the same in all rows: there is nothing to predict")
    dropped = useless(samples.names, samples.values)
    names = tuple(name for name in samples.names if name not in dropped)
    if not names:
        raise ConfigError("no column is left: all are empty or constant within each symbol")
    values = samples.values[:, [name not in dropped for name in samples.names]]
    clusters = cluster(values, options.correlation)
    importance = measure(samples, values, clusters.members, options, progress)
    psi = stability_index(values, options.periods)

    mean, std = importance.columns.mean(axis=(0, 1)), importance.columns.std(axis=(0, 1))
    stability = importance.hits.mean(axis=0)
    kept = stability >= options.stability
    best = [max(members, key=lambda column: mean[column]) for members in clusters.members]
    chosen = {column for column, stable in zip(best, kept, strict=True) if stable}
    number = {column: at for at, members in enumerate(clusters.members) for column in members}
    return Selection(
        features=tuple(names[column] for column in sorted(chosen)),
        options=options,
        feature_set=samples.feature_set,
        data_hash=samples.data_hash,
        rows=samples.rows,
        samples=len(samples.time),
        symbols=samples.symbols,
        first_time=int(samples.time[0]),
        last_time=int(samples.time[-1]),
        score_mean=float(importance.scores.mean()),
        score_std=float(importance.scores.std()),
        dropped=dropped,
        columns=tuple(
            Column(
                name=name,
                cluster=number[at],
                importance_mean=float(mean[at]),
                importance_std=float(std[at]),
                psi=tuple(map(float, psi[:, at])),
                kept=at in chosen,
            )
            for at, name in enumerate(names)
        ),
        clusters=tuple(
            Cluster(
                members=tuple(names[column] for column in members),
                importance_mean=float(importance.clusters[:, :, at].mean()),
                importance_std=float(importance.clusters[:, :, at].std()),
                stability=float(stability[at]),
                shadow_mean=float(importance.shadows[:, :, at].mean()),
                kept=bool(kept[at]),
            )
            for at, members in enumerate(clusters.members)
        ),
        found=clusters,
    )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
