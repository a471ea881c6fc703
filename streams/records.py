"""Consecutive records of one partition as columns: the form in which everything here reads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Records:
    """Consecutive records of one partition.

    Keys and values are slices of `buffer` (uint8): record i's key is
    `buffer[key_starts[i]:key_ends[i]]`. A missing key or value is empty.
    """

    buffer: NDArray[np.uint8]
    key_starts: NDArray[np.int64]
    key_ends: NDArray[np.int64]
    value_starts: NDArray[np.int64]
    value_ends: NDArray[np.int64]
    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets)

    def key(self, index: int) -> bytes:
        """One record's key."""
        return self.buffer[self.key_starts[index] : self.key_ends[index]].tobytes()

    def value(self, index: int) -> bytes:
        """One record's value."""
        return self.buffer[self.value_starts[index] : self.value_ends[index]].tobytes()

    def part(self, begin: int, end: int) -> "Records":
        """The records from index `begin` up to `end` (exclusive), over the same buffer."""
        span = slice(begin, end)
        return Records(
            self.buffer,
            self.key_starts[span],
            self.key_ends[span],
            self.value_starts[span],
            self.value_ends[span],
            self.offsets[span],
            self.timestamps_ms[span],
        )

    def between(self, start: int, end: int) -> "Records":
        """The records with offsets from `start` up to `end` (exclusive)."""
        begin, stop = np.searchsorted(self.offsets, (start, end))
        return self.part(int(begin), int(stop))
