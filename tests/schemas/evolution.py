"""Makes changes of schemas, and values that fit a schema, for property tests."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.columns import named_types

Schema = dict[str, Any]

_TYPES: list[Any] = [
    "int", "long", "double", "boolean", "string", "bytes", "float",
    {"type": "long", "logicalType": "timestamp-micros"},
    ["null", "double"], ["null", "string"], ["string", "null"], ["null", "long", "string"],
    {"type": "array", "items": "long"}, {"type": "map", "values": "long"},
    {"type": "enum", "name": "Fresh", "symbols": ["A", "B"], "default": "B"},
]  # fmt: skip
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULTS: list[Any] = [None, 0, 1.5, True, "", "x", [], "A"]


@st.composite
def changes_of(draw: st.DrawFn, schema: Schema) -> Schema:
    """Another version of a schema: a few edits, sensible ones and others."""
    changed = deepcopy(schema)
    for _ in range(draw(st.integers(0, 3))):
        edit = draw(st.sampled_from([_add, _drop, _retype, _symbols, _null, _move, _inner]))
        edit(draw, changed)
    return changed


def _add(draw: st.DrawFn, schema: Schema) -> None:
    name = f"added_{len(schema['fields'])}"
    field = {"name": name, "type": draw(st.sampled_from(_TYPES)), "doc": "d"}
    if draw(st.booleans()):
        field["default"] = draw(st.sampled_from(_DEFAULTS))
    _place(draw, schema, field)


def _drop(draw: st.DrawFn, schema: Schema) -> None:
    # A definition that other fields refer to would go with its field.
    loose = [f for f in schema["fields"] if not named_types(f["type"], {})]
    if len(loose) > 1:
        schema["fields"].remove(draw(st.sampled_from(loose)))


def _retype(draw: st.DrawFn, schema: Schema) -> None:
    loose = [f for f in schema["fields"] if not named_types(f["type"], {})]
    if loose:
        draw(st.sampled_from(loose))["type"] = draw(st.sampled_from(_TYPES[:-1]))


def _symbols(draw: st.DrawFn, schema: Schema) -> None:
    enums = [d for d in named_types(schema, {}).values() if d["type"] == "enum"]
    if not enums:
        return
    enum = draw(st.sampled_from(enums))
    symbols = draw(st.permutations([*enum["symbols"], "NEW_ONE"]))
    enum["symbols"] = symbols[: draw(st.integers(1, len(symbols)))]
    if enum.get("default") not in enum["symbols"]:
        enum["default"] = enum["symbols"][0]


def _null(draw: st.DrawFn, schema: Schema) -> None:
    field = draw(st.sampled_from(schema["fields"]))
    if isinstance(field["type"], list):
        field["type"] = next(branch for branch in field["type"] if branch != "null")
        field.pop("default", None)
    else:
        field["type"] = ["null", field["type"]]
        field["default"] = None


def _move(draw: st.DrawFn, schema: Schema) -> None:
    loose = [f for f in schema["fields"] if not named_types(f["type"], {})]
    if loose:
        field = draw(st.sampled_from(loose))
        schema["fields"].remove(field)
        # To the end: behind the definitions that it may refer to.
        schema["fields"].append(field)


def _inner(draw: st.DrawFn, schema: Schema) -> None:
    inner = [d for d in list(named_types(schema, {}).values())[1:] if d["type"] == "record"]
    if inner:
        edit = draw(st.sampled_from([_add, _drop, _retype, _move]))
        edit(draw, draw(st.sampled_from(inner)))


def _place(draw: st.DrawFn, schema: Schema, field: Schema) -> None:
    schema["fields"].insert(draw(st.integers(0, len(schema["fields"]))), field)


def values_of(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that fastavro can write under a schema."""
    return _values(schema, named_types(schema, {}))


def _values(avro: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(avro, list):
        return st.one_of([_values(branch, named) for branch in avro])
    if isinstance(avro, str):
        return _values(named[avro], named) if avro in named else _SCALARS[avro]
    return _complex_values(avro, named)


def _complex_values(avro: dict[str, Any], named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if avro["type"] == "record":
        return st.fixed_dictionaries({f["name"]: _values(f["type"], named) for f in avro["fields"]})
    if avro["type"] == "enum":
        return st.sampled_from(avro["symbols"])
    if avro["type"] == "array":
        return st.lists(_values(avro["items"], named), max_size=3)
    if avro.get("logicalType") == "timestamp-micros":
        return st.integers(0, 4_000_000_000_000_000)
    return _values(avro["type"], named)


_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "string": st.text(max_size=5),
    "bytes": st.binary(max_size=5),
}


def plain(value: Any) -> Any:
    """A value that a client read, with its times as microseconds."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    return value
