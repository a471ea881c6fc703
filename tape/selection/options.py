"""What a selection can be told."""

from dataclasses import dataclass

from schemas.errors import ConfigError

ROWS_A_FOLD = 100
"""Fewer say nothing about a fold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionOptions:
    """What to predict, from which columns, and how strict to be.

    - `horizon_s`: how far a label looks ahead, in seconds: what a training row must be away from
      the rows that it is tested on.
    - `label`: the column to predict: a number, or classes that are ordered numbers.
    - `price`: in place of a label, the column from which the forward return over the horizon is
      made, in units of its symbol's standard deviation.
    - `features`: the candidates; empty: all floating-point columns but label and price.
    - `exclude`: columns that are no candidates, like other labels.
    - `folds`: folds of the cross-validation, contiguous in time.
    - `embargo`: share of the frame's time that training also leaves out after a tested fold.
    - `resamples`: block bootstraps over which a cluster must be stable.
    - `stability`: share of the resamples in which a kept cluster beats all shadows. A frame
      of noise yields something with a chance below about one minus it.
    - `correlation`: columns whose absolute rank correlation is on average above it are a cluster.
    - `max_rows`: of a longer frame, every n-th row of each symbol is used.
    - `periods`: periods over which drift is measured.
    - `jobs`: processes; the result does not depend on it.
    - `seed`: of all that is random.

    ConfigError if one is out of range, or not exactly one of label and price is given.
    """

    horizon_s: float
    label: str = ""
    price: str = ""
    features: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    folds: int = 5
    embargo: float = 0.01
    resamples: int = 20
    stability: float = 0.8
    correlation: float = 0.6
    max_rows: int = 20_000
    periods: int = 8
    jobs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if bool(self.label) == bool(self.price):
            raise ConfigError("give either a label column or a price column to make one from")
        for name, right, need in (
            ("horizon_s", self.horizon_s > 0, "more than 0"),
            ("folds", self.folds >= 2, "at least 2"),
            ("embargo", 0 <= self.embargo < 0.5, "from 0 to less than 0.5"),
            ("resamples", self.resamples >= 2, "at least 2"),
            ("stability", 0 < self.stability <= 1, "above 0 and at most 1"),
            ("correlation", 0 < self.correlation < 1, "between 0 and 1"),
            (
                "max_rows",
                self.max_rows >= ROWS_A_FOLD * self.folds,
                f"{ROWS_A_FOLD} a fold or more",
            ),
            ("periods", self.periods >= 2, "at least 2"),
            ("jobs", self.jobs >= 1, "at least 1"),
            ("seed", self.seed >= 0, "0 or more"),
        ):
            if not right:
                raise ConfigError(f"{name} was {getattr(self, name)}; it must be {need}")
