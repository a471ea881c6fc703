"""Powers, logarithms, sines and cosines with the same bits on any machine, for kernels.

The C library's differ by system in their last bits. These are sums and products in a fixed order,
after an argument reduction that is exact; their relative error is a few units of the last place.
"""

from math import frexp, inf, ldexp, nan
from typing import Any

import numba
import numpy as np

_LN2 = 0.6931471805599453
_TWO_PI = 6.283185307179586
_ROOT_HALF = 0.7071067811865476
_TWO_OVER_LN2 = 2.8853900817779268

# Taylor's coefficients, the highest power first. Their remainders are below 1e-17 where they are
# used: exp to |y| <= ln(2) / 2, artanh to |s| <= 0.172, sine and cosine to |y| <= pi / 4.
_EXP = (
    1 / 6227020800.0,
    1 / 479001600.0,
    1 / 39916800.0,
    1 / 3628800.0,
    1 / 362880.0,
    1 / 40320.0,
    1 / 5040.0,
    1 / 720.0,
    1 / 120.0,
    1 / 24.0,
    1 / 6.0,
    1 / 2.0,
    1.0,
    1.0,
)
_ARTANH = (1 / 23, 1 / 21, 1 / 19, 1 / 17, 1 / 15, 1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0)
_SINE = (
    1 / 355687428096000.0,
    -1 / 1307674368000.0,
    1 / 6227020800.0,
    -1 / 39916800.0,
    1 / 362880.0,
    -1 / 5040.0,
    1 / 120.0,
    -1 / 6.0,
    1.0,
)
_COSINE = (
    1 / 20922789888000.0,
    -1 / 87178291200.0,
    1 / 479001600.0,
    -1 / 3628800.0,
    1 / 40320.0,
    -1 / 720.0,
    1 / 24.0,
    -1 / 2.0,
    1.0,
)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _polynomial(coefficients: Any, x: float) -> Any:
    """The highest power first (Horner)."""
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def exp2(x: float) -> Any:
    """2 to the power of x; infinite from 1024 on, 0 below the smallest float."""
    if not x < 1024.0:
        return inf if x >= 1024.0 else x
    if x < -1080.0:
        return 0.0
    whole = np.floor(x + 0.5)
    return ldexp(_polynomial(_EXP, (x - whole) * _LN2), int(whole))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log2(x: float) -> Any:
    """The logarithm to base 2; minus infinity at 0, NaN below."""
    if x == 0.0:
        return -inf
    if not x > 0.0:
        return nan
    if x == inf:
        return inf
    mantissa, exponent = frexp(x)
    if mantissa < _ROOT_HALF:
        mantissa *= 2.0
        exponent -= 1
    s = (mantissa - 1.0) / (mantissa + 1.0)
    return exponent + _TWO_OVER_LN2 * s * _polynomial(_ARTANH, s * s)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _eighth(turns: float, cosine_first: bool) -> Any:
    """Cosine or sine of at most a quarter turn, by whichever polynomial is the nearer."""
    near = turns <= 0.125
    y = _TWO_PI * (turns if near else 0.25 - turns)
    if near == cosine_first:
        return _polynomial(_COSINE, y * y)
    return y * _polynomial(_SINE, y * y)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sine(turns: float) -> Any:
    """The sine of so many turns (of 2 pi); exactly 0 at half turns, NaN of what is not finite."""
    sign = 1.0 if turns >= 0.0 else -1.0
    turns = abs(turns)
    turns -= np.floor(turns)
    if turns > 0.5:
        turns = 1.0 - turns
        sign = -sign
    if turns > 0.25:
        turns = 0.5 - turns
    return sign * _eighth(turns, False)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def cosine(turns: float) -> Any:
    """The cosine of so many turns (of 2 pi); 0 at odd quarters, NaN of what is not finite."""
    turns = abs(turns)
    turns -= np.floor(turns)
    if turns > 0.5:
        turns = 1.0 - turns
    if turns > 0.25:
        return -_eighth(0.5 - turns, True)
    return _eighth(turns, True)
