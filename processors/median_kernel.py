"""The median of a few numbers, for kernels."""

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@numba.njit(cache=True, nogil=True)
def median(values: Floats, count: int) -> float:
    """Sorts the first `count` values."""
    for j in range(1, count):
        value = values[j]
        k = j
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
    half = count // 2
    if count % 2:
        return float(values[half])
    return float((values[half - 1] + values[half]) / 2.0)
