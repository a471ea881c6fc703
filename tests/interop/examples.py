"""One event of every record, with awkward values, and what any client must read of it."""

import math
import random
from typing import Any

import msgspec

from schemas import catalogue
from schemas.columns import named_types
from schemas.compatibility import kind_of
from schemas.events import EVENTS, Event

_TEXTS = ["", "plain", "Ünïcödé ₿ 🚀", 'quote " backslash \\ tab \t line \n', "x" * 300]
_LONGS = [0, -1, 63, -64, 64, 1 << 53, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63)]
_INTS = [0, -1, 64, (1 << 31) - 1, -(1 << 31)]
_DOUBLES = [0.0, -0.0, 0.1, 1e-8, 67_123.45, 1.7976931348623157e308, math.inf, math.nan]
_FIRST_US, _LAST_US = 1_600_000_000_000_000, 1_800_000_000_000_000


def of(record: str, number: int) -> tuple[Event, dict[str, Any]]:
    """An event, and its fields as plain values: times in microseconds, records as dicts."""
    schema = catalogue.schema(record)
    plain = _value(schema, named_types(schema, {}), random.Random(f"{record} {number}"))
    if "symbol" in plain:
        plain["symbol"] = f"COIN{number}-USDT"
    fields = {name: _as_in_event(value) for name, value in plain.items()}
    return msgspec.convert(fields, EVENTS[record], strict=True), plain


def _value(avro: Any, named: dict[str, Any], pick: random.Random) -> Any:
    kind, definition = kind_of(avro, named)
    if kind == "union":
        return _value(pick.choice(definition), named, pick)
    if kind == "record":
        return {f["name"]: _value(f["type"], named, pick) for f in definition["fields"]}
    if kind == "array":
        items = definition["items"]
        return [_value(items, named, pick) for _ in range(pick.choice([0, 1, 3]))]
    if kind == "enum":
        return pick.choice(definition["symbols"])
    if definition.get("logicalType") == "timestamp-micros":
        return pick.randrange(_FIRST_US, _LAST_US)
    return pick.choice(_CHOICES[kind])


_CHOICES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [False, True],
    "int": _INTS,
    "long": _LONGS,
    "double": _DOUBLES,
    "string": _TEXTS,
    "bytes": [b"", bytes(range(256)), b"\0\0\0\0\1"],
}


def _as_in_event(value: Any) -> Any:
    """Records inside lists are tuples in our events."""
    if isinstance(value, list):
        return [tuple(item.values()) if isinstance(item, dict) else item for item in value]
    return value
