"""Hour, weekday, session and funding time are those of the calendar."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.features.calendar import FEATURES, decide

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SESSIONS = ((8, 0.0), (13, 1.0), (21, 2.0), (24, 3.0))

times = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def decided(now: datetime, funding: int = 0) -> dict[str, float]:
    out = np.full(len(FEATURES), np.nan)
    decide(microseconds(now), funding, out)
    return dict(zip([f.name for f in FEATURES], out.tolist(), strict=True))


@given(times)
@settings(deadline=None)  # the first call compiles
def test_the_calendar(now: datetime) -> None:
    found = decided(now)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = 2 * math.pi * ((now - midnight) / timedelta(days=1))
    weekday = 2 * math.pi * now.weekday() / 7
    fundings = [midnight + timedelta(hours=h) for h in (8, 16, 24)]
    funding = next(f for f in fundings if f > now)
    expected = {
        "hour_sin": math.sin(hour),
        "hour_cos": math.cos(hour),
        "weekday_sin": math.sin(weekday),
        "weekday_cos": math.cos(weekday),
        "session": next(number for end, number in SESSIONS if now.hour < end),
        "minutes_to_funding": (funding - now) / timedelta(minutes=1),
        "is_weekend": float(now.weekday() in {5, 6}),
    }
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    for feature in FEATURES:
        assert feature.low <= found[feature.name] <= feature.high


@given(times, st.integers(1, 24 * 3600 * 10**6))
@settings(deadline=None)  # the first call compiles
def test_a_known_funding_time_is_counted_down_to(now: datetime, ahead: int) -> None:
    found = decided(now, microseconds(now) + ahead)
    assert found["minutes_to_funding"] == pytest.approx(ahead / 60e6, rel=1e-9)


@given(times, st.integers(0, 24 * 3600 * 10**6))
@settings(deadline=None)  # the first call compiles
def test_a_past_funding_time_counts_as_unknown(now: datetime, ago: int) -> None:
    assert decided(now, microseconds(now) - ago) == decided(now)


def test_at_the_funding_time_the_next_one_is_eight_hours_away() -> None:
    assert decided(datetime(2024, 1, 1, 8, tzinfo=UTC))["minutes_to_funding"] == 480.0
