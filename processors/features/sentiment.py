"""Sentiment of one symbol: its headlines of the last day and the Fear & Greed index.

State: the last headlines of the symbol and the last of others, the newest by event time of each;
a day of counts by the hour for both; the last days of the index. A decision sums over them anew:
constant work, and no drift. An event whose time lies ahead of a decision has an age of 0 there.
"""

from functools import partial
from math import isfinite, isnan, nan, sqrt
from typing import Any

import numba

from processors.features.catalogue import Feature
from processors.features.elementary import exp2

_NO_INDEX = "null once the newest value is of before yesterday"
_DAY_S = 86_400

# As many headlines are kept, of the symbol and of others; an edit of an older one counts anew.
HEADLINES = 128
_AVERAGE = "exponential average of unevenly spaced observations (Eckner 2012)"
# The largest score of one in 30 is √29, the others equal.
_LARGEST_Z = sqrt(29.0)

_feature = partial(
    Feature, group="sentiment", interval="decision", inputs=("news",), warm_up=_DAY_S,
    missing="null without a headline with a score in the last 24 h",
)  # fmt: skip
_of_index = partial(_feature, unit="points", inputs=("index",), missing=_NO_INDEX)

FEATURES = (
    _feature(
        name="news_score_1h",
        formula="Σ w · score / Σ w over the headlines of 24 h, w = 2 ^ (-age / 1 h)",
        source=_AVERAGE,
        unit="score",
        low=-1.0,
        high=1.0,
    ),
    _feature(
        name="news_score_24h",
        formula="Σ w · score / Σ w over the headlines of 24 h, w = 2 ^ (-age / 24 h)",
        source=_AVERAGE,
        unit="score",
        low=-1.0,
        high=1.0,
    ),
    _feature(
        name="news_count_24h",
        formula=f"headlines of the last 24 h, edits not counted, at most {HEADLINES}",
        source="number of messages (Antweiler and Frank 2004)",
        unit="headlines",
        low=0.0,
        high=float(HEADLINES),
        missing="null before the first headline of any symbol",
    ),
    _feature(
        name="news_dispersion_24h",
        formula="standard deviation (of the population) of the scores of the last 24 h",
        source="for scores of ±1: 1 - agreement (Antweiler and Frank 2004)",
        unit="score",
        low=0.0,
        high=1.0,
        missing="null with fewer than two scores in the last 24 h",
    ),
    _feature(
        name="news_velocity",
        formula="headlines of the last hour / (headlines of the last 24 h / 24)",
        source="number of messages over its mean (Antweiler and Frank 2004)",
        unit="ratio",
        low=0.0,
        high=24.0,
        missing="null without a headline in the last 24 h",
    ),
    _feature(
        name="vote_balance_24h",
        formula="(Σ positive - Σ negative) / (Σ positive + Σ negative), headlines of 24 h",
        source="bullishness B (Antweiler and Frank 2004) of CryptoPanic's votes",
        unit="ratio",
        low=-1.0,
        high=1.0,
        missing="null without a vote; headlines whose votes are not known are left out",
    ),
    _feature(
        name="minutes_since_news",
        formula="now - event time of the symbol's newest headline",
        source="CryptoPanic posts, published_at",
        unit="minutes",
        warm_up=0,
        low=0.0,
        missing="null before the symbol's first headline",
    ),
    _feature(
        name="social_share",
        formula="headlines of the symbol / of all, of this hour (UTC) and the 23 before",
        source="social dominance (LunarCrush, Santiment), of headlines",
        unit="ratio",
        low=0.0,
        high=1.0,
        missing="null without a headline of any symbol in these hours",
    ),
    _of_index(
        name="fear_greed",
        formula="the newest value of the index",
        source="Crypto Fear & Greed index (alternative.me), 0 extreme fear to 100 extreme greed",
        low=0.0,
        high=100.0,
    ),
    _of_index(
        name="fear_greed_change",
        formula="fear_greed - the value of the day before its own",
        source="Crypto Fear & Greed index (alternative.me)",
        warm_up=2 * _DAY_S,
        low=-100.0,
        high=100.0,
        missing=f"{_NO_INDEX}, and without a value of the day before",
    ),
    _of_index(
        name="fear_greed_z_30",
        formula="(fear_greed - mean) / standard deviation (of the population) of 30 days, its own "
        "the last; 0 when all are equal",
        source="Crypto Fear & Greed index (alternative.me)",
        unit="standard deviations",
        warm_up=30 * _DAY_S,
        low=-_LARGEST_Z,
        high=_LARGEST_Z,
        missing=f"{_NO_INDEX}; days without a value are left out, null with fewer than 20",
    ),
    _feature(
        name="score_momentum",
        formula="news_score_1h - news_score_24h",
        source="difference of a fast and a slow average, as MACD (Appel 1979)",
        unit="score",
        low=-2.0,
        high=2.0,
    ),
)

_MINUTE_US = 60_000_000
_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
# Of hours and days two more than are summed: an event of two of them ahead displaces nothing.
_HOURS = 24
_HOUR_SLOTS = 26
_DAYS = 32
_Z_DAYS = 30
_Z_LEAST = 20

# Integers: the newest times of news (of any symbol) and of the index; two groups of headlines:
# names, event times (0: a free place), and pairs of an hour since 1970 and its headlines; the
# days since 1970 of the index.
_NEWS_TIME, _INDEX_TIME = range(2)
_TALLY = 2 * HEADLINES
_GROUP = _TALLY + 2 * _HOUR_SLOTS
_OWN = 2
_OTHERS = _OWN + _GROUP
_DAY = _OTHERS + _GROUP
INTEGERS = _DAY + _DAYS
# Floats: of the symbol's headlines scores (NaN: none) and votes (-1: not known), and the index.
_SCORES, _POSITIVE, _NEGATIVE, _VALUES = range(0, 4 * HEADLINES, HEADLINES)
FLOATS = _VALUES + _DAYS


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _place(integers: Any, group: int, name: int) -> Any:
    """Which headline of a group has the name, else which place is free or has the oldest."""
    times = group + HEADLINES
    oldest = 0
    for at in range(HEADLINES):
        if integers[group + at] == name and integers[times + at] > 0:
            return at
        if integers[times + at] < integers[times + oldest]:
            oldest = at
    return oldest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _tally(integers: Any, group: int, time: int, step: int) -> None:
    """Count a headline in its hour, or take it back; hours that are too old are gone."""
    hour = time // _HOUR_US
    at = group + _TALLY + 2 * (hour % _HOUR_SLOTS)
    if integers[at] < hour:
        integers[at] = hour
        integers[at + 1] = 0
    if integers[at] == hour:
        integers[at + 1] += step


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _take_out(integers: Any, group: int, name: int) -> None:
    """Forget a headline of a group."""
    at = group + _place(integers, group, name)
    time = integers[at + HEADLINES]
    if integers[at] == name and time > 0:
        _tally(integers, group, time, -1)
        integers[at] = 0
        integers[at + HEADLINES] = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_news(
    floats: Any,
    integers: Any,
    time: int,
    own: bool,
    name: int,
    score: float,
    positive: int,
    negative: int,
) -> None:
    """Take a headline, or an edit of one, which has its name.

    `time`: its event time, at most the caller's clock; `own`: whether the symbol is among its
    currencies; `name`: 64-bit hash of source and id; NaN: no score; -1: votes not known.
    """
    if time <= 0:
        return
    integers[_NEWS_TIME] = max(integers[_NEWS_TIME], time)
    group = _OWN if own else _OTHERS
    # An edit may have changed its currencies.
    _take_out(integers, _OTHERS if own else _OWN, name)
    at = _place(integers, group, name)
    before = integers[group + HEADLINES + at]
    known = integers[group + at] == name and before > 0
    if known:
        _tally(integers, group, before, -1)
    _tally(integers, group, time, 1)
    if before >= time and not known:
        return
    integers[group + at] = name
    integers[group + HEADLINES + at] = time
    if own:
        floats[_SCORES + at] = score if isfinite(score) else nan
        floats[_POSITIVE + at] = positive
        floats[_NEGATIVE + at] = negative


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_index(floats: Any, integers: Any, time: int, value: float) -> None:
    """Take a value of the index; one of the same day (UTC) replaces the one before.

    `time`: its event time, at most the caller's clock.
    """
    day = time // _DAY_US
    at = day % _DAYS
    if day <= 0 or integers[_DAY + at] > day or not isfinite(value):
        return
    integers[_INDEX_TIME] = max(integers[_INDEX_TIME], time)
    integers[_DAY + at] = day
    floats[_VALUES + at] = value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def last_time(integers: Any) -> Any:
    """Newest event time of a headline of any symbol or of an index value; 0: none."""
    return max(integers[_NEWS_TIME], integers[_INDEX_TIME])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _headlines(floats: Any, integers: Any, now: int, out: Any) -> None:
    """What rests on the symbol's headlines."""
    times = _OWN + HEADLINES
    newest = count = last_hour = scored = 0
    total = fast = fast_weight = slow = slow_weight = positive = negative = 0.0
    for at in range(HEADLINES):
        time = integers[times + at]
        newest = max(newest, time)
        age = max(now - time, 0)
        if time == 0 or age >= _DAY_US:
            continue
        count += 1
        if age < _HOUR_US:
            last_hour += 1
        if floats[_POSITIVE + at] >= 0.0 and floats[_NEGATIVE + at] >= 0.0:
            positive += floats[_POSITIVE + at]
            negative += floats[_NEGATIVE + at]
        score = floats[_SCORES + at]
        if not isnan(score):
            scored += 1
            total += score
            weight = exp2(-age / _DAY_US)
            slow += weight * score
            slow_weight += weight
            # An hour is a 24th of a day.
            eighth = weight * weight
            eighth *= eighth
            eighth *= eighth
            weight = eighth * eighth * eighth
            fast += weight * score
            fast_weight += weight
    if integers[_NEWS_TIME] > 0:
        out[2] = count
    if newest > 0:
        out[6] = max(now - newest, 0) / _MINUTE_US
    if count > 0:
        out[4] = last_hour / (count / 24.0)
    if positive + negative > 0.0:
        out[5] = (positive - negative) / (positive + negative)
    if scored > 0:
        out[0] = fast / fast_weight
        out[1] = slow / slow_weight
        out[11] = out[0] - out[1]
    if scored > 1:
        out[3] = _dispersion(floats, integers, now, total / scored, scored)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _dispersion(floats: Any, integers: Any, now: int, mean: float, scored: int) -> Any:
    """Standard deviation of the scores of the last 24 h."""
    squares = 0.0
    for at in range(HEADLINES):
        time = integers[_OWN + HEADLINES + at]
        score = floats[_SCORES + at]
        if time > 0 and now - time < _DAY_US and not isnan(score):
            squares += (score - mean) * (score - mean)
    return sqrt(squares / scored)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _of_day(integers: Any, group: int, now: int) -> Any:
    """Headlines of a group in this hour and the 23 before."""
    count = 0
    for at in range(group + _TALLY, group + _GROUP, 2):
        if integers[at] > now // _HOUR_US - _HOURS:
            count += integers[at + 1]
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _index(floats: Any, integers: Any, now: int, out: Any) -> None:
    """What rests on the index."""
    last = 0
    for at in range(_DAYS):
        last = max(last, integers[_DAY + at])
    if last == 0 or last < now // _DAY_US - 1:
        return
    value = floats[_VALUES + last % _DAYS]
    out[8] = value
    if integers[_DAY + (last - 1) % _DAYS] == last - 1:
        out[9] = value - floats[_VALUES + (last - 1) % _DAYS]
    count = 0
    total = squares = 0.0
    lowest = highest = value
    for day in range(last - _Z_DAYS + 1, last + 1):
        at = day % _DAYS
        if integers[_DAY + at] == day:
            count += 1
            total += floats[_VALUES + at]
            lowest = min(lowest, floats[_VALUES + at])
            highest = max(highest, floats[_VALUES + at])
    if count < _Z_LEAST:
        return
    mean = total / count
    for day in range(last - _Z_DAYS + 1, last + 1):
        at = day % _DAYS
        if integers[_DAY + at] == day:
            squares += (floats[_VALUES + at] - mean) * (floats[_VALUES + at] - mean)
    out[10] = (value - mean) / sqrt(squares / count) if lowest < highest else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def decide(floats: Any, integers: Any, now: int, out: Any) -> None:
    """The features at a decision; it does not change the state."""
    out[:] = nan
    _headlines(floats, integers, now, out)
    own = _of_day(integers, _OWN, now)
    both = own + _of_day(integers, _OTHERS, now)
    if both > 0:
        out[7] = own / both
    _index(floats, integers, now, out)
