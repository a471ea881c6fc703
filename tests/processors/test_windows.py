"""Windows remember exactly the last keys, whatever collides, moves or is restored."""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import window_kernel as kernel
from processors.windows import Windows

# Few numbers, so that they come again; multiples that share their place in the table.
KEYS = st.one_of(
    st.integers(1, 60), st.integers(1, 40).map(lambda n: n << 40), st.integers(-40, -1)
)


def add(windows: Windows, slot: int, key: int, most: int) -> bool:
    while (found := kernel.add(windows.pool, windows.slots[slot], key, most)) == kernel.FULL:
        windows.grow(slot)
    return bool(found == kernel.REPEATED)


@given(keys=st.lists(st.tuples(st.integers(0, 2), KEYS), max_size=400), most=st.integers(1, 70))
@settings(max_examples=60, deadline=None)
def test_key_is_repeated_when_it_is_among_the_last(keys: list[tuple[int, int]], most: int) -> None:
    windows = Windows()
    windows.fit(3)
    last: list[deque[int]] = [deque(maxlen=most) for _ in range(3)]
    for slot, key in keys:
        repeated = key in last[slot]
        assert add(windows, slot, key, most) == repeated
        if not repeated:
            last[slot].append(key)
    assert [windows.keys(slot).tolist() for slot in range(3)] == [list(found) for found in last]


@given(keys=st.lists(st.integers(-(1 << 63), (1 << 63) - 1).filter(bool), unique=True))
@settings(max_examples=60, deadline=None)
def test_what_was_packed_comes_back(keys: list[int]) -> None:
    one, two = Windows(), Windows()
    one.fit(2)
    two.fit(2)
    one.put(1, np.array(keys, np.int64))
    packed = b"##" + one.pack(1)
    assert two.unpack(1, packed, 2) == len(packed)
    assert two.keys(1).tolist() == keys
    assert two.pack(1) == one.pack(1)


def test_following_ids_take_a_byte_each() -> None:
    windows = Windows()
    windows.fit(1)
    windows.put(0, np.arange(3_735_683_259, 3_735_683_259 + 8_192))
    assert len(windows.pack(0)) < 8_192 + 20


def test_smaller_window_keeps_the_newest() -> None:
    windows = Windows()
    windows.fit(4)
    for slot in range(4):
        windows.put(slot, np.arange(1, 10 + slot))
    windows.keep(3, slice(1, None, 2))
    kept = [windows.keys(slot).tolist()[:2] for slot in range(4)]
    assert kept == [[1, 2], [8, 9], [1, 2], [10, 11]]
