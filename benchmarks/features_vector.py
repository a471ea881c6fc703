"""`features-vector`: µs of one vector of all features; the peer is the wanted time.

One symbol, warmed by hours of the market model, so that no feature of bars is null. At a pulse of
the Clock that comes as a batch of its own, one after the other, the stage `features` decides
(the figure: with all that it does in Python) or the whole pipeline does. Three spot venues; in the
details the same with their perpetuals, where no feature at all is null. Processor time.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._features_market import SPOT, SPOT_AND_PERPETUAL, Following, seconds
from benchmarks.harness import Result, compare, versions
from processors.config import ProcessorsConfig
from processors.features.feature_set import NAMES
from processors.work import open_work
from schemas.columns import Rows
from schemas.events import Event

_WANTED_US = 50.0
_RUNS = 5
# Macd of bars of five minutes is the last to be known, after 170 minutes.
_WARM_S = 3 * 3_600
_MEASURED_S = 2_000


def run() -> Result:
    """Measure the stage, and the pipeline, in turn."""
    three, six = _measured(SPOT), _measured(SPOT_AND_PERPETUAL)
    runs = three.pop("runs")
    del six["runs"]
    return compare(
        "features-vector", "µs/vector", runs, [_WANTED_US], versions("numba", "numpy"),
        more_is_better=False, features=len(NAMES), three_venues=three, six_venues=six,
    )  # fmt: skip


def _measured(venues: Sequence[str]) -> dict[str, Any]:
    following = Following(ProcessorsConfig())
    market = seconds(venues)
    for _ in range(_WARM_S // 60):
        following.process([event for _ in range(60) for event in next(market)])
    stage, pipeline = [], []
    for _ in range(_MEASURED_S // 2):
        *events, pulse = next(market)
        following.process(events)
        stage.append(_stage_us(following, pulse))
        *events, pulse = next(market)
        following.process(events)
        pipeline.append(_pipeline_us(following, pulse))
    *events, pulse = next(market)
    following.process(events)
    (vector,) = (rows for rows in following.process([pulse]) if rows.topic == "features")
    return {
        "runs": [float(np.median(part)) for part in np.array_split(stage, _RUNS)],
        "null": nulls(vector),
        "stage": _summary(stage),
        "pipeline": _summary(pipeline),
    }


def nulls(vector: Rows) -> list[str]:
    """Names of the features that the first vector does not have."""
    return [name for name in NAMES if vector.table[f"{name}_null"][0]]


def _stage_us(following: Following, pulse: Event) -> float:
    *before, features = following.pipeline.stages
    work = open_work(following.batch([pulse]), following.pipeline.instruments)
    for stage in before:
        stage.process(work)
    began = time.thread_time_ns()
    features.process(work)
    return (time.thread_time_ns() - began) / 1e3


def _pipeline_us(following: Following, pulse: Event) -> float:
    batch = following.batch([pulse])
    began = time.thread_time_ns()
    following.pipeline.process(batch)
    return (time.thread_time_ns() - began) / 1e3


def _summary(us: Sequence[float]) -> dict[str, float]:
    return {
        name: round(float(np.percentile(us, percent)), 2)
        for name, percent in (("median", 50), ("p99", 99))
    }
