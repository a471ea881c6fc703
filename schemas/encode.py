"""Columns -> bytes: encodes rows under their newest schema, as fastavro would."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas import catalogue
from schemas import encode_kernel as kernel
from schemas.columns import Rows, item_dtypes, named_types, table_dtype

_KINDS = {
    "long": kernel.LONG,
    "int": kernel.LONG,
    "enum": kernel.LONG,
    "double": kernel.DOUBLE,
    "boolean": kernel.BOOL,
    "string": kernel.TEXT,
    "bytes": kernel.TEXT,
}


class _Compiler:
    def __init__(self, record: str) -> None:
        self._record = record
        self._schema = catalogue.schema(record)
        self._named = named_types(self._schema, {})
        self._arrays = list(item_dtypes(record))
        self.ops: list[tuple[int, int, int, int]] = []
        self._fields(self._schema, "", table_dtype(record).names or ())

    def _fields(self, schema: dict[str, Any], prefix: str, columns: tuple[str, ...]) -> None:
        for f in schema["fields"]:
            self._type(f["type"], prefix + f["name"], columns)

    def _type(self, avro: Any, name: str, columns: tuple[str, ...]) -> None:
        avro = self._named.get(avro, avro) if isinstance(avro, str) else avro
        if isinstance(avro, list):
            null = avro.index("null")
            at = len(self.ops)
            self.ops.append((kernel.NULLABLE, 0, 0, 0))
            self._type(avro[1 - null], name, columns)
            self.ops[at] = (
                kernel.NULLABLE,
                columns.index(f"{name}_null"),
                null,
                len(self.ops) - at - 1,
            )
            return
        kind = avro if isinstance(avro, str) else avro["type"]
        if kind == "record":
            self._fields(avro, f"{name}_", columns)
        elif kind == "array":
            self._array(avro["items"], name, columns)
        elif kind in _KINDS:
            text = _KINDS[kind] == kernel.TEXT
            self.ops.append((_KINDS[kind], columns.index(f"{name}_start" if text else name), 0, 0))
        else:  # a logical type: its underlying one
            self._type(kind, name, columns)

    def _array(self, item: Any, name: str, columns: tuple[str, ...]) -> None:
        item = self._named.get(item, item) if isinstance(item, str) else item
        inner = item_dtypes(self._record)[name].names or ()
        at = len(self.ops)
        self.ops.append((kernel.ARRAY, 0, 0, 0))
        if isinstance(item, dict) and item["type"] == "record":
            self._fields(item, "", inner)
        else:
            self._type(item, "value", inner)
        table = self._arrays.index(name)
        column = columns.index(f"{name}_start")
        self.ops[at] = (kernel.ARRAY, column, table, len(self.ops) - at - 1)


@cache
def _ops(record: str) -> NDArray[np.int64]:
    return np.array(_Compiler(record).ops, np.int64)


def encode(
    rows: Rows, schema_id: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Every row as a Confluent frame: a buffer, and where each value starts and ends in it."""
    dtype = table_dtype(rows.record)
    width = dtype.itemsize // 8
    cells = np.ascontiguousarray(rows.table).view(np.int64).reshape(-1)
    names = list(item_dtypes(rows.record))
    tables = [
        np.ascontiguousarray(rows.items[f"{rows.record}.{name}"]).view(np.int64).reshape(-1)
        for name in names
    ]
    sizes = np.array([len(table) for table in tables], np.int64)
    item_base = np.cumsum(sizes) - sizes
    item_width = np.array(
        [item_dtypes(rows.record)[name].itemsize // 8 for name in names], np.int64
    )
    items = np.concatenate(tables) if tables else np.empty(0, np.int64)
    text = np.ascontiguousarray(rows.text)
    ops = _ops(rows.record)
    ends = np.empty(len(rows), np.int64)
    bound = kernel.bound(cells, width, len(rows), items, item_base, item_width, ops)
    out = np.empty(bound, np.uint8)
    used = kernel.encode(
        cells, width, items, item_base, item_width, text, ops, schema_id, out, ends
    )
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1]
    return out[:used], starts, ends
