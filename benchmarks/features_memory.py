"""`features-memory`: KiB of a symbol's state for its features; the peer is the wanted size.

One symbol after an hour of the market model: with three venues (the figure) and with seven. State
is what the stages `indicators` and `features` put into a snapshot, before it is compressed; their
rows in memory are of the same size. The other stages are in the details, by name.
"""

from collections.abc import Sequence

from benchmarks._features_market import (
    SPOT,
    SPOT_AND_PERPETUAL,
    SYMBOL,
    Following,
    seconds,
)
from benchmarks.harness import Result, compare, versions
from processors.config import ProcessorsConfig

_WANTED_KIB = 4_096.0
_SECONDS = 3_600
_STAGES = ("indicators", "features")


def run() -> Result:
    """Weigh both."""
    three, seven = _kib(SPOT), _kib(SPOT_AND_PERPETUAL, "binance-coinm")
    ours, most = (sum(each[name] for name in _STAGES) for each in (three, seven))
    return compare(
        "features-memory", "KiB", [ours], [_WANTED_KIB], versions("numba", "numpy"),
        more_is_better=False, seven_venues=round(most, 1), three_by_stage=three,
        seven_by_stage=seven,
    )  # fmt: skip


def _kib(venues: Sequence[str], copied: str = "") -> dict[str, float]:
    following = Following(ProcessorsConfig())
    market = seconds(venues, copied)
    for _ in range(_SECONDS // 60):
        following.process([event for _ in range(60) for event in next(market)])
    pipeline = following.pipeline
    return {
        stage.name: round(len(pipeline.snapshot(stage.name, SYMBOL)) / 1024, 1)
        for stage in pipeline.stages
    }
