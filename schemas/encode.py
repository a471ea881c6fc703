"""Columns -> bytes: encodes rows under their newest schema, as fastavro would."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas import catalogue
from schemas import encode_kernel as kernel
from schemas.columns import Rows, Table, item_dtypes, table_dtype
from schemas.decode_kernel import ARRAY
from schemas.decode_program import ITEM_TABLE, compile_program
from schemas.errors import SchemaError

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


@cache
def _ops(record: str) -> Integers:
    """The ops that would read the record, where its arrays' tables count from 0."""
    ops = compile_program(catalogue.schema(record)).ops.copy()
    for number, name in enumerate(item_dtypes(record)):
        ops[(ops[:, 0] == ARRAY) & (ops[:, 2] == ITEM_TABLE[record, name]), 2] = number
    return ops


def encode(rows: Rows, schema_id: int) -> tuple[Bytes, Integers, Integers]:
    """Every row as a Confluent frame: a buffer, and where each value starts and ends in it.

    SchemaError when a row refers to text or items that are not there.
    """
    width = _width(table_dtype(rows.record))
    cells = _cells(rows.table)
    dtypes = item_dtypes(rows.record)
    tables = [_cells(rows.items[f"{rows.record}.{name}"]) for name in dtypes]
    item_width = np.array([_width(dtype) for dtype in dtypes.values()], np.int64)
    sizes = np.array([len(table) for table in tables], np.int64)
    item_base = np.cumsum(sizes) - sizes
    items = _constant(np.concatenate([*tables, np.empty(0, np.int64)]))
    text = _constant(np.ascontiguousarray(rows.text))
    ops = _ops(rows.record)
    most = kernel.most_bytes(
        cells, width, len(rows), items, item_base, item_width, sizes // item_width,
        ops, 0, len(ops), len(text),
    )  # fmt: skip
    if most < 0:
        raise SchemaError(f"row {-1 - most} of {rows.record} refers beyond its text or items")
    out = np.empty(most + kernel.SLACK, np.uint8)
    ends = np.empty(len(rows), np.int64)
    used = kernel.encode(
        cells, width, items, item_base, item_width, text, ops, 0, len(ops), schema_id, out, ends
    )
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1]
    return out[:used], starts, ends


def _cells(table: Table) -> Integers:
    return _constant(np.ascontiguousarray(table).view(np.int64).reshape(-1))


def _constant(array: NDArray[Any]) -> NDArray[Any]:
    """A view of one type whatever comes, so that the kernel is compiled once."""
    view = array.view()
    view.flags.writeable = False
    return view


def _width(dtype: np.dtype[np.void]) -> int:
    return dtype.itemsize // 8
