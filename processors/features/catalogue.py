"""What a feature is: its name, formula, source, inputs, range and warm-up, in one entry each."""

from dataclasses import dataclass

BAR_INPUTS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One entry of the catalogue.

    `inputs` are the columns of a bar that the formula reads, in the order in which TA-Lib takes
    them; `warm_up` is the number of bars until the first value; `low` and `high` are the range
    that is expected, infinite where there is none; `talib` is the call that gives the same
    numbers: (function, parameters, index of the output).
    """

    name: str
    formula: str
    source: str
    unit: str
    inputs: tuple[str, ...]
    warm_up: int
    group: str = "technical"
    low: float = float("-inf")
    high: float = float("inf")
    interval: str = "1m"
    missing: str = "bars that are missing are passed over"
    talib: tuple[str, dict[str, float], int] | None = None
