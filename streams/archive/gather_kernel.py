"""Kernels that bring slices of a buffer together, and read the frames of values."""

import numba
import numpy as np
from numpy.typing import NDArray

NO_ID = -1


@numba.njit(cache=True, nogil=True)
def _gather(buffer, starts, ends, out, limits):  # type: ignore[no-untyped-def]  # numba infers
    at = 0
    for i in range(len(starts)):
        limits[i] = at
        for j in range(starts[i], ends[i]):
            out[at] = buffer[j]
            at += 1
    limits[len(starts)] = at


@numba.njit(cache=True, nogil=True)
def _schema_ids(buffer, starts, ends, out):  # type: ignore[no-untyped-def]  # numba infers
    for i in range(len(starts)):
        at = starts[i]
        if ends[i] - at < 5 or buffer[at] != 0:
            out[i] = NO_ID
            continue
        number = np.int64(0)
        for j in range(1, 5):
            number = number * 256 + np.int64(buffer[at + j])
        out[i] = number


def gather(
    buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The slices `buffer[starts[i]:ends[i]]` one after the other, and the n + 1 limits of them."""
    out = np.empty(int((ends - starts).sum()), np.uint8)
    limits = np.empty(len(starts) + 1, np.int32)
    _gather(buffer, starts, ends, out, limits)
    return out, limits


def schema_ids(
    buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The schema id that each value's frame names; NO_ID where it is no frame."""
    out = np.empty(len(starts), np.int64)
    _schema_ids(buffer, starts, ends, out)
    return out
