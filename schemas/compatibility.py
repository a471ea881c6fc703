"""Compatibility: whether what one schema wrote can be read under another, and why not.

Avro's schema resolution (its specification, "Schema Resolution"), over the part of Avro that
our schemas use. Stricter in what the columns (decode.py) cannot do: no promotion of numbers,
no default inside a nested record. And where Avro looks away: a logical type is a unit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.columns import named_types

Schema = dict[str, Any]
Named = dict[str, Any]

SCALARS = {"int", "long", "double", "boolean", "string", "bytes"}

_LIMITS = {"int": 31, "long": 63}
_EMPTY: dict[str, Any] = {"string": "", "bytes": "", "array": []}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a schema is refused; `field` is the path to it, empty for the record itself."""

    record: str
    field: str
    reason: str

    def __str__(self) -> str:
        """`Trade.price: …`."""
        return f"{self.record}{'.' if self.field else ''}{self.field}: {self.reason}"


def unreadable(writer: Schema, reader: Schema) -> list[Problem]:
    """Why values of `writer` cannot all be read under `reader`; empty when they can."""
    resolution = _Resolution(reader["name"], named_types(writer, {}), named_types(reader, {}))
    return list(resolution.record(writer, reader, ""))


def unsupported(schema: Schema) -> list[Problem]:
    """What in a schema is beyond the part of Avro that rows and columns can hold."""
    return list(_Support(schema["name"], named_types(schema, {})).record(schema, ""))


def kind_of(avro: Any, named: Named) -> tuple[str, Any]:
    """A type's kind (`record`, `enum`, `array`, `union`, or a scalar's name) and definition."""
    if isinstance(avro, list):
        return "union", avro
    if isinstance(avro, str):
        return kind_of(named[avro], named) if avro in named else (avro, {"type": avro})
    if isinstance(avro["type"], str):
        return avro["type"], avro
    return kind_of(avro["type"], named)


class _Resolution:
    """Goes through a writer's and a reader's schema together."""

    def __init__(self, name: str, writer_named: Named, reader_named: Named) -> None:
        self._name = name
        self._writer_named = writer_named
        self._reader_named = reader_named

    def record(self, writer: Schema, reader: Schema, path: str) -> Iterator[Problem]:
        if writer["name"] != reader["name"]:
            yield self._problem(path, f"{writer['name']} cannot be read as {reader['name']}")
            return
        written = {field["name"]: field for field in writer["fields"]}
        known = {field["name"] for field in reader["fields"]}
        for field in reader["fields"]:
            place = _join(path, field["name"])
            if field["name"] in written:
                yield from self.type(written[field["name"]]["type"], field["type"], place)
            elif "default" not in field:
                yield self._problem(
                    place, "the reader has this field, the writer has not, and it has no default"
                )
            elif path:
                yield self._problem(
                    place,
                    "the writer lacks this field, and columns have no default in a record"
                    " inside another",
                )
        if path:
            yield from (
                self._problem(_join(path, name), "a field of a record inside another was dropped")
                for name in written.keys() - known
            )

    def type(self, writer: Any, reader: Any, path: str) -> Iterator[Problem]:
        writer_kind, writer = kind_of(writer, self._writer_named)
        reader_kind, reader = kind_of(reader, self._reader_named)
        if writer_kind == "union" or reader_kind == "union":
            yield from self._union(writer, reader, path)
        elif writer_kind != reader_kind:
            yield self._problem(path, f"{writer_kind} cannot be read as {reader_kind}")
        elif writer_kind == "record":
            yield from self.record(writer, reader, path)
        elif writer_kind == "array":
            yield from self.type(writer["items"], reader["items"], f"{path}[]")
        elif writer_kind == "enum":
            yield from self._enum(writer, reader, path)
        elif (was := writer.get("logicalType")) != (now := reader.get("logicalType")):
            yield self._problem(
                path, f"{_unit(was)} read as {_unit(now)}: the number would mean another thing"
            )

    def _union(self, writer: Any, reader: Any, path: str) -> Iterator[Problem]:
        written = writer if isinstance(writer, list) else [writer]
        known = reader if isinstance(reader, list) else [reader]
        if "null" in written and "null" not in known:
            yield self._problem(path, "null was written and cannot be read")
        for branch in written:
            if branch != "null":
                found = [list(self.type(branch, other, path)) for other in known if other != "null"]
                yield from min(found, key=len, default=[])

    def _enum(self, writer: Schema, reader: Schema, path: str) -> Iterator[Problem]:
        if writer["name"] != reader["name"]:
            yield self._problem(path, f"enum {writer['name']} was renamed to {reader['name']}")
        unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
        if unknown and "default" not in reader:
            yield self._problem(
                path, f"the reader has no symbol {', '.join(unknown)} and no default for it"
            )

    def _problem(self, path: str, reason: str) -> Problem:
        return Problem(self._name, path, reason)


class _Support:
    """Goes through one schema and names what the code could not hold."""

    def __init__(self, name: str, named: Named) -> None:
        self._name = name
        self._named = named

    def record(self, schema: Schema, path: str) -> Iterator[Problem]:
        for field in schema["fields"]:
            place = _join(path, field["name"])
            if not field.get("doc"):
                yield Problem(self._name, place, "it has no `doc` (unit and meaning)")
            if "aliases" in field:
                yield Problem(self._name, place, "aliases are not supported")
            yield from self._type(field["type"], place, nested=bool(path))
            if "default" in field:
                yield from self._default(field["type"], field["default"], place)

    def _type(self, avro: Any, path: str, nested: bool) -> Iterator[Problem]:
        kind, definition = kind_of(avro, self._named)
        if kind == "union":
            yield from self._union(definition, path, nested)
        elif kind == "array":
            yield from self._array(definition, path, nested)
        elif kind == "record" and nested:
            yield Problem(self._name, path, "records are not supported so deep inside others")
        elif kind == "record":
            yield from self.record(definition, path)
        elif kind == "enum":
            if definition.get("default", definition["symbols"][0]) not in definition["symbols"]:
                yield Problem(self._name, path, "the enum's default is none of its symbols")
        elif kind not in SCALARS:
            yield Problem(self._name, path, f"type {kind} is not supported")

    def _union(self, branches: list[Any], path: str, nested: bool) -> Iterator[Problem]:
        if len(branches) != 2 or "null" not in branches:
            yield Problem(self._name, path, "only unions of null and one type are supported")
            return
        branch = branches[1 - branches.index("null")]
        if kind_of(branch, self._named)[0] in {"array", "record", "union"}:
            yield Problem(self._name, path, "only scalars and enums may be null")
            return
        yield from self._type(branch, path, nested)

    def _array(self, schema: Schema, path: str, nested: bool) -> Iterator[Problem]:
        kind, item = kind_of(schema["items"], self._named)
        if nested:
            yield Problem(self._name, path, "arrays are not supported inside another record")
        elif kind == "record":
            yield from self.record(item, f"{path}[]")
        elif kind in {"array", "union"}:
            yield Problem(self._name, path, f"arrays of {kind}s are not supported")
        else:
            yield from self._type(schema["items"], f"{path}[]", nested=True)

    def _default(self, avro: Any, default: Any, path: str) -> Iterator[Problem]:
        kind, definition = kind_of(avro, self._named)
        if not _is_valid(kind, definition, default):
            yield Problem(self._name, path, f"default {default!r} does not fit {kind}")
        elif kind in _EMPTY and default != _EMPTY[kind]:
            yield Problem(self._name, path, f"columns hold only an empty default of a {kind}")


def _is_valid(kind: str, definition: Any, default: Any) -> bool:
    """Whether Avro allows this default (for a union: its first branch's; here always null)."""
    if kind == "union":
        return default is None and definition[0] == "null"
    if kind == "enum":
        return default in definition["symbols"]
    if kind in _LIMITS:
        limit = 1 << _LIMITS[kind]
        return type(default) is int and -limit <= default < limit
    kinds: dict[str, tuple[type, ...]] = {
        "double": (int, float),
        "boolean": (bool,),
        "string": (str,),
        "bytes": (str,),
        "array": (list,),
    }
    if kind == "double" and isinstance(default, bool):
        return False
    return isinstance(default, kinds.get(kind, ()))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unit(logical: str | None) -> str:
    return logical or "a plain number"
