"""The kernel of the indicators: closed bars into rings, and the families' updates at each."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from processors.bar_kernel import OUT_EVENT, OUT_INSTRUMENT, OUT_SLOT
from processors.features import regime
from processors.features.custom import dispatch
from processors.features.technical import MASK, RING, five_minutes, kernel
from processors.signatures import FLAGS, FLOAT_ROWS, INTEGER, INTEGER_ROWS

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_COLUMNS = 5
_RING_FLOATS = RING * _COLUMNS

# An instrument's integers: bars of one minute and of five so far, then the families' own.
BARS, BARS_5M = range(2)
_TECHNICAL_INTEGERS = 2
_FIVE_INTEGERS = _TECHNICAL_INTEGERS + kernel.INTEGERS
_REGIME_INTEGERS = _FIVE_INTEGERS + five_minutes.INTEGERS
_CUSTOM_INTEGERS = _REGIME_INTEGERS + regime.INTEGERS
INTEGERS_PER_ROW = _CUSTOM_INTEGERS + dispatch.BAR_INTEGERS
# Its floats: both rings of bars, the families' own, and the newest values.
_RING_5M = _RING_FLOATS
_TECHNICAL = 2 * _RING_FLOATS
_FIVE = _TECHNICAL + kernel.FLOATS
_REGIME = _FIVE + five_minutes.FLOATS
_CUSTOM = _REGIME + regime.FLOATS
VALUES = _CUSTOM + dispatch.BAR_FLOATS
# The values in the order of the catalogue.
_OF_FIVE = len(kernel.FEATURES)
_OF_REGIME = _OF_FIVE + len(five_minutes.FEATURES)
_OF_CUSTOM = _OF_REGIME + len(regime.FEATURES)
COUNT = _OF_CUSTOM + len(dispatch.BAR_FEATURES)
FLOATS_PER_ROW = VALUES + COUNT
FEATURES = (
    *kernel.FEATURES, *five_minutes.FEATURES, *regime.FEATURES, *dispatch.BAR_FEATURES,
)  # fmt: skip


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _push(bar: Any, row: Floats, at: int, count: int) -> Any:
    """Put a bar into the ring that begins at `at`; the ring as [RING, 5]."""
    ring = row[at : at + _RING_FLOATS].reshape((RING, _COLUMNS))
    # Open, high, low, close and volume come first in a slot of bars, too.
    for column in range(_COLUMNS):
        ring[count & MASK, column] = bar[column]
    return ring


@numba.njit(cache=True, nogil=True)
def _is_finite(bar: Any) -> bool:
    """Whether all five are numbers."""
    for column in range(_COLUMNS):  # noqa: SIM110 numba knows no generators here
        if not np.isfinite(bar[column]):
            return False
    return True


@numba.njit(
    [
        INTEGER(
            INTEGER_ROWS, FLOAT_ROWS, INTEGER, INTEGER, INTEGER_ROWS, FLOAT_ROWS, FLAGS,
            INTEGER_ROWS, FLOAT_ROWS,
        )
    ],
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def advance(
    bars: Integers, bar_values: Floats, one_minute: int, five_minute: int,
    integers: Integers, floats: Floats, dirty: Bytes, out: Integers, out_values: Floats,
) -> int:  # fmt: skip
    """Take all closed bars; returns how many rows of new values were written."""
    used = 0
    for at in range(len(bars)):
        slot, instrument = bars[at, OUT_SLOT], bars[at, OUT_INSTRUMENT]
        bar = bar_values[at]
        if slot not in (one_minute, five_minute) or not _is_finite(bar):
            continue
        row, whole = floats[instrument], integers[instrument]
        values = row[VALUES : VALUES + COUNT]
        if whole[BARS] == 0 and whole[BARS_5M] == 0:
            values[:] = np.nan
        if slot == one_minute:
            ring = _push(bar, row, 0, whole[BARS])
            whole[BARS] += 1
            kernel.update(
                ring, whole[BARS], row[_TECHNICAL:_FIVE],
                whole[_TECHNICAL_INTEGERS:_FIVE_INTEGERS], values[:_OF_FIVE],
            )  # fmt: skip
            regime.update(
                ring, whole[BARS], row[_REGIME:_CUSTOM],
                whole[_REGIME_INTEGERS:_CUSTOM_INTEGERS], values[_OF_REGIME:_OF_CUSTOM],
            )  # fmt: skip
            dispatch.on_bar(
                ring, whole[BARS], row[_CUSTOM:VALUES],
                whole[_CUSTOM_INTEGERS:INTEGERS_PER_ROW], values[_OF_CUSTOM:COUNT],
            )  # fmt: skip
        else:
            ring = _push(bar, row, _RING_5M, whole[BARS_5M])
            whole[BARS_5M] += 1
            five_minutes.update(
                ring, whole[BARS_5M], row[_FIVE:_REGIME],
                whole[_FIVE_INTEGERS:_REGIME_INTEGERS], values[_OF_FIVE:_OF_REGIME],
            )  # fmt: skip
        dirty[instrument] = 1
        out[used, 0], out[used, 1] = bars[at, OUT_EVENT], instrument
        out_values[used] = values
        used += 1
    return used
