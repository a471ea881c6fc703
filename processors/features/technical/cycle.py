"""Cycles by the Hilbert transform (TA-Lib): MAMA and the HT functions, after John Ehlers.

Two transforms of the same smoothed price run side by side, since TA-Lib begins that of MAMA,
HT_DCPERIOD and HT_PHASOR at the thirteenth bar and that of the others at the 38th.
"""

from math import atan, cos, nan, sin
from typing import Any

import numba
import numpy as np

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import fma

_CLOSE = ("close",)

FEATURES = (
    of_talib(
        name="mama",
        formula="a · close + (1 - a) · its last value, a of 0.05 to 0.5 by the change of phase",
        unit="quote",
        low=0.0,
        inputs=_CLOSE,
        warm_up=33,
        talib=("MAMA", {"fastlimit": 0.5, "slowlimit": 0.05}, 0),
    ),
    of_talib(
        name="ht_trendline",
        formula="weighted mean (4, 3, 2, 1) of the mean closes over the dominant cycle",
        unit="quote",
        low=0.0,
        inputs=_CLOSE,
        warm_up=64,
        talib=("HT_TRENDLINE", {}, 0),
    ),
    of_talib(
        name="ht_dcperiod",
        formula="the dominant cycle's period, smoothed",
        unit="bars",
        low=0.0,
        high=50.0,
        inputs=_CLOSE,
        warm_up=33,
        talib=("HT_DCPERIOD", {}, 0),
    ),
    of_talib(
        name="ht_dcphase",
        formula="the phase of the smoothed price within the dominant cycle",
        unit="degrees",
        inputs=_CLOSE,
        warm_up=64,
        talib=("HT_DCPHASE", {}, 0),
    ),
    of_talib(
        name="ht_phasor_inphase",
        formula="the detrended price three bars before",
        unit="quote",
        inputs=_CLOSE,
        warm_up=33,
        talib=("HT_PHASOR", {}, 0),
    ),
    of_talib(
        name="ht_sine",
        formula="sine of the dominant cycle's phase",
        unit="ratio",
        low=-1.0,
        high=1.0,
        inputs=_CLOSE,
        warm_up=64,
        talib=("HT_SINE", {}, 0),
    ),
    of_talib(
        name="ht_trendmode",
        formula="1 in a trend, 0 in a cycle",
        unit="flag",
        low=0.0,
        high=1.0,
        inputs=_CLOSE,
        warm_up=64,
        talib=("HT_TRENDMODE", {}, 0),
    ),
)
# A filter keeps three scaled inputs, what it last took off, and its last input.
_FILTER = 5
# A transform: four filters (detrender, Q1, jI, jQ) for even bars and four for odd ones, the
# detrender of two and three bars before (for odd and for even bars), and what makes the period.
_DETRENDED = 8 * _FILTER
_Q2, _I2, _RE, _IM, _PERIOD, _SMOOTH_PERIOD = range(_DETRENDED + 4, _DETRENDED + 10)
_TRANSFORM = _DETRENDED + 10
# The state: both transforms, the smoother of the price, MAMA's phase and value, then what the
# later functions keep, with a ring of smoothed prices.
_FROM_12 = 0
_FROM_37 = _TRANSFORM
_WEIGHTED, _SUM, _MAMA_PHASE, _MAMA, _PHASE, _SINE, _LEAD, _MEANS = range(
    2 * _TRANSFORM, 2 * _TRANSFORM + 8
)
_PRICES = _MEANS + 3
_PRICE_RING = 64
FLOATS = _PRICES + _PRICE_RING
# For how many bars there was a trend.
INTEGERS = 1

_DEGREES = 45.0 / atan(1.0)
_RADIANS = 1.0 / _DEGREES
_CIRCLE = atan(1.0) * 8.0
# The turns of a cycle by its whole period, 1 to 50, and the place in it.
_LONGEST = 50
_TURNS = [[i * _CIRCLE / max(n, 1) for i in range(_LONGEST)] for n in range(_LONGEST + 1)]
_SINES = np.array([[sin(angle) for angle in turns] for turns in _TURNS])
_COSINES = np.array([[cos(angle) for angle in turns] for turns in _TURNS])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _smoothed(bars: Any, index: int, floats: Any) -> Any:
    """The weighted mean (4, 3, 2, 1) of the closes, by running sums as in TA-Lib WMA."""
    close = bars[index & MASK][3]
    floats[_SUM] += close
    if index < 3:
        floats[_WEIGHTED] += close * (index + 1.0)
        return nan
    if index > 3:
        floats[_SUM] -= bars[(index - 4) & MASK][3]
    floats[_WEIGHTED] += close * 4.0
    smoothed = floats[_WEIGHTED] * 0.1
    floats[_WEIGHTED] -= floats[_SUM]
    return smoothed


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filtered(value: float, scale: float, floats: Any, at: int, place: int) -> Any:
    """One step of the Hilbert transform of every second bar."""
    scaled = 0.0962 * value
    result = 0.0 - floats[at + place]
    floats[at + place] = scaled
    result += scaled
    result -= floats[at + 3]
    floats[at + 3] = 0.5769 * floats[at + 4]
    result += floats[at + 3]
    floats[at + 4] = value
    return result * scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _transform(smoothed: float, index: int, start: int, floats: Any, at: int) -> Any:
    """A bar of the transform that begins at `start`: in-phase, quadrature; the period is kept."""
    scale = fma(0.075, floats[at + _PERIOD], 0.54)
    odd = index % 2
    # Only even bars, and those after `start`, have moved the rings on.
    place = ((index + 1) // 2 - (start + 1) // 2) % 3
    filters = at + odd * 4 * _FILTER
    mine, other = at + _DETRENDED + 2 * odd, at + _DETRENDED + 2 * (1 - odd)
    in_phase = floats[mine + 1]
    detrended = _filtered(smoothed, scale, floats, filters, place)
    quadrature = _filtered(detrended, scale, floats, filters + _FILTER, place)
    j_in_phase = _filtered(in_phase, scale, floats, filters + 2 * _FILTER, place)
    j_quadrature = _filtered(quadrature, scale, floats, filters + 3 * _FILTER, place)
    q2_before, i2_before = floats[at + _Q2], floats[at + _I2]
    q2 = fma(0.2, quadrature + j_in_phase, 0.8 * q2_before)
    i2 = fma(0.2, in_phase - j_quadrature, 0.8 * i2_before)
    floats[other + 1] = floats[other]
    floats[other] = detrended
    real = fma(0.8, floats[at + _RE], 0.2 * fma(i2, i2_before, q2 * q2_before))
    imaginary = fma(0.8, floats[at + _IM], 0.2 * (i2 * q2_before - q2 * i2_before))
    floats[at + _Q2], floats[at + _I2] = q2, i2
    floats[at + _RE], floats[at + _IM] = real, imaginary
    before = floats[at + _PERIOD]
    period = before
    if imaginary != 0.0 and real != 0.0:
        period = 360.0 / (atan(imaginary / real) * _DEGREES)
    period = max(min(period, 1.5 * before), 0.67 * before)
    period = fma(0.2, min(max(period, 6.0), 50.0), 0.8 * before)
    floats[at + _PERIOD] = period
    floats[at + _SMOOTH_PERIOD] = fma(0.67, floats[at + _SMOOTH_PERIOD], 0.33 * period)
    return in_phase, quadrature


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mama(close: float, in_phase: float, quadrature: float, floats: Any) -> Any:
    """TA-Lib MAMA: the faster the phase changes, the slower the average."""
    phase = atan(quadrature / in_phase) * _DEGREES if in_phase != 0.0 else 0.0
    change = floats[_MAMA_PHASE] - phase
    floats[_MAMA_PHASE] = phase
    weight = max(0.5 / change, 0.05) if change > 1.0 else 0.5
    floats[_MAMA] = fma(1.0 - weight, floats[_MAMA], weight * close)
    return floats[_MAMA]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _phase(smoothed: float, index: int, floats: Any) -> Any:
    """TA-Lib HT_DCPHASE: the phase of the smoothed price at the dominant cycle's period."""
    period = floats[_FROM_37 + _SMOOTH_PERIOD]
    length = int(period + 0.5)
    floats[_PRICES + (index & (_PRICE_RING - 1))] = smoothed
    real = imaginary = 0.0
    for i in range(length):
        price = floats[_PRICES + ((index - i) & (_PRICE_RING - 1))]
        real += _SINES[length, i] * price
        imaginary += _COSINES[length, i] * price
    phase = floats[_PHASE]
    if imaginary != 0.0:
        phase = atan(real / imaginary) * _DEGREES
    elif real < 0.0:
        phase -= 90.0
    elif real > 0.0:
        phase += 90.0
    phase += 90.0
    # The smoothed price lags by one bar.
    phase += 360.0 / period
    if imaginary < 0.0:
        phase += 180.0
    if phase > 315.0:
        phase -= 360.0
    return phase


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trendline(bars: Any, index: int, floats: Any) -> Any:
    """TA-Lib HT_TRENDLINE."""
    length = int(floats[_FROM_37 + _SMOOTH_PERIOD] + 0.5)
    mean = 0.0
    for i in range(length):
        mean += bars[(index - i) & MASK][3]
    if length > 0:
        mean /= length
    first, second, third = floats[_MEANS], floats[_MEANS + 1], floats[_MEANS + 2]
    floats[_MEANS], floats[_MEANS + 1], floats[_MEANS + 2] = mean, first, second
    return (4.0 * mean + 3.0 * first + 2.0 * second + third) / 10.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trend(smoothed: float, phase: float, trendline: float, floats: Any, integers: Any) -> Any:
    """TA-Lib HT_TRENDMODE; keeps the phase and both sines."""
    period = floats[_FROM_37 + _SMOOTH_PERIOD]
    sine, lead = sin(phase * _RADIANS), sin((phase + 45.0) * _RADIANS)
    above = sine > lead and floats[_SINE] <= floats[_LEAD]
    below = sine < lead and floats[_SINE] >= floats[_LEAD]
    change = phase - floats[_PHASE]
    floats[_PHASE], floats[_SINE], floats[_LEAD] = phase, sine, lead
    trend = 1.0
    if above or below:
        integers[0] = 0
        trend = 0.0
    integers[0] += 1
    if integers[0] < 0.5 * period:
        trend = 0.0
    if period != 0.0 and 0.67 * 360.0 / period < change < 1.5 * 360.0 / period:
        trend = 0.0
    if trendline != 0.0 and abs((smoothed - trendline) / trendline) >= 0.015:
        trend = 1.0
    return trend


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    out[:] = nan
    index = count - 1
    smoothed = _smoothed(bars, index, floats)
    if index < 12:
        return
    in_phase, quadrature = _transform(smoothed, index, 12, floats, _FROM_12)
    mama = _mama(bars[index & MASK][3], in_phase, quadrature, floats)
    if index >= 32:
        out[0], out[2], out[4] = mama, floats[_FROM_12 + _SMOOTH_PERIOD], in_phase
    if index < 37:
        return
    _transform(smoothed, index, 37, floats, _FROM_37)
    phase = _phase(smoothed, index, floats)
    trendline = _trendline(bars, index, floats)
    trend = _trend(smoothed, phase, trendline, floats, integers)
    if index >= 63:
        out[1], out[3], out[5], out[6] = trendline, phase, floats[_SINE], trend
