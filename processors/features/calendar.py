"""The calendar: hour and weekday as places on a circle, session, weekend, time to funding."""

from functools import partial
from typing import Any

import numba

from processors.features.catalogue import Feature
from processors.features.elementary import cosine, sine

_feature = partial(
    Feature, group="time and regime", interval="decision", unit="", inputs=("clock",), warm_up=0,
    missing="never missing",
)  # fmt: skip

FEATURES = (
    _feature(
        name="hour_sin",
        formula="sin(2π · time of day / 24 h), UTC",
        source="cyclical encoding of the time of day",
        low=-1.0,
        high=1.0,
    ),
    _feature(
        name="hour_cos",
        formula="cos(2π · time of day / 24 h), UTC",
        source="cyclical encoding of the time of day",
        low=-1.0,
        high=1.0,
    ),
    _feature(
        name="weekday_sin",
        formula="sin(2π · weekday / 7), Monday 0, UTC",
        source="cyclical encoding of the day of the week",
        low=-1.0,
        high=1.0,
    ),
    _feature(
        name="weekday_cos",
        formula="cos(2π · weekday / 7), Monday 0, UTC",
        source="cyclical encoding of the day of the week",
        low=-1.0,
        high=1.0,
    ),
    _feature(
        name="session",
        formula="0 Asia 00-08, 1 Europe 08-13, 2 America 13-21, 3 late 21-24 h UTC",
        source="business hours of Tokyo, London and New York, in UTC the year round",
        low=0.0,
        high=3.0,
    ),
    _feature(
        name="minutes_to_funding",
        formula="(next funding time - now) / 1 min",
        source="Binance USD-M premium index, nextFundingTime; Bybit v5 tickers, nextFundingTime",
        unit="minutes",
        low=0.0,
        high=1440.0,
        inputs=("clock", "funding"),
        missing="an unknown or past funding time is taken to be the next of 00, 08 and 16 h UTC",
    ),
    _feature(
        name="is_weekend",
        formula="1 on Saturday and Sunday UTC, else 0",
        source="calendar",
        low=0.0,
        high=1.0,
    ),
)

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_FUNDING_INTERVAL = 8 * _HOUR
# 1970 began on a Thursday.
_FIRST_WEEKDAY = 3


@numba.njit(cache=True, nogil=True, error_model="numpy")
def decide(now: int, funding_time: int, out: Any) -> None:
    """The features at `now`, given the venue's next funding time (µs; 0: unknown)."""
    time_of_day = now % _DAY
    out[0] = sine(time_of_day / _DAY)
    out[1] = cosine(time_of_day / _DAY)
    weekday = (now // _DAY + _FIRST_WEEKDAY) % 7
    out[2] = sine(weekday / 7.0)
    out[3] = cosine(weekday / 7.0)
    hour = time_of_day // _HOUR
    out[4] = (hour >= 8) + (hour >= 13) + (hour >= 21)
    if funding_time <= now:
        funding_time = now - now % _FUNDING_INTERVAL + _FUNDING_INTERVAL
    out[5] = (funding_time - now) / _MINUTE
    out[6] = 1.0 if weekday >= 5 else 0.0
