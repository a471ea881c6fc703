"""Encoders of single events, compiled from the schemas: no dicts, no walk of a schema a call.

`compiled(record)` generates the source of one function a record; its bytes are fastavro's.
"""

import struct
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Any

from schemas import catalogue
from schemas.errors import SchemaError

# The event, and what comes before its Avro bytes.
Encode = Callable[[Any, bytes], bytes]

# Fields whose texts come again and again: their bytes are kept.
_REPEATED = {"venue", "symbol", "interval", "channel", "topic", "source"}
_MOST_KEPT = 10_000


_PRIMITIVES = {
    "int": "LONG({0})",
    "long": "LONG({0})",
    "double": "DOUBLES[1]({0})",
    "boolean": "(b'\\1' if {0} else b'\\0')",
    "string": "TEXT({0})",
    "bytes": "LONG(len({0})) + {0}",
}


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


# A number 14 bits at a time: as the last of its bytes, and followed by more.
_LAST = [_varint(number) for number in range(1 << 14)]
_MORE = [bytes((number & 127 | 128, number >> 7 | 128)) for number in range(1 << 14)]


def _long(number: int) -> bytes:
    zigzag = (number << 1) ^ (number >> 63)
    if zigzag < 16384:
        return _LAST[zigzag]
    if zigzag >> 64:
        raise SchemaError(f"{number} is no 64-bit integer, so it cannot be written")
    out = _MORE[zigzag & 16383]
    zigzag >>= 14
    while zigzag > 16383:
        out += _MORE[zigzag & 16383]
        zigzag >>= 14
    return out + _LAST[zigzag]


def _text(text: str) -> bytes:
    data = text.encode()
    return _long(len(data)) + data


class _Texts(dict[str, bytes]):
    """Encoded texts that come again and again."""

    def __missing__(self, text: str) -> bytes:
        data = _text(text)
        if len(self) < _MOST_KEPT:
            self[text] = data
        return data


class _Doubles(dict[int, Callable[..., bytes]]):
    """Packs so many doubles."""

    def __missing__(self, count: int) -> Callable[..., bytes]:
        pack = struct.Struct(f"<{count}d").pack
        if len(self) < _MOST_KEPT:
            self[count] = pack
        return pack


def header(schema_id: int) -> bytes:
    """What comes before the Avro bytes of a Kafka value: 0 and the schema id."""
    return struct.pack(">bI", 0, schema_id)


@cache
def compiled(record: str) -> Encode:
    """The encoder of a record, in the newest version of its schema."""
    return _Compiler(record).function()


class _Compiler:
    """Writes the source of one record's encoder."""

    def __init__(self, record: str) -> None:
        self._record = record
        self._named: dict[str, Any] = {}
        self._names: dict[str, Any] = {
            "LONG": _long,
            "TEXT": _text,
            "KEPT": _Texts(),
            "DOUBLES": _Doubles(),
            "flat": chain.from_iterable,
        }

    def function(self) -> Encode:
        parts = self._fields(catalogue.schema(self._record)["fields"], "event")
        source = f"def encode(event, head):\n    return b''.join((head, {', '.join(parts)}))\n"
        exec(compile(source, f"<encoder of {self._record}>", "exec"), self._names)
        encode: Encode = self._names["encode"]
        return encode

    def _fields(self, fields: list[dict[str, Any]], owner: str) -> list[str]:
        """Expressions of bytes; doubles that follow each other are packed together."""
        parts: list[str] = []
        doubles: list[str] = []
        for field in [*fields, None]:
            if field is not None and field["type"] == "double":
                doubles.append(f"{owner}.{field['name']}")
                continue
            if doubles:
                parts.append(f"DOUBLES[{len(doubles)}]({', '.join(doubles)})")
                doubles = []
            if field is not None:
                parts.append(self._value(field["type"], f"{owner}.{field['name']}", field["name"]))
        return parts

    def _value(self, avro: Any, value: str, name: str = "") -> str:
        avro = self._named.get(avro, avro) if isinstance(avro, str) else avro
        if isinstance(avro, list):
            null = avro.index("null")
            inner = self._value(avro[1 - null], value, name)
            return f"({_long(null)!r} if {value} is None else {_long(1 - null)!r} + {inner})"
        kind = avro if isinstance(avro, str) else avro["type"]
        if kind == "enum":
            return f"{self._enum(avro)}[{value}]"
        if kind == "array":
            return self._array(avro["items"], value)
        if kind == "record":
            self._named[avro["name"]] = avro
            return " + ".join(self._fields(avro["fields"], value))
        if kind == "string" and name in _REPEATED:
            return f"KEPT[{value}]"
        return _PRIMITIVES[kind].format(value)

    def _enum(self, avro: dict[str, Any]) -> str:
        self._named[avro["name"]] = avro
        name = f"ENUM_{avro['name']}"
        self._names[name] = {symbol: _long(index) for index, symbol in enumerate(avro["symbols"])}
        return name

    def _array(self, items: Any, value: str) -> str:
        items = self._named.get(items, items) if isinstance(items, str) else items
        if isinstance(items, dict) and items["type"] == "record":
            self._named[items["name"]] = items
            kinds = [field["type"] for field in items["fields"]]
            if all(kind == "double" for kind in kinds):
                count = f"{len(kinds)} * len({value})"
                body = f"DOUBLES[{count}](*flat({value}))"
            else:
                parts = [self._value(kind, f"item[{i}]") for i, kind in enumerate(kinds)]
                body = f"b''.join([{' + '.join(parts)} for item in {value}])"
        else:
            body = f"b''.join([{self._value(items, 'item')} for item in {value}])"
        return f"(LONG(len({value})) + {body} + b'\\0' if {value} else b'\\0')"
