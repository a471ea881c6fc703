"""Bytes -> columns: decodes the records of a batch, whichever schemas wrote them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas import catalogue
from schemas import decode_kernel as kernel
from schemas.columns import Batch, Table, item_dtypes, table_dtype
from schemas.decode_program import ITEM_TABLES, KIND, Program, compile_program
from schemas.errors import SchemaError
from schemas.refusals import NO_FRAME, REASONS, UNKNOWN_ID

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

_ROW_DTYPES = [table_dtype(record) for record in KIND]
_ROW_WIDTH = np.array([dtype.itemsize // 8 for dtype in _ROW_DTYPES], np.int64)
_ITEM_NAMES = [f"{record}.{name}" for record, name in ITEM_TABLES]
_ITEM_DTYPES = [item_dtypes(record)[name] for record, name in ITEM_TABLES]
_ITEM_WIDTH = np.array([dtype.itemsize // 8 for dtype in _ITEM_DTYPES], np.int64)
_ITEM_KIND = np.array([KIND[record] for record, _ in ITEM_TABLES], np.int64)
# So many bytes an item that there is none: of tables that a writer does not write to.
_NO_ITEMS = 1 << 62


class Decoder:
    """Decodes values written under any of the given schemas (id -> parsed schema).

    `add` takes further ones. Records of a schema that our columns cannot take are refused.
    """

    def __init__(self, writers: Mapping[int, dict[str, Any]]) -> None:
        self._programs: dict[int, Program] = {}
        self._unusable: dict[int, str] = {}
        for schema_id, writer in writers.items():
            self._compile(schema_id, writer)
        self._freeze()

    def add(self, schema_id: int, writer: dict[str, Any]) -> None:
        """Learn a writer's schema; SchemaError when our columns cannot take it."""
        self._compile(schema_id, writer)
        if schema_id in self._unusable:
            raise SchemaError(f"schema id {schema_id}: {self._unusable[schema_id]}")
        self._freeze()

    def decode(
        self,
        topic: str,
        partition: int,
        buffer: Bytes,
        starts: Integers,
        ends: Integers,
        offsets: Integers,
        timestamps_ms: Integers,
    ) -> Batch:
        """Decode values, each `buffer[starts[i]:ends[i]]`, one Confluent frame.

        `topic` is the logical name: records that do not belong on it are refused.
        """
        # One type of arguments whatever comes, so that the kernel is compiled once.
        data = np.ascontiguousarray(buffer).view()
        data.flags.writeable = False
        starts, ends = _integers(starts), _integers(ends)
        count = len(starts)
        program, codes = np.empty(count, np.int64), np.empty(count, np.int64)
        rows, item_limits = np.zeros(len(KIND), np.int64), np.zeros(len(ITEM_TABLES), np.int64)
        kernel.frames(
            data, starts, ends, self._ids, self._places, self._kinds, _belonging(topic),
            self._smallest, _ITEM_KIND, program, codes, rows, item_limits,
        )  # fmt: skip
        row_base, item_base, size = _bases(rows, item_limits)
        cells = np.empty(size, np.int64)
        kind, row = np.empty(count, np.int64), np.empty(count, np.int64)
        rows[:] = 0
        items = np.zeros(len(ITEM_TABLES), np.int64)
        kernel.decode(
            data, starts, ends, program, codes, self._kinds, self._ops, self._op_starts,
            self._op_ends, self._enums, self._defaults, self._default_starts, cells,
            cells.view(np.float64), row_base, _ROW_WIDTH, rows, item_base, _ITEM_WIDTH, items,
            np.empty_like(items), kind, row,
        )  # fmt: skip
        return Batch(
            topic,
            partition,
            offsets,
            timestamps_ms,
            kind,
            row,
            _tables(list(KIND), _ROW_DTYPES, cells, row_base, rows),
            _tables(_ITEM_NAMES, _ITEM_DTYPES, cells, item_base, items),
            buffer,
            [
                (i, self._reason(data[max(starts[i], 0) : max(ends[i], 0)].tobytes(), codes[i]))
                for i in np.flatnonzero(codes).tolist()
            ],
        )

    def _compile(self, schema_id: int, writer: Any) -> None:
        try:
            self._programs[schema_id] = compile_program(writer)
        except SchemaError as error:
            self._unusable[schema_id] = str(error)

    def _freeze(self) -> None:
        """Lay all programs out as arrays, one after the other."""
        programs = list(self._programs.values())
        ids = np.array(list(self._programs), np.int64)
        self._places = np.argsort(ids).astype(np.int64)
        self._ids = ids[self._places]
        self._kinds = np.array([KIND[program.record] for program in programs], np.int64)
        self._smallest = np.full((len(programs), len(ITEM_TABLES)), _NO_ITEMS, np.int64)
        ops, enums, defaults = [np.empty((0, kernel.OP_COLUMNS), np.int64)], [0], []
        self._default_starts = np.empty(len(programs), np.int64)
        used = 0
        for number, program in enumerate(programs):
            for table, smallest in program.smallest.items():
                self._smallest[number, table] = smallest
            ops.append(_moved(program.ops, len(enums), used))
            enums += program.enums
            defaults.append(program.defaults)
            self._default_starts[number] = used
            used += len(program.defaults)
        self._ops = np.concatenate(ops)
        lengths = np.array([len(program.ops) for program in programs], np.int64)
        self._op_ends = np.cumsum(lengths)
        self._op_starts = self._op_ends - lengths
        self._enums = np.array(enums, np.int64)
        self._defaults = np.concatenate([*defaults, np.empty(0, np.int64)])

    def _reason(self, value: bytes, code: int) -> str:
        if code == NO_FRAME:
            begin = value[: kernel.HEADER].hex() or "nothing"
            return f"{REASONS[NO_FRAME]}: {len(value)} bytes that begin with {begin}"
        schema_id = int.from_bytes(value[1 : kernel.HEADER], "big")
        if code == UNKNOWN_ID and schema_id in self._unusable:
            return f"schema id {schema_id}: {self._unusable[schema_id]}"
        if code == UNKNOWN_ID:
            return f"{REASONS[UNKNOWN_ID]} {schema_id}"
        record = self._programs[schema_id].record
        return f"{record} (schema id {schema_id}): {REASONS[code]}"


def _integers(column: Integers) -> Integers:
    return np.ascontiguousarray(column, np.int64)


@cache
def _belonging(topic: str) -> Bytes:
    """1 for each kind of record that may be on a topic; any, where the catalogue has it not."""
    known = catalogue.BY_NAME.get(topic)
    return np.array([known is None or record in known.records for record in KIND], np.uint8)


def _moved(ops: Integers, enums: int, defaults: int) -> Integers:
    """A program's ops where its enums and defaults are behind those of others."""
    ops = ops.copy()
    ops[ops[:, 0] == kernel.ENUM, 2] += enums
    ops[ops[:, 0] == kernel.ARRAY, 5] += defaults
    return ops


def _bases(rows: Integers, item_limits: Integers) -> tuple[Integers, Integers, int]:
    """Where each table of rows and of items begins among the cells, and how many cells."""
    sizes = np.concatenate([rows * _ROW_WIDTH, item_limits * _ITEM_WIDTH])
    ends = np.cumsum(sizes)
    begins = ends - sizes
    return begins[: len(rows)], begins[len(rows) :], int(ends[-1])


@cache
def _empty(dtype: np.dtype[np.void]) -> Table:
    """The table of no rows; most of a batch's are."""
    return np.empty(0, dtype)


def _tables(
    names: list[str],
    dtypes: list[np.dtype[np.void]],
    cells: Integers,
    bases: Integers,
    counts: Integers,
) -> dict[str, Table]:
    return {
        name: cells[base : base + count * (dtype.itemsize // 8)].view(dtype)
        if count
        else _empty(dtype)
        for name, dtype, base, count in zip(
            names, dtypes, bases.tolist(), counts.tolist(), strict=True
        )
    }
