"""The canonical form of a record, which proofs hash and compare.

`key length (u32) key timestamp in ms (i64) value length (u32) value`, big endian: all that a
consumer can see of a record but where it lies.
"""

import numba
import numpy as np
from numpy.typing import NDArray

_OVERHEAD = 16


@numba.njit(cache=True, nogil=True)
def _put(out: NDArray[np.uint8], at: int, value: int, width: int) -> int:
    for i in range(width):
        out[at + i] = (value >> numba.uint64(8 * (width - 1 - i))) & numba.uint64(255)
    return at + width


@numba.njit(cache=True, nogil=True)
def _canonical(  # type: ignore[no-untyped-def]  # numba infers
    keys, key_starts, key_ends, values, value_starts, value_ends, timestamps, out, ends
):
    at = 0
    for i in range(len(timestamps)):
        length = key_ends[i] - key_starts[i]
        at = _put(out, at, numba.uint64(length), 4)
        for j in range(key_starts[i], key_ends[i]):
            out[at] = keys[j]
            at += 1
        at = _put(out, at, numba.uint64(timestamps[i]), 8)
        length = value_ends[i] - value_starts[i]
        at = _put(out, at, numba.uint64(length), 4)
        for j in range(value_starts[i], value_ends[i]):
            out[at] = values[j]
            at += 1
        ends[i] = at


def canonical(
    keys: NDArray[np.uint8],
    key_starts: NDArray[np.int64],
    key_ends: NDArray[np.int64],
    values: NDArray[np.uint8],
    value_starts: NDArray[np.int64],
    value_ends: NDArray[np.int64],
    timestamps_ms: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The records' canonical bytes, one after the other, and where each ends.

    `keys` and `values` are buffers of uint8 (they may be the same one); starts and ends are
    int64 positions in them, one pair a record.
    """
    size = int((key_ends - key_starts).sum() + (value_ends - value_starts).sum())
    out = np.empty(size + _OVERHEAD * len(timestamps_ms), np.uint8)
    ends = np.empty(len(timestamps_ms), np.int64)
    _canonical(
        keys, key_starts, key_ends, values, value_starts, value_ends, timestamps_ms, out, ends
    )
    return out, ends
