"""What a feature is: its name, formula, source, inputs, range and warm-up, in one entry each."""

from dataclasses import dataclass
from typing import Any

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


# Names of what a function gives when it gives several series (TA-Lib's own).
OUTPUTS = {
    "AROON": ("aroondown", "aroonup"),
    "BBANDS": ("upperband", "middleband", "lowerband"),
    "HT_PHASOR": ("inphase", "quadrature"),
    "HT_SINE": ("sine", "leadsine"),
    "MACD": ("macd", "macdsignal", "macdhist"),
    "MAMA": ("mama", "fama"),
    "STOCH": ("slowk", "slowd"),
    "STOCHRSI": ("fastk", "fastd"),
}


def of_talib(
    *, talib: tuple[str, dict[str, float], int], inputs: tuple[str, ...], **entry: Any
) -> Feature:
    """The entry of a feature that is one of TA-Lib's functions, its source said by the call."""
    function, parameters, output = talib
    called = ", ".join((*inputs, *(f"{key}={value}" for key, value in parameters.items())))
    of = f", {OUTPUTS[function][output]}" if function in OUTPUTS else ""
    return Feature(source=f"TA-Lib {function}({called}){of}", inputs=inputs, talib=talib, **entry)
