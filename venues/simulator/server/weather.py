"""When faults come: a script's times, or the weather's chance from a seed."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from schemas.errors import ConfigError
from venues.simulator.engine import random_for
from venues.simulator.server.fault import Fault, parse

Weather = Literal["calm", "rough", "storm"]
WEATHERS: tuple[Weather, ...] = ("calm", "rough", "storm")

BEGINS_S = 10.0
"""The first fault comes not before this: every storm begins with a connected client."""
APART_S = 20.0
"""Between the end of a venue's fault and its next."""

# How often beside the others, and its fields. No message of trades is lost on a connection that
# goes on: Bybit's trades have no numbers without holes, so nobody could tell.
_MILD: tuple[tuple[float, dict[str, Any]], ...] = (
    (3.0, {"fault": "disconnect"}),
    (2.0, {"fault": "gap"}),
    (2.0, {"fault": "duplicate", "channel": "trades"}),
    (1.0, {"fault": "duplicate"}),
    (1.0, {"fault": "unknown_field", "channel": "trades", "count": 5}),
    (1.0, {"fault": "server_error", "seconds": 3.0}),
)
_WILD: tuple[tuple[float, dict[str, Any]], ...] = (
    *_MILD,
    (2.0, {"fault": "disconnect", "seconds": 4.0}),
    (2.0, {"fault": "half_open"}),
    (2.0, {"fault": "reorder"}),
    (2.0, {"fault": "reorder", "channel": "trades"}),
    (1.0, {"fault": "malformed"}),
    (1.0, {"fault": "stale", "seconds": 20.0}),
    (1.0, {"fault": "slow", "seconds": 5.0, "delay_s": 2.0}),
    (1.0, {"fault": "rate_limited", "seconds": 5.0}),
    (1.0, {"fault": "banned", "seconds": 5.0}),
    (1.0, {"fault": "maintenance", "seconds": 8.0}),
    (1.0, {"fault": "cut", "seconds": 10.0}),
    (1.0, {"fault": "news_burst", "count": 10}),
)
_EVERY_S: dict[Weather, float] = {"rough": 30.0, "storm": 6.0}


def forecast(
    weather: Weather, seed: int, venues: Sequence[str], symbols: Sequence[str]
) -> Iterator[Fault]:
    """Faults by their time `at`, endless, the same for the same arguments; none when calm.

    About two a minute when rough, one in 6 seconds in a storm, market seconds over all venues;
    never two of one venue within 20 s, so that what each did can be told.
    """
    if weather == "calm":
        return
    kinds = _MILD if weather == "rough" else _WILD
    shares = np.array([share for share, _ in kinds])
    shares /= shares.sum()
    random = random_for(seed, f"weather {weather}")
    at = BEGINS_S
    free_at = dict.fromkeys(venues, 0.0)
    while True:
        at += float(random.exponential(_EVERY_S[weather]))
        fields = kinds[int(random.choice(len(kinds), p=shares))][1]
        venue = venues[int(random.integers(len(venues)))]
        symbol = symbols[int(random.integers(len(symbols)))]
        if fields["fault"] == "news_burst":
            yield parse({**fields, "at": at})
            continue
        if at < free_at[venue]:
            continue
        free_at[venue] = at + fields.get("seconds", 0.0) + APART_S
        one = fields["fault"] in {"gap", "duplicate", "reorder", "malformed", "unknown_field"}
        yield parse({**fields, "venue": venue, "at": at, **({"symbol": symbol} if one else {})})


def script(path: Path) -> list[Fault]:
    """The faults of a script, JSON lines or TOML (`[[fault]]`), by time, or a ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--script {path}: {error.strerror}") from None
    try:
        if path.suffix == ".toml":
            rows = [parse(row) for row in tomllib.loads(text).get("fault", [])]
        else:
            rows = [_line(line, n) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    except (ConfigError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--script {path}: {error}") from None
    return sorted(rows, key=lambda fault: fault.at)


def _line(line: str, number: int) -> Fault:
    try:
        return parse(line.encode())
    except ConfigError as error:
        raise ConfigError(f"line {number}: {error}") from None
