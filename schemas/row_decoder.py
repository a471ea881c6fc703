"""Decoders of single events, compiled from a writer's schema and ours: no dicts in between.

They take and refuse the same bytes as the columns do (decode_kernel.py), for the same reasons.
"""

import struct
from collections.abc import Callable
from typing import Any

from schemas import catalogue
from schemas.columns import named_types
from schemas.compatibility import kind_of
from schemas.errors import SchemaError
from schemas.events import EVENTS, Event, Origin
from schemas.refusals import (
    BAD_BOOLEAN,
    BAD_ENUM,
    BAD_INT,
    BAD_LENGTH,
    BAD_TEXT,
    BAD_UNION,
    NULL,
    OVERLONG,
    REASONS,
    TRAILING,
)

# The value's bytes and where its Avro begins, to the event; SchemaError says what is wrong.
Decode = Callable[[bytes, int], Event]

_PROMOTIONS = {("int", "long"), ("int", "double"), ("long", "double"), ("bytes", "string")}
_DEEPEST = 8


def _refused(code: int) -> SchemaError:
    return SchemaError(REASONS[code])


def _long(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    number, shift = byte & 127, 0
    while byte > 127:
        byte = data[at]
        at += 1
        shift += 7
        if shift == 63 and byte > 1:
            raise _refused(OVERLONG)
        number |= (byte & 127) << shift
    return (number >> 1) ^ -(number & 1), at


def _int(data: bytes, at: int) -> tuple[int, int]:
    number, at = _long(data, at)
    if not -0x80000000 <= number <= 0x7FFFFFFF:
        raise _refused(BAD_INT)
    return number, at


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _long(data, at)
    if length < 0 or length > len(data) - at:
        raise _refused(BAD_LENGTH)
    return data[at : at + length], at + length


def _text(data: bytes, at: int) -> tuple[str, int]:
    text, at = _bytes(data, at)
    try:
        return text.decode(), at
    except UnicodeDecodeError:
        raise _refused(BAD_TEXT) from None


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise _refused(BAD_BOOLEAN)
    return byte == 1, at + 1


def _enum(data: bytes, at: int, symbols: tuple[str | None, ...]) -> tuple[str, int]:
    index, at = _long(data, at)
    symbol = symbols[index] if 0 <= index < len(symbols) else None
    if symbol is None:
        raise _refused(BAD_ENUM)
    return symbol, at


def _is_null(data: bytes, at: int, null: int, forbidden: bool) -> tuple[bool, int]:
    index, at = _long(data, at)
    if not 0 <= index <= 1:
        raise _refused(BAD_UNION)
    if index == null and forbidden:
        raise _refused(NULL)
    return index == null, at


def _block(data: bytes, at: int, smallest: int) -> tuple[int, int, int]:
    """How many items follow, where they begin, and where they must end (-1: anywhere)."""
    count, at = _long(data, at)
    stop = -1
    if count < 0:
        count = -count
        size, at = _long(data, at)
        if size < 0 or size > len(data) - at:
            raise _refused(BAD_LENGTH)
        stop = at + size
    if count > (len(data) - at) // smallest:
        raise _refused(BAD_LENGTH)
    return count, at, stop


def compile_decoder(writer: Any) -> Decode:
    """The decoder of a writer's schema; SchemaError when our newest cannot take what it writes."""
    if not isinstance(writer, dict) or writer.get("type") != "record":
        raise SchemaError("not the schema of a record")
    record = str(writer.get("name")).rpartition(".")[2]
    if record not in EVENTS:
        raise SchemaError(f"{record} is no record of the catalogue")
    try:
        return _Compiler(writer, record).function()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Another writer's: a registry that checks nothing may give anything.
        kind = type(error).__name__
        raise SchemaError(f"{record}: its schema is not one of Avro ({kind}: {error})") from None


class _Doubles(dict[int, Callable[[bytes, int], tuple[float, ...]]]):
    """Unpacks so many doubles."""

    def __missing__(self, count: int) -> Callable[[bytes, int], tuple[float, ...]]:
        unpack = struct.Struct(f"<{count}d").unpack_from
        if len(self) < _MOST_KEPT:
            self[count] = unpack
        return unpack


_MOST_KEPT = 10_000
_READERS = {
    "long": "LONG(data, at)",
    "int": "INT(data, at)",
    "boolean": "BOOLEAN(data, at)",
    "string": "TEXT(data, at)",
    "bytes": "BYTES(data, at)",
}


class _Compiler:
    """Writes the source of one writer's decoder: statements that leave `at` behind a value."""

    def __init__(self, writer: Any, record: str) -> None:
        self._writer, self._record, self._reader = writer, record, catalogue.schema(record)
        self._writer_named = named_types(writer, {})
        self._reader_named = named_types(self._reader, {})
        self._lines: list[str] = []
        self._depth = 0
        self._names: dict[str, Any] = {
            "LONG": _long, "INT": _int, "BOOLEAN": _boolean, "TEXT": _text, "BYTES": _bytes,
            "ENUM": _enum, "IS_NULL": _is_null, "BLOCK": _block, "DOUBLES": _Doubles(),
            "Origin": Origin, "Event": EVENTS[record], "refused": _refused,
        }  # fmt: skip

    def function(self) -> Decode:
        fields = self._fields(self._writer, self._reader, 1, "")
        self._add(1, "if at != len(data):", f"    raise refused({TRAILING})")
        self._add(1, f"return Event({', '.join(f'{k}={v}' for k, v in fields.items())})")
        source = "\n".join(["def decode(data, at):", *self._lines])
        exec(compile(source, f"<decoder of {self._record}>", "exec"), self._names)
        decode: Decode = self._names["decode"]
        return decode

    def _add(self, indent: int, *lines: str) -> None:
        self._lines += ["    " * indent + line for line in lines]

    def _fields(self, writer: Any, reader: Any, indent: int, path: str) -> dict[str, str]:
        """Read a record; expressions of the reader's fields, without those left to a default."""
        if self._depth > _DEEPEST:
            raise self._error(path, "records are nested too deep")
        self._depth += 1
        known = {f["name"]: f["type"] for f in reader["fields"]} if reader else {}
        found: dict[str, str] = {}
        for f in writer["fields"]:
            target = f"v{len(self._lines)}"
            place = f"{path}.{f['name']}" if path else f["name"]
            self._type(f["type"], known.get(f["name"]), target, indent, place)
            if f["name"] in known:
                found[f["name"]] = target
        for f in reader["fields"] if reader else ():
            if f["name"] not in found and "default" not in f:
                place = f"{path}.{f['name']}" if path else f["name"]
                raise self._error(place, "the writer lacks it and it has no default")
            if f["name"] not in found and path:
                found[f["name"]] = repr(f["default"])
        self._depth -= 1
        return found

    def _type(self, writer: Any, reader: Any, target: str, indent: int, path: str) -> None:
        kind, definition = kind_of(writer, self._writer_named)
        if kind == "union":
            self._nullable(definition, reader, target, indent, path)
            return
        reader_kind, reader = self._not_null(reader)
        if reader is not None and kind != reader_kind and (kind, reader_kind) not in _PROMOTIONS:
            raise self._error(path, f"{kind} cannot be read as {reader_kind}")
        if kind == "record":
            self._nested(definition, reader, target, indent, path)
        elif kind == "array":
            self._array(definition, reader, target, indent, path)
        elif kind == "enum":
            self._add(indent, f"{target}, at = ENUM(data, at, {self._symbols(definition, reader)})")
        elif kind == "double":
            self._add(indent, f"({target},) = DOUBLES[1](data, at)", "at += 8")
        elif kind in _READERS:
            how = _READERS["string" if reader_kind == "string" else kind]
            self._add(indent, f"{target}, at = {how}")
            if reader_kind == "double":
                self._add(indent, f"{target} = float({target})")
        else:
            raise self._error(path, f"columns have no {kind}")

    def _not_null(self, reader: Any) -> tuple[str, Any]:
        """Kind and definition of the reader's type; of what is not null of a union."""
        if reader is None:
            return "", None
        kind, definition = kind_of(reader, self._reader_named)
        if kind == "union":
            (inner,) = (branch for branch in definition if branch != "null")
            return kind_of(inner, self._reader_named)
        return kind, definition

    def _nullable(self, union: Any, reader: Any, target: str, indent: int, path: str) -> None:
        if len(union) != 2 or "null" not in union:
            raise self._error(path, "only unions of null and one type are supported")
        null = union.index("null")
        forbidden = reader is not None and kind_of(reader, self._reader_named)[0] != "union"
        self._add(
            indent,
            f"null, at = IS_NULL(data, at, {null}, {forbidden})",
            "if null:",
            f"    {target} = None",
            "else:",
        )
        inner = union[1 - null]
        if kind_of(inner, self._writer_named)[0] in {"array", "record"}:
            raise self._error(path, "only scalars and enums may be null")
        self._type(inner, reader, target, indent + 1, path)

    def _nested(self, writer: Any, reader: Any, target: str, indent: int, path: str) -> None:
        fields = self._fields(writer, reader, indent, path)
        if reader is not None:
            given = ", ".join(f"{name}={value}" for name, value in fields.items())
            self._add(indent, f"{target} = {reader['name']}({given})")

    def _symbols(self, writer: Any, reader: Any) -> str:
        """A constant: what each symbol of the writer is to the reader."""
        known = set(reader["symbols"] if reader else writer["symbols"])
        other = reader.get("default") if reader else None
        name = f"SYMBOLS_{len(self._lines)}"
        self._names[name] = tuple(s if s in known else other for s in writer["symbols"])
        return name

    def _array(self, writer: Any, reader: Any, target: str, indent: int, path: str) -> None:
        kind, item = kind_of(writer["items"], self._writer_named)
        if kind == "array" or indent > 1:
            raise self._error(path, "columns have no arrays inside others")
        smallest = self._fewest_bytes(writer["items"])
        if not smallest:
            raise self._error(path, "items without a byte are not supported")
        target_kind, target_item = self._not_null(reader["items"] if reader else None)
        self._add(
            indent,
            f"{target} = []",
            "while True:",
            f"    count, at, stop = BLOCK(data, at, {smallest})",
            "    if not count:",
            "        break",
        )
        if kind == "record" and reader and _is_all_doubles(item) and _same(item, target_item):
            width = len(item["fields"])
            self._add(
                indent + 1,
                f"numbers = iter(DOUBLES[{width} * count](data, at))",
                f"{target} += zip({', '.join(['numbers'] * width)})",
                f"at += {8 * width} * count",
            )
        else:
            self._add(indent + 1, "for _ in range(count):")
            if kind == "record" and reader and target_kind != "record":
                raise self._error(path, f"a record cannot be read as {target_kind}")
            if kind == "record":
                fields = self._fields(item, target_item, indent + 2, path)
                names = [f["name"] for f in target_item["fields"]] if reader else []
                value = f"({''.join(f'{fields[name]}, ' for name in names)})"
            else:
                value = "item"
                inner = reader["items"] if reader else None
                self._type(writer["items"], inner, value, indent + 2, path)
            self._add(indent + 2, f"{target}.append({value})" if reader else "pass")
        self._add(indent + 1, "if stop >= 0 and at != stop:", f"    raise refused({BAD_LENGTH})")

    def _fewest_bytes(self, avro: Any) -> int:
        kind, definition = kind_of(avro, self._writer_named)
        if kind == "record":
            return sum(self._fewest_bytes(f["type"]) for f in definition["fields"])
        return 8 if kind == "double" else 0 if kind == "null" else 1

    def _error(self, path: str, reason: str) -> SchemaError:
        return SchemaError(f"{self._record}.{path}: {reason}")


def _is_all_doubles(record: Any) -> bool:
    return all(field["type"] == "double" for field in record["fields"])


def _same(writer: Any, reader: Any) -> bool:
    """Whether two records of arrays have the same fields in the same order."""
    return [(f["name"], f["type"]) for f in writer["fields"]] == [
        (f["name"], f["type"]) for f in reader["fields"]
    ]


_KNOWN: dict[int, tuple[Any, Decode]] = {}


def decoder_of(writer: Any) -> Decode:
    """The compiled decoder of a writer's schema, kept for this very object."""
    found = _KNOWN.get(id(writer))
    if found is None:
        # The schema is kept with it, so that no other object takes over its identity.
        found = _KNOWN[id(writer)] = (writer, compile_decoder(writer))
    return found[1]
