"""Events of every record with fields at their extremes: what a valid schema allows."""

import math
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from schemas import catalogue
from schemas.columns import named_types
from schemas.compatibility import kind_of
from schemas.events import EVENTS, Event, Origin

_LONGS = (0, -1, 1, 127, 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 1_767_225_600_000_000)
_INTS = (0, -1, 1, 2**31 - 1, -(2**31))
_DOUBLES = (
    0.0, -0.0, 1.0, -1.0, 5e-324, 1e-300, 1e300, 1.7e308, -1.7e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
_TEXTS = (
    "", "*", "BTC-USDT", "ETH-USDT", "binance-spot", "Ä", "\0", "a" * 300, "1m", "1s", "book", "7",
    "9" * 18, "9" * 30, "-1", "\ud7ff", "\U0010ffff",
)  # fmt: skip


@cache
def _fields(record: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    schema = catalogue.schema(record)
    return schema["fields"], named_types(schema, {})


def made(record: str, pick: random.Random) -> Event:
    """An event of a record: every field at random, extremes among it."""
    fields, named = _fields(record)
    return EVENTS[record](**{f["name"]: _value(f["type"], named, pick) for f in fields})


def changed(event: Event, pick: random.Random) -> Event:
    """An event with one to three of its fields at random."""
    fields, named = _fields(type(event).__name__)
    chosen = [pick.choice(fields) for _ in range(pick.choice((1, 1, 2, 3)))]
    return msgspec.structs.replace(
        event, **{f["name"]: _value(f["type"], named, pick) for f in chosen}
    )


def _value(avro: Any, named: dict[str, Any], pick: random.Random) -> Any:
    kind, definition = kind_of(avro, named)
    if kind == "union":
        return _value(pick.choice(definition), named, pick)
    if kind == "record":
        values = [_value(f["type"], named, pick) for f in definition["fields"]]
        return Origin(*values) if definition["name"].endswith("Origin") else tuple(values)
    if kind == "array":
        count = pick.choice((0, 1, 1, 2, 3, 40))
        items = [_value(definition["items"], named, pick) for _ in range(count)]
        return items
    if kind == "enum":
        return pick.choice(definition["symbols"])
    return _scalar(kind, pick)


def _scalar(kind: str, pick: random.Random) -> Any:  # noqa: PLR0911  # one for each kind
    plain = pick.random() < 0.5
    if kind == "long":
        return 1_767_225_600_000_000 + pick.randrange(10**8) if plain else pick.choice(_LONGS)
    if kind == "int":
        return pick.randrange(100) if plain else pick.choice(_INTS)
    if kind == "double":
        return round(100 + pick.gauss(0, 1), 2) if plain else pick.choice(_DOUBLES)
    if kind == "boolean":
        return plain
    if kind == "bytes":
        return pick.randbytes(pick.randrange(9))
    if kind == "string":
        return pick.choice(_TEXTS)
    return None


def some_of_each(events: Sequence[Event], pick: random.Random, most: int = 12) -> list[Event]:
    """A few events of each record among these, in their order, and one of each that is not."""
    kept: dict[str, list[Event]] = {record: [] for record in catalogue.RECORDS}
    for event in events:
        if len(same := kept[type(event).__name__]) < most:
            same.append(event)
    return [e for record, same in kept.items() for e in same or [made(record, pick)]]
