"""A venue's clock: the smallest round trip counts; a clock that is set is noticed."""

from hypothesis import given
from hypothesis import strategies as st

from venues.live.clocks import SAMPLES, ClockEstimate, Sample, sample


@given(st.integers(-(10**7), 10**7), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_offset_is_right_to_within_its_uncertainty(offset: int, there: int, back: int) -> None:
    sent = 1_000_000_000
    venue_us = sent + there + offset
    for told in (venue_us, venue_us // 1000 * 1000):
        found = sample(sent, sent + there + back, told)
        assert abs(found.offset_us - offset) <= found.uncertainty_us + 1


def test_the_sample_with_the_smallest_round_trip_counts() -> None:
    clock = ClockEstimate("okx-spot")
    assert clock.event(5) is None
    for offset, uncertainty in ((900, 700), (500, 200), (100, 600)):
        assert not clock.add(Sample(offset, uncertainty))
    event = clock.event(5)
    assert event is not None
    assert (event.offset_us, event.uncertainty_us, event.samples) == (500, 200, 3)
    assert (event.venue, event.event_time) == ("okx-spot", 5)


def test_old_samples_go_so_that_a_drifting_clock_is_followed() -> None:
    clock = ClockEstimate("okx-spot")
    clock.add(Sample(0, 1))
    for _ in range(SAMPLES):
        clock.add(Sample(2, 2))
    assert clock.best == Sample(2, 2)


def test_a_sample_that_cannot_be_true_beside_the_estimate_is_a_clock_that_was_set() -> None:
    clock = ClockEstimate("okx-spot")
    clock.add(Sample(0, 100))
    assert not clock.add(Sample(250, 150))
    assert clock.add(Sample(1_270_000, 500))
    assert clock.best == Sample(1_270_000, 500)
