"""Times as files write them: numbers of unknown unit and ISO text, to microseconds UTC."""

import re
from datetime import UTC, datetime

from schemas.errors import ConfigError

# Before 2009 there were no such markets; later than 2100 is not a time but another column.
EARLIEST_US = 1_230_768_000_000_000
LATEST_US = 4_102_444_800_000_000

_UNIT_US = {
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_INTERVAL = re.compile(r"([1-9]\d{0,3})([smhdw])")


def microseconds(text: str) -> int:
    """A time as text to microseconds UTC; ValueError if it is none.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their size (Binance's
    spot dumps have microseconds since 2025); text is ISO 8601, UTC where it names no zone.
    """
    try:
        number = int(text)
    except ValueError:
        pass
    else:
        return _scaled(number)
    try:
        number = int(float(text))
    except OverflowError:
        raise ValueError(f"{text} is not a time") from None
    except ValueError:
        pass
    else:
        return _scaled(number)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _scaled(int(moment.timestamp()) * 1_000_000 + moment.microsecond)


def _scaled(number: int) -> int:
    if number < 100_000_000_000:
        number *= 1_000_000
    elif number < 100_000_000_000_000:
        number *= 1_000
    elif number >= 100_000_000_000_000_000:
        number //= 1_000
    if not EARLIEST_US <= number <= LATEST_US:
        raise ValueError(f"{number} is not a time between 2009 and 2100")
    return number


def interval_us(interval: str) -> int:
    """The length of a candle as `5m` in microseconds; ConfigError for another form."""
    found = _INTERVAL.fullmatch(interval)
    if not found:
        raise ConfigError(f"--interval {interval}: give it as 1s, 1m, 5m, 15m, 1h, 4h, 1d or 1w")
    return int(found[1]) * _UNIT_US[found[2]]


def interval_name(length_us: int) -> str:
    """The name of a candle's length: 300000000 gives `5m`; ValueError if it has none."""
    for unit in ("w", "d", "h", "m", "s"):
        if length_us >= _UNIT_US[unit] and length_us % _UNIT_US[unit] == 0:
            return f"{length_us // _UNIT_US[unit]}{unit}"
    raise ValueError(f"{length_us} µs is no candle length")
