from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from venues.live.backoff import Backoff

seconds = st.floats(min_value=0.001, max_value=1e4)
parts = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(seconds, seconds, parts, st.integers(1, 2_000))
def test_wait_is_its_part_of_a_bound_that_doubles_to_the_most(
    first_s: float, most_s: float, part: float, taken: int
) -> None:
    backoff = Backoff(first_s, most_s, lambda: part)
    bounds = []
    for _ in range(taken):
        bounds.append(backoff.bound_s)
        assert backoff.next() == part * bounds[-1]
    assert bounds[0] == min(first_s, most_s)
    assert all(later == min(most_s, 2 * earlier) for earlier, later in pairwise(bounds))


def test_each_second_lived_takes_one_doubling_back() -> None:
    backoff = Backoff(1.0, 64.0)
    for _ in range(4):
        backoff.next()
    assert backoff.bound_s == 16.0
    backoff.forgive(0.9)
    assert backoff.bound_s == 16.0
    backoff.forgive(2.5)
    assert backoff.bound_s == 4.0
    backoff.forgive(float("inf"))
    assert backoff.bound_s == 1.0


def test_connection_that_is_cut_at_once_comes_to_wait_the_most() -> None:
    backoff = Backoff(0.25, 30.0)
    for _ in range(100):
        backoff.forgive(0.5)
        backoff.next()
    assert backoff.bound_s == 30.0
