"""All technical features of one-minute bars: the families' kernels over one state.

The state is one array of floats and one of integers, in which each family has its own part; so is
the output. The calls are written out, since a compiled function cannot go over modules.
"""

from itertools import accumulate
from typing import Any

import numba

from processors.features.technical import (
    cycle,
    directional,
    momentum,
    oscillators,
    overlap,
    patterns,
    price,
    statistic,
    volatility,
    volume,
)

FAMILIES = (
    overlap,
    volume,
    volatility,
    price,
    statistic,
    momentum,
    directional,
    oscillators,
    cycle,
    patterns,
)
FEATURES = tuple(feature for family in FAMILIES for feature in family.FEATURES)
# Where each family's part begins and ends.
_F = (0, *accumulate(family.FLOATS for family in FAMILIES))
_I = (0, *accumulate(family.INTEGERS for family in FAMILIES))
_O = (0, *accumulate(len(family.FEATURES) for family in FAMILIES))
FLOATS = _F[-1]
INTEGERS = _I[-1]

_overlap = overlap.update
_volume = volume.update
_volatility = volatility.update
_price = price.update
_statistic = statistic.update
_momentum = momentum.update
_directional = directional.update
_oscillators = oscillators.update
_cycle = cycle.update
_patterns = patterns.update


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    _overlap(bars, count, floats[_F[0] : _F[1]], integers[_I[0] : _I[1]], out[_O[0] : _O[1]])
    _volume(bars, count, floats[_F[1] : _F[2]], integers[_I[1] : _I[2]], out[_O[1] : _O[2]])
    _volatility(bars, count, floats[_F[2] : _F[3]], integers[_I[2] : _I[3]], out[_O[2] : _O[3]])
    _price(bars, count, floats[_F[3] : _F[4]], integers[_I[3] : _I[4]], out[_O[3] : _O[4]])
    _statistic(bars, count, floats[_F[4] : _F[5]], integers[_I[4] : _I[5]], out[_O[4] : _O[5]])
    _momentum(bars, count, floats[_F[5] : _F[6]], integers[_I[5] : _I[6]], out[_O[5] : _O[6]])
    _directional(bars, count, floats[_F[6] : _F[7]], integers[_I[6] : _I[7]], out[_O[6] : _O[7]])
    _oscillators(bars, count, floats[_F[7] : _F[8]], integers[_I[7] : _I[8]], out[_O[7] : _O[8]])
    _cycle(bars, count, floats[_F[8] : _F[9]], integers[_I[8] : _I[9]], out[_O[8] : _O[9]])
    _patterns(bars, count, floats[_F[9] : _F[10]], integers[_I[9] : _I[10]], out[_O[9] : _O[10]])
