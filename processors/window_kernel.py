"""The kernel of windows: whether a key is among the last ones, and the place of a new one.

A slot of the pool holds a ring of keys, in the order in which they came, then a table of the
same keys by open addressing, twice as long as the ring. 0 is no key.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from processors.signatures import INTEGERS, INTEGERS_IN

Integers = NDArray[np.int64]

# A slot: where its ring begins, how many keys it has room for (a power of two), how many it
# holds, and the place of the oldest in the ring.
START, CAPACITY, COUNT, OLDEST = range(4)
SLOT_COLUMNS = 4
# Eight bytes a key in the ring and two times eight in the table.
WORDS_A_KEY = 3
# What `add` found.
REPEATED, ADDED, FULL = range(3)

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@numba.njit(cache=True, nogil=True)
def _home(key: int, mask: int) -> Any:
    """Where a key would like to lie in its table."""
    return np.int64((np.uint64(key) * _MULTIPLIER) >> np.uint64(32)) & mask


@numba.njit(cache=True, nogil=True)
def _remove(table: Integers, key: int) -> None:
    """Take a key out, moving up what was put behind it for want of room."""
    mask = len(table) - 1
    hole = _home(key, mask)
    while table[hole] != key:
        hole = (hole + 1) & mask
    at = (hole + 1) & mask
    while table[at] != 0:
        if ((at - _home(table[at], mask)) & mask) >= ((at - hole) & mask):
            table[hole] = table[at]
            hole = at
        at = (at + 1) & mask
    table[hole] = 0


@numba.njit(cache=True, nogil=True)
def add(pool: Integers, slot: Integers, key: int, most: int) -> int:
    """Remember a key unless it is among the last `most`: REPEATED, ADDED, or FULL (do nothing)."""
    start, capacity = slot[START], slot[CAPACITY]
    if capacity == 0:
        return FULL
    table = pool[start + capacity : start + WORDS_A_KEY * capacity]
    mask = len(table) - 1
    at = _home(key, mask)
    while table[at] != 0:
        if table[at] == key:
            return REPEATED
        at = (at + 1) & mask
    ring = pool[start : start + capacity]
    if slot[COUNT] >= most:
        _remove(table, ring[slot[OLDEST]])
        slot[OLDEST] = (slot[OLDEST] + 1) & (capacity - 1)
        slot[COUNT] -= 1
        at = _home(key, mask)
        while table[at] != 0:
            at = (at + 1) & mask
    elif slot[COUNT] == capacity:
        return FULL
    ring[(slot[OLDEST] + slot[COUNT]) & (capacity - 1)] = key
    slot[COUNT] += 1
    table[at] = key
    return ADDED


@numba.njit([numba.void(INTEGERS, INTEGERS, INTEGERS_IN)], cache=True, nogil=True)
def fill(pool: Integers, slot: Integers, keys: Integers) -> None:
    """Put keys, oldest first, into a slot of zeros that has room for them."""
    for key in keys:
        add(pool, slot, key, len(keys))
