"""Price transforms (TA-Lib): the typical price."""

from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK

FEATURES = (
    of_talib(
        name="typprice",
        formula="(high + low + close) / 3",
        unit="quote",
        low=0.0,
        inputs=("high", "low", "close"),
        warm_up=1,
        talib=("TYPPRICE", {}, 0),
    ),
)
FLOATS = 0
INTEGERS = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    bar = bars[(count - 1) & MASK]
    out[0] = (bar[1] + bar[2] + bar[3]) / 3.0
