"""Writer's schema -> ops of the decoding kernel, resolved by field name to our own columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas import catalogue
from schemas import decode_kernel as kernel
from schemas.columns import item_dtypes, named_types, table_dtype
from schemas.errors import SchemaError

Columns = tuple[str, ...]
Named = dict[str, Any]

KIND = {record: index for index, record in enumerate(catalogue.RECORDS)}
ITEM_TABLES = [(record, name) for record in catalogue.RECORDS for name in item_dtypes(record)]
ITEM_TABLE = {key: index for index, key in enumerate(ITEM_TABLES)}

_SCALARS = {
    "long": kernel.LONG,
    "int": kernel.INT,
    "double": kernel.DOUBLES,
    "boolean": kernel.BOOL,
    "string": kernel.STRING,
    "bytes": kernel.BYTES,
}
# What is read as what, besides as itself: Avro's promotions.
_PROMOTIONS = {("int", "long"), ("int", "double"), ("long", "double"), ("bytes", "string")}
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Program:
    """How a writer's records are decoded.

    `ops` are the kernel's; positions in them of `enums` and `defaults` count from 0 of these.
    `defaults` begins with the row that decoding starts from. `smallest` is the fewest bytes of
    an item by item table.
    """

    record: str
    ops: NDArray[np.int64]
    enums: list[int]
    defaults: NDArray[np.int64]
    smallest: dict[int, int]


def compile_program(writer: Any) -> Program:
    """The program of a writer's schema; SchemaError for one that our columns cannot take."""
    if not isinstance(writer, dict) or writer.get("type") != "record":
        raise SchemaError("not the schema of a record")
    record = str(writer.get("name")).rpartition(".")[2]
    if record not in KIND:
        raise SchemaError(f"{record} is no record of the catalogue")
    try:
        return _Compiler(writer, record).program
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Another writer's: a registry that checks nothing may give anything.
        kind = type(error).__name__
        raise SchemaError(f"{record}: its schema is not one of Avro ({kind}: {error})") from None


class _Compiler:
    def __init__(self, writer: dict[str, Any], record: str) -> None:
        self._record = record
        reader = catalogue.schema(record)
        self._writer_named = named_types(writer, {})
        self._reader_named = named_types(reader, {})
        self._ops: list[list[int]] = []
        self._enums: list[int] = []
        self._smallest: dict[int, int] = {}
        # Only ops from here on may be joined: what a nullable or an array skips stays whole.
        self._barrier = 0
        self._in_item = ""
        self._depth = 0
        self._defaults = [self._default_row(writer, reader, table_dtype(record))]
        self._record_fields(writer, reader, "", table_dtype(record).names or ())
        self.program = Program(
            record,
            np.array(self._ops, np.int64).reshape(-1, kernel.OP_COLUMNS),
            self._enums,
            np.concatenate(self._defaults),
            self._smallest,
        )

    def _op(self, kind: int, column: int, *arguments: int) -> int:
        """Append an op; its place."""
        op = [kind, column, *arguments]
        self._ops.append(op + [0] * (kernel.OP_COLUMNS - len(op)))
        return len(self._ops) - 1

    def _record_fields(self, writer: Any, reader: Any, prefix: str, columns: Columns) -> None:
        if self._depth > _DEEPEST:
            raise self._error(prefix, "records are nested too deep")
        self._depth += 1
        known = {f["name"]: f["type"] for f in reader["fields"]} if reader else {}
        for f in writer["fields"]:
            self._type(f["type"], known.get(f["name"]), prefix + f["name"], columns)
        self._depth -= 1

    def _type(self, writer: Any, reader: Any, name: str, columns: Columns) -> None:
        """One type of the writer into the columns of `name`; skipped where reader is None."""
        writer = _resolved(writer, self._writer_named)
        reader = _resolved(reader, self._reader_named)
        if isinstance(writer, list):
            self._nullable(writer, reader, name, columns)
            return
        if isinstance(reader, list):
            reader = _resolved(_not_null(reader), self._reader_named)
        kind, target = _kind(writer), _kind(reader)
        if reader is not None and kind != target and (kind, target) not in _PROMOTIONS:
            raise self._error(name, f"{kind} cannot be read as {target}")
        if kind == "record":
            self._record_fields(writer, reader, name + "_", columns)
        elif kind == "array":
            self._array(writer, reader, name, columns)
        elif kind == "enum":
            self._enum(writer, reader, _column(columns, name, reader))
        elif kind in {"string", "bytes"}:
            column = _column(columns, f"{name}_start", reader)
            self._op(_SCALARS["string" if target == "string" else kind], column)
        elif kind == "double":
            self._doubles(_column(columns, name, reader))
        elif kind in _SCALARS:
            self._op(_SCALARS[kind], _column(columns, name, reader), int(target == "double"))
        else:
            raise self._error(name, f"columns have no {kind}")

    def _doubles(self, column: int) -> None:
        """A double; one op reads all those that follow each other in bytes and columns."""
        if len(self._ops) > self._barrier and self._ops[-1][0] == kernel.DOUBLES:
            _, first, count, *_ = self._ops[-1]
            if column == (first + count if first >= 0 else -1):
                self._ops[-1][2] += 1
                return
        self._op(kernel.DOUBLES, column, 1)

    def _nullable(self, writer: list[Any], reader: Any, name: str, columns: Columns) -> None:
        if len(writer) != 2 or "null" not in writer:
            raise self._error(name, "only unions of null and one type are supported")
        if _kind(_resolved(_not_null(writer), self._writer_named)) in {"array", "record"}:
            raise self._error(name, "only scalars and enums may be null")
        null = writer.index("null")
        nullable = isinstance(reader, list)
        flag = _column(columns, f"{name}_null", reader) if nullable else -1
        at = self._op(kernel.NULLABLE, flag, null)
        self._barrier = len(self._ops)
        self._type(_not_null(writer), reader, name, columns)
        self._barrier = len(self._ops)
        self._ops[at][3] = len(self._ops) - at - 1
        self._ops[at][4] = int(reader is not None and not nullable)

    def _array(self, writer: Any, reader: Any, name: str, columns: Columns) -> None:
        if self._in_item:
            raise self._error(name, "columns have no arrays inside arrays")
        column = _column(columns, f"{name}_start", reader)
        table, target = -1, None
        inner: Columns = ()
        item = _resolved(writer["items"], self._writer_named)
        if reader is not None:
            if (self._record, name) not in ITEM_TABLE:
                raise self._error(name, "columns have no arrays inside records")
            table = ITEM_TABLE[self._record, name]
            target = _resolved(reader["items"], self._reader_named)
            inner = item_dtypes(self._record)[name].names or ()
        at = self._op(kernel.ARRAY, column, table)
        self._barrier = len(self._ops)
        self._in_item = f"{name}[]."
        if _kind(item) != "record":
            self._type(item, target, "value", inner)
        elif target is None or _kind(target) == "record":
            self._record_fields(item, target, "", inner)
        else:
            raise self._error(name, f"a record cannot be read as {_kind(target)}")
        self._in_item = ""
        self._barrier = len(self._ops)
        self._finish_array(at, item, target, name)

    def _finish_array(self, at: int, item: Any, target: Any, name: str) -> None:
        op, body = self._ops[at], self._ops[at + 1 :]
        smallest = _fewest_bytes(body)
        if not smallest:
            raise self._error(name, "items without a byte are not supported")
        op[3], op[4] = len(body), smallest
        if target is None:
            return
        self._smallest[op[2]] = smallest
        dtype = item_dtypes(self._record)[name]
        op[5] = sum(map(len, self._defaults))
        if _kind(target) == "record":
            self._defaults.append(self._default_row(item, target, dtype))
        else:
            self._defaults.append(np.zeros(_width(dtype), np.int64))
        op[6] = int(body == [[kernel.DOUBLES, 0, _width(dtype), 0, 0, 0, 0]])

    def _enum(self, writer: Any, reader: Any, column: int) -> None:
        """Writer's symbols by index -> the reader's; -1 where it has neither it nor a default."""
        known = {symbol: index for index, symbol in enumerate(reader["symbols"] if reader else ())}
        other = known.get(reader.get("default"), -1) if reader else 0
        self._op(kernel.ENUM, column, len(self._enums), len(writer["symbols"]))
        self._enums += [known.get(symbol, other) for symbol in writer["symbols"]]

    def _default_row(self, writer: Any, reader: Any, dtype: np.dtype[np.void]) -> NDArray[np.int64]:
        """A row that holds the defaults of what the reader has and the writer has not."""
        row = np.zeros(1, dtype)
        self._fill(row, writer, reader, "")
        return row.view(np.int64)

    def _fill(self, row: NDArray[np.void], writer: Any, reader: Any, prefix: str) -> None:
        written = {f["name"]: f["type"] for f in writer["fields"]}
        for f in reader["fields"]:
            name = prefix + f["name"]
            avro = _resolved(f["type"], self._reader_named)
            if f["name"] not in written:
                if "default" not in f:
                    raise self._error(name, "the writer lacks it and it has no default")
                self._put_default(row, name, avro, f["default"])
            elif _kind(avro) == "record":
                inner = _resolved(written[f["name"]], self._writer_named)
                if _kind(inner) == "record":
                    self._fill(row, inner, avro, name + "_")

    def _put_default(self, row: NDArray[np.void], name: str, avro: Any, default: Any) -> None:
        if isinstance(avro, list) and default is None:
            row[f"{name}_null"] = 1
            return
        if isinstance(avro, list):
            avro = _resolved(_not_null(avro), self._reader_named)
        kind = _kind(avro)
        if kind == "record":
            for f in avro["fields"]:
                inner = _resolved(f["type"], self._reader_named)
                value = default.get(f["name"], f.get("default"))
                self._put_default(row, f"{name}_{f['name']}", inner, value)
        elif kind in {"string", "bytes", "array"}:
            if default:
                raise self._error(name, f"columns hold only an empty default of a {kind}")
        else:
            row[name] = avro["symbols"].index(default) if kind == "enum" else default

    def _error(self, name: str, reason: str) -> SchemaError:
        return SchemaError(f"{self._record}.{self._in_item}{name}: {reason}")


def _column(columns: Columns, name: str, reader: Any) -> int:
    return -1 if reader is None else columns.index(name)


def _not_null(union: list[Any]) -> Any:
    return union[1 - union.index("null")]


def _kind(avro: Any) -> str:
    if avro is None:
        return ""
    if isinstance(avro, list):
        return "union"
    return avro if isinstance(avro, str) else str(avro["type"])


def _resolved(avro: Any, named: Named) -> Any:
    """A type without names of others and logical types: str, list, or the definition."""
    while True:
        if isinstance(avro, str) and avro.rpartition(".")[2] in named:
            avro = named[avro.rpartition(".")[2]]
        elif isinstance(avro, dict) and avro["type"] not in {"record", "enum", "array"}:
            avro = avro["type"]
        else:
            return avro


def _width(dtype: np.dtype[np.void]) -> int:
    return dtype.itemsize // 8


def _fewest_bytes(ops: list[list[int]]) -> int:
    """The fewest bytes that these ops read: a union's index alone where it may be null."""
    total, at = 0, 0
    while at < len(ops):
        kind = ops[at][0]
        total += 8 * ops[at][2] if kind == kernel.DOUBLES else 1
        at += 1 + (ops[at][3] if kind == kernel.NULLABLE else 0)
    return total
