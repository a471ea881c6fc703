"""Times in files: every unit and text form to microseconds."""

import pytest

from schemas.errors import ConfigError
from venues.history.times import interval_name, interval_us, microseconds

MOMENT = 1_723_161_600_123_456


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1723161600", 1_723_161_600_000_000),
        ("1723161600123", 1_723_161_600_123_000),
        ("1723161600123456", MOMENT),
        ("1723161600123456789", MOMENT),
        ("1723161600123.0", 1_723_161_600_123_000),
        ("2024-08-09 00:00:00.123456+00:00", MOMENT),
        ("2024-08-09T00:00:00.123456Z", MOMENT),
        ("2024-08-09T02:00:00.123456+02:00", MOMENT),
        ("2024-08-09 00:00:00.123456", MOMENT),
        ("2024-08-09", 1_723_161_600_000_000),
    ],
)
def test_times_of_every_form_are_microseconds(text: str, expected: int) -> None:
    assert microseconds(text) == expected


@pytest.mark.parametrize("text", ["", "x", "0", "-5", "nan", "inf", "99", "9" * 40])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        microseconds(text)


def test_interval_lengths_and_names_agree() -> None:
    for name in ("1s", "1m", "3m", "5m", "15m", "1h", "4h", "1d", "1w"):
        assert interval_name(interval_us(name)) == name


@pytest.mark.parametrize("interval", ["", "5", "m", "0m", "5x", "1M", "5 m"])
def test_unknown_interval_names_the_option(interval: str) -> None:
    with pytest.raises(ConfigError, match="--interval"):
        interval_us(interval)
