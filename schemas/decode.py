"""Bytes -> columns: decodes the records of a batch, whichever schemas wrote them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas import catalogue
from schemas import decode_kernel as kernel
from schemas.columns import Batch, Table, item_dtypes, named_types, table_dtype
from schemas.errors import SchemaError

_HEADER = 5
_SCALARS = {
    "long": kernel.LONG,
    "int": kernel.INT,
    "double": kernel.DOUBLE,
    "boolean": kernel.BOOL,
    "string": kernel.STRING,
    "bytes": kernel.BYTES,
}
KIND = {record: index for index, record in enumerate(catalogue.RECORDS)}
_ITEM_TABLES = [(record, name) for record in catalogue.RECORDS for name in item_dtypes(record)]
_ITEM = {key: index for index, key in enumerate(_ITEM_TABLES)}
_ROW_WIDTH = np.array([table_dtype(record).itemsize // 8 for record in KIND], np.int64)
_ITEM_KIND = np.array([KIND[record] for record, _ in _ITEM_TABLES], np.int64)
_ITEM_WIDTH = np.array([item_dtypes(r)[name].itemsize // 8 for r, name in _ITEM_TABLES], np.int64)
# Fewest bytes of an item: 8 a double, 1 anything else (a string's two columns are one byte).
_ITEM_SMALLEST = np.array(
    [
        sum(
            8 if dtype.kind == "f" else 0 if column.endswith("_length") else 1
            for column, (dtype, *_) in (item_dtypes(r)[name].fields or {}).items()
        )
        for r, name in _ITEM_TABLES
    ],
    np.int64,
)


@dataclass(frozen=True, slots=True)
class _Program:
    kind: int
    ops: list[tuple[int, int, int, int]]


class _Compiler:
    """Makes a writer's schema into ops that fill the reader's columns by name."""

    def __init__(self, writer: dict[str, Any], record: str, enums: list[int]) -> None:
        self._record, self._enums = record, enums
        self._writer_named = named_types(writer, {})
        reader = catalogue.schema(record)
        self._reader_named = named_types(reader, {})
        self.ops: list[tuple[int, int, int, int]] = []
        self._fields(writer, reader, "", table_dtype(record).names or ())

    def _fields(
        self,
        writer: dict[str, Any],
        reader: dict[str, Any] | None,
        prefix: str,
        columns: tuple[str, ...],
    ) -> None:
        known = {f["name"]: f["type"] for f in reader["fields"]} if reader else {}
        for f in writer["fields"]:
            self._type(f["type"], known.get(f["name"]), prefix + f["name"], columns)

    def _type(self, writer: Any, reader: Any, name: str, columns: tuple[str, ...]) -> None:
        writer, reader = (
            self._resolve(writer, self._writer_named),
            self._resolve(reader, self._reader_named),
        )
        if isinstance(writer, list):
            self._nullable(writer, reader, name, columns)
            return
        if isinstance(reader, list):
            (reader,) = (self._resolve(b, self._reader_named) for b in reader if b != "null")
        kind = writer if isinstance(writer, str) else writer["type"]

        def column(suffix: str = "") -> int:
            return columns.index(name + suffix) if reader is not None else -1

        if kind == "record":
            self._fields(writer, reader, name + "_", columns)
        elif kind == "array":
            self._array(writer, reader, name, column("_start"))
        elif kind == "enum":
            symbols = tuple(reader["symbols"]) if reader else ()
            start = len(self._enums)
            for symbol in writer["symbols"]:
                self._enums.append(
                    symbols.index(symbol)
                    if symbol in symbols
                    else symbols.index(reader["default"])
                    if reader
                    else 0
                )
            self.ops.append((kernel.ENUM, column(), start, len(writer["symbols"])))
        elif kind in {"string", "bytes"}:
            self.ops.append((_SCALARS[kind], column("_start"), 0, 0))
        elif kind in _SCALARS:
            if reader is not None and _name(reader) == "double" and kind != "double":
                raise SchemaError(
                    f"{self._record}.{name}: {kind} promoted to double is not supported"
                )
            self.ops.append((_SCALARS[kind], column(), 0, 0))
        else:
            raise SchemaError(f"{self._record}.{name}: {kind} is not supported in columns")

    def _nullable(
        self, writer: list[Any], reader: Any, name: str, columns: tuple[str, ...]
    ) -> None:
        if len(writer) != 2 or "null" not in writer:
            raise SchemaError(
                f"{self._record}.{name}: only unions of null and one type are supported"
            )
        null = writer.index("null")
        column = columns.index(f"{name}_null") if isinstance(reader, list) else -1
        at = len(self.ops)
        self.ops.append((kernel.NULLABLE, column, null, 0))
        self._type(writer[1 - null], reader, name, columns)
        self.ops[at] = (kernel.NULLABLE, column, null, len(self.ops) - at - 1)

    def _array(self, writer: dict[str, Any], reader: Any, name: str, column: int) -> None:
        item = self._resolve(writer["items"], self._writer_named)
        columns: tuple[str, ...] = ()
        table = -1
        target: Any = None
        if reader is not None:
            table = _ITEM[self._record, name]
            columns = item_dtypes(self._record)[name].names or ()
            target = self._resolve(reader["items"], self._reader_named)
        at = len(self.ops)
        self.ops.append((kernel.ARRAY, column, table, 0))
        if isinstance(item, dict) and item["type"] == "record":
            self._fields(item, target, "", columns)
        else:
            self._type(item, target, "value", columns)
        self.ops[at] = (kernel.ARRAY, column, table, len(self.ops) - at - 1)

    @staticmethod
    def _resolve(avro: Any, named: dict[str, Any]) -> Any:
        while True:
            if isinstance(avro, str) and avro in named:
                avro = named[avro]
            elif isinstance(avro, dict) and avro["type"] not in {"record", "enum", "array"}:
                avro = avro["type"]
            else:
                return avro


def _name(avro: Any) -> str:
    return avro if isinstance(avro, str) else str(avro["type"])


def _defaults(writer: dict[str, Any], record: str) -> NDArray[np.int64]:
    """The row that decoding starts from: what the reader's fields are that the writer lacks."""
    row = np.zeros(1, table_dtype(record))
    written = {f["name"] for f in writer["fields"]}
    named = named_types(catalogue.schema(record), {})
    for f in catalogue.schema(record)["fields"]:
        if f["name"] in written:
            continue
        if "default" not in f:
            raise SchemaError(f"{record}.{f['name']}: the writer lacks it and it has no default")
        avro, default = f["type"], f["default"]
        if isinstance(avro, list):
            row[f"{f['name']}_null"] = 1
        elif default not in ("", [], False):
            avro = named.get(avro, avro) if isinstance(avro, str) else avro
            if isinstance(avro, dict) and avro["type"] == "enum":
                default = avro["symbols"].index(default)
            row[f["name"]] = default
    return row.view(np.int64)


class Decoder:
    """Decodes values written under any of the given schemas (id -> parsed schema).

    SchemaError for a writer's schema that a column cannot hold. `add` takes further ones.
    """

    def __init__(self, writers: Mapping[int, dict[str, Any]]) -> None:
        self._ids: list[int] = []
        self._programs: list[_Program] = []
        self._default_rows: list[NDArray[np.int64]] = []
        self._enums: list[int] = []
        for schema_id, writer in writers.items():
            self.add(schema_id, writer)

    def add(self, schema_id: int, writer: dict[str, Any]) -> None:
        """Learn a writer's schema."""
        record = str(writer["name"]).rpartition(".")[2]
        if record not in KIND:
            return
        compiler = _Compiler(writer, record, self._enums)
        self._ids.append(schema_id)
        self._programs.append(_Program(KIND[record], compiler.ops))
        self._default_rows.append(_defaults(writer, record))
        self._freeze()

    def _freeze(self) -> None:
        order = np.argsort(np.array(self._ids))
        self._sorted_ids = np.array(self._ids, np.int64)[order]
        self._order = order.astype(np.int64)
        self._kinds = np.array([p.kind for p in self._programs], np.int64)
        self._ops = np.array([op for p in self._programs for op in p.ops], np.int64).reshape(-1, 4)
        lengths = np.array([len(p.ops) for p in self._programs], np.int64)
        self._op_end = np.cumsum(lengths)
        self._op_start = self._op_end - lengths
        self._enum_table = np.array(self._enums or [0], np.int64)
        widths = np.array([len(r) for r in self._default_rows], np.int64)
        self._default_start = np.cumsum(widths) - widths
        self._default = np.concatenate(self._default_rows)

    def decode(
        self,
        topic: str,
        partition: int,
        buffer: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        offsets: NDArray[np.int64],
        timestamps_ms: NDArray[np.int64],
    ) -> Batch:
        """Decode values, each `buffer[starts[i]:ends[i]]`, one Confluent frame."""
        count = len(starts)
        program, codes = self._programs_of(buffer, starts, ends)
        sizes = ends - starts
        record_count = np.zeros(len(KIND), np.int64)
        record_bytes = np.zeros(len(KIND), np.int64)
        known = program >= 0
        kinds = self._kinds[program[known]]
        np.add.at(record_count, kinds, 1)
        np.add.at(record_bytes, kinds, sizes[known])
        row_width = _ROW_WIDTH
        row_base, cells_used = _bases(record_count * row_width, 0)
        item_limit = record_bytes[_ITEM_KIND] // _ITEM_SMALLEST
        item_base, cells_used = _bases(item_limit * _ITEM_WIDTH, cells_used)
        cells = np.empty(cells_used, np.int64)
        rows, item_used = np.zeros(len(KIND), np.int64), np.zeros(len(_ITEM), np.int64)
        kind, row = np.empty(count, np.int64), np.empty(count, np.int64)
        kernel.decode(
            buffer, starts, ends, program, self._kinds, self._ops, self._op_start, self._op_end,
            self._enum_table, cells, self._default, self._default_start, row_base, row_width, rows,
            item_base, _ITEM_WIDTH, item_used, item_limit, kind, row, codes,
        )  # fmt: skip
        tables = {
            record: _view(cells, int(row_base[k]), int(rows[k]), table_dtype(record))
            for record, k in KIND.items()
        }
        items = {
            f"{record}.{name}": _view(
                cells, int(item_base[i]), int(item_used[i]), item_dtypes(record)[name]
            )
            for (record, name), i in _ITEM.items()
        }
        refused = [
            (int(i), self._reason(buffer, starts, ends, int(i), int(codes[i])))
            for i in np.flatnonzero(kind < 0)
        ]
        return Batch(
            topic, partition, offsets, timestamps_ms, kind, row, tables, items, buffer, refused
        )

    def _programs_of(
        self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each record's program by its frame's schema id; -1 and a code where there is none."""
        codes = np.zeros(len(starts), np.int64)
        program = np.full(len(starts), -1, np.int64)
        framed = ends - starts >= _HEADER
        framed[framed] = buffer[starts[framed]] == 0
        codes[~framed] = _NO_FRAME
        at = starts[framed]
        ids = np.zeros(len(at), np.int64)
        for i in range(1, _HEADER):
            ids = ids << 8 | buffer[at + i]
        places = np.minimum(np.searchsorted(self._sorted_ids, ids), len(self._sorted_ids) - 1)
        found = self._sorted_ids[places] == ids
        program[framed] = np.where(found, self._order[places], -1)
        codes[framed] = np.where(found, 0, _UNKNOWN_ID)
        return program, codes

    @staticmethod
    def _reason(
        buffer: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        i: int,
        code: int,
    ) -> str:
        value = buffer[starts[i] : ends[i]].tobytes()
        if code == _NO_FRAME:
            return f"no Confluent frame: {len(value)} bytes that begin with {value[:5].hex() or 'nothing'}"
        schema_id = int.from_bytes(value[1:_HEADER], "big")
        if code == _UNKNOWN_ID:
            return f"unknown schema id {schema_id}"
        return f"schema id {schema_id}: {kernel.REASONS[code]}"


_NO_FRAME, _UNKNOWN_ID = -1, -2


def _bases(sizes: NDArray[np.int64], first: int) -> tuple[NDArray[np.int64], int]:
    ends = np.cumsum(sizes) + first
    return ends - sizes, int(ends[-1])


def _view(cells: NDArray[np.int64], base: int, count: int, dtype: np.dtype[np.void]) -> Table:
    width = dtype.itemsize // 8
    return cells[base : base + count * width].view(dtype)
