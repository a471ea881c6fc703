"""Windows: for each slot the last keys that came, found in constant time, packed in few bytes."""

import struct

import numpy as np
from numpy.typing import NDArray

from processors import window_kernel as kernel

_SMALLEST = 16
_HEADER = struct.Struct("<IBq")
_WIDTHS = (1, 2, 4, 8)


class Windows:
    """Sets of the last 64-bit keys (not 0), one a slot; they grow as keys come.

    `window_kernel.add` works on `pool` and `slots`; where it says FULL, `grow` makes room.
    """

    def __init__(self) -> None:
        self.slots = np.zeros((0, kernel.SLOT_COLUMNS), np.int64)
        self.pool = np.zeros(kernel.WORDS_A_KEY * _SMALLEST, np.int64)
        self._used = 0

    def fit(self, count: int) -> None:
        """Have `count` slots."""
        if count > len(self.slots):
            more = np.zeros((max(count, 2 * len(self.slots)), kernel.SLOT_COLUMNS), np.int64)
            more[: len(self.slots)] = self.slots
            self.slots = more

    def count(self, slot: int) -> int:
        """How many keys a slot holds."""
        return int(self.slots[slot, kernel.COUNT])

    def keys(self, slot: int) -> NDArray[np.int64]:
        """The keys of a slot, oldest first."""
        start, capacity, count, oldest = self.slots[slot].tolist()
        found: NDArray[np.int64] = self.pool[start + (oldest + np.arange(count)) % max(capacity, 1)]
        return found

    def grow(self, slot: int) -> None:
        """Double a slot's room."""
        keys = self.keys(slot)
        self._place(slot, keys, max(_SMALLEST, 2 * int(self.slots[slot, kernel.CAPACITY])))

    def keep(self, most: int, slots: slice) -> NDArray[np.int64]:
        """Forget all but the newest `most` keys of some slots; which of them had more."""
        had = np.flatnonzero(self.slots[slots, kernel.COUNT] > most)
        for slot in (had * (slots.step or 1) + (slots.start or 0)).tolist():
            self.put(slot, self.keys(slot)[-most:])
        return had

    def put(self, slot: int, keys: NDArray[np.int64]) -> None:
        """Have these keys, oldest first, in a slot instead of its own."""
        capacity = _SMALLEST
        while capacity < len(keys):
            capacity *= 2
        self._place(slot, keys, capacity if len(keys) else 0)

    def _place(self, slot: int, keys: NDArray[np.int64], capacity: int) -> None:
        self.slots[slot] = 0
        words = kernel.WORDS_A_KEY * capacity
        if self._used + words > len(self.pool):
            self._close_holes(words)
        self.slots[slot] = (self._used, capacity, 0, 0)
        self._used += words
        kernel.fill(self.pool, self.slots[slot], keys)

    def _close_holes(self, more: int) -> None:
        """Have room for `more` words: close the holes that moved slots left, with room to spare."""
        old, words = self.pool, kernel.WORDS_A_KEY * self.slots[:, kernel.CAPACITY]
        starts = np.cumsum(words) - words
        self._used = int(words.sum())
        self.pool = np.zeros(2 * (self._used + more), np.int64)
        for slot in np.flatnonzero(words).tolist():
            start, to, length = self.slots[slot, kernel.START], starts[slot], words[slot]
            self.pool[to : to + length] = old[start : start + length]
        self.slots[:, kernel.START] = starts

    def pack(self, slot: int) -> bytes:
        """A slot's keys as bytes: the first, then steps as wide as the widest needs."""
        keys = self.keys(slot)
        if not len(keys):
            return _HEADER.pack(0, 1, 0)
        steps = np.diff(keys)
        width = next(w for w in _WIDTHS if not len(steps) or _fits(steps, w))
        return _HEADER.pack(len(keys), width, keys[0]) + steps.astype(f"<i{width}").tobytes()

    def unpack(self, slot: int, data: bytes, at: int) -> int:
        """Take over a slot's keys as `pack` gave them; returns where the bytes after them begin."""
        count, width, first = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        steps = np.frombuffer(data, f"<i{width}", max(count - 1, 0), at).astype(np.int64)
        keys = np.concatenate((np.array([first] * min(count, 1), np.int64), steps)).cumsum()
        self.put(slot, keys)
        return int(at + width * len(steps))


def _fits(steps: NDArray[np.int64], width: int) -> bool:
    limits = np.iinfo(f"i{width}")
    return bool(steps.min() >= limits.min and steps.max() <= limits.max)
