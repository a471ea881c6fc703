"""Clock pulses of an import: one for each whole second that event time passes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from venues.history.clock import AHEAD_US, SECOND_US, SILENCE_US, EventClock

NOON = 1_628_424_000_000_000


def pulses(clock: EventClock, event_time: int) -> list[int]:
    return [pulse - NOON for pulse in clock.pulses(event_time, event_time)]


def test_first_event_gives_no_pulse() -> None:
    assert pulses(EventClock(), NOON + 5) == []


def test_every_whole_second_passed_is_pulsed_once() -> None:
    clock = EventClock()
    clock.pulses(NOON - 1, NOON)
    assert pulses(clock, NOON) == [0]
    assert pulses(clock, NOON + 999_999) == []
    assert pulses(clock, NOON + 2_500_000) == [1_000_000, 2_000_000]


def test_event_time_that_goes_back_gives_no_pulse_and_keeps_the_maximum() -> None:
    clock = EventClock()
    clock.pulses(NOON + 3 * SECOND_US, NOON)
    assert pulses(clock, NOON) == []
    assert pulses(clock, NOON + 3 * SECOND_US + 1) == []


def test_silence_of_a_minute_is_pulsed_and_a_longer_one_is_not() -> None:
    clock = EventClock()
    clock.pulses(NOON, NOON)
    assert len(pulses(clock, NOON + SILENCE_US)) == 60
    assert pulses(clock, NOON + 2 * SILENCE_US + 1) == []
    assert pulses(clock, NOON + 2 * SILENCE_US + SECOND_US) == [121_000_000]


def test_event_time_far_ahead_of_its_receive_time_moves_nothing() -> None:
    clock = EventClock()
    clock.pulses(NOON, NOON)
    assert list(clock.pulses(NOON + AHEAD_US + 1, NOON)) == []
    assert pulses(clock, NOON + SECOND_US) == [1_000_000]


@given(st.lists(st.integers(0, 300 * SECOND_US), min_size=1, max_size=60))
@settings(max_examples=60)
def test_pulses_are_whole_seconds_that_only_grow_and_never_pass_the_newest_event(
    offsets: list[int],
) -> None:
    clock = EventClock()
    given_pulses: list[int] = []
    newest = 0
    for offset in offsets:
        newest = max(newest, NOON + offset)
        given_pulses += clock.pulses(NOON + offset, NOON + offset)
        assert not given_pulses or given_pulses[-1] <= newest
    assert given_pulses == sorted(set(given_pulses))
    assert all(pulse % SECOND_US == 0 for pulse in given_pulses)
