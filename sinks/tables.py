"""Which tables there are: the one mapping from the catalogue's records to columns."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from schemas import catalogue

Kind = Literal["integer", "bigint", "float", "boolean", "time", "text", "bytes", "enum"]

SQL_TYPES: dict[Kind, str] = {
    "integer": "integer",
    "bigint": "bigint",
    "float": "double precision",
    "boolean": "boolean",
    "time": "timestamptz",
    "text": "text",
    "bytes": "bytea",
    "enum": "text",
}

# Record of `tape` -> table; a record that is not named here gets its name in snake case.
TABLE_NAMES = {
    "Trade": "trades",
    "Quote": "quotes",
    "Kline": "klines",
    "MarkPrice": "mark_prices",
    "Instrument": "instruments",
    "OrderReport": "order_reports",
    "Command": "commands",
    "ModelPromoted": "models_promoted",
    "RiskBudget": "risk_budgets",
}

# Raw books are stored as the derived `books`, and are whole in the archive; pulses say nothing.
NOT_STORED = frozenset({"BookSnapshot", "BookDelta", "Clock"})

# Of these only the first event of an interval per venue and symbol is stored.
SAMPLED = frozenset({"Quote"})

# Of these there are few; their chunks cover more time.
SPARSE = frozenset(
    {
        "Command", "Configured", "FeedStatus", "Funding", "Instrument", "ModelPromoted", "News",
        "OrderReport", "RiskBudget", "SentimentIndex", "VenueClock",
    }
)  # fmt: skip

TIME = "event_time"

# The names of the columns that an input event's id is stored in.
INPUT_ID = ("tape_partition", "tape_offset")
DERIVED_ID = ("origin_partition", "origin_offset", "seq")

# Leading columns of the index that queries by time use, if the record has them.
_QUERIED_BY = ("venue", "symbol", "interval")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    `field` is the column's name in the batch's table (without `_start` and the like); for
    the fields of records in an array it is the array's field, and `item` theirs.
    """

    name: str
    kind: Kind
    field: str
    item: str = ""
    array: bool = False
    nullable: bool = False
    item_nullable: bool = False
    symbols: tuple[str, ...] = ()
    doc: str = ""
    default: str | None = None
    """SQL literal that earlier rows get when the column is added; None: the field has none."""

    @property
    def sql_type(self) -> str:
        """The PostgreSQL type."""
        return SQL_TYPES[self.kind] + ("[]" if self.array else "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: where its rows come from and what its columns are, in their order."""

    name: str
    topic: str
    record: str
    columns: tuple[Column, ...]
    id_columns: tuple[str, ...]
    doc: str

    @property
    def derived(self) -> bool:
        """Whether its rows are derived events, whose id is their origin and seq."""
        return self.id_columns == DERIVED_ID

    @property
    def sampled(self) -> bool:
        """Whether only the first event of an interval is stored."""
        return self.record in SAMPLED

    @property
    def sparse(self) -> bool:
        """Whether its events are few."""
        return self.record in SPARSE

    @property
    def once_for_all(self) -> bool:
        """Whether its events are global: on every partition, stored from partition 0 only."""
        return not self.derived and all(column.name != "symbol" for column in self.columns)

    @property
    def query_columns(self) -> tuple[str, ...]:
        """Leading columns of the index for queries by time."""
        names = {column.name for column in self.columns}
        return tuple(name for name in _QUERIED_BY if name in names)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _literal(kind: Kind, default: Any) -> str | None:
    if default is None:
        return "NULL"
    if kind == "boolean":
        return "true" if default else "false"
    if kind in {"text", "enum"}:
        return "'" + str(default).replace("'", "''") + "'"
    if kind == "time":
        return f"timestamptz 'epoch' + {int(default)} * interval '1 microsecond'"
    if kind == "float":
        return f"'{float(default)!r}'"
    return None if kind == "bytes" else str(int(default))


def _kind(avro: Any) -> tuple[Kind, tuple[str, ...]]:
    """The kind of a field that is neither an array nor a record, and an enum's symbols."""
    name = avro if isinstance(avro, str) else avro["type"]
    if name == "enum":
        return "enum", tuple(avro["symbols"])
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-micros":
        return "time", ()
    kinds: dict[str, Kind] = {
        "int": "integer",
        "long": "bigint",
        "double": "float",
        "float": "float",
        "boolean": "boolean",
        "string": "text",
        "bytes": "bytes",
    }
    return kinds[name], ()


def _without_null(avro: Any) -> tuple[Any, bool]:
    if not isinstance(avro, list):
        return avro, False
    (inner,) = (branch for branch in avro if branch != "null")
    return inner, True


def _item_columns(
    field: dict[str, Any], avro: Any, nullable: bool, named: dict[str, Any]
) -> list[Column]:
    """An array of records becomes one array column for each of the record's fields."""
    item, item_nullable = _without_null(named.get(str(avro["items"]), avro["items"]))
    name, doc = field["name"], field.get("doc", "")
    default = None
    if "default" in field:
        default = "NULL" if field["default"] is None else "'{}'"
    if not (isinstance(item, dict) and item["type"] == "record"):
        kind, symbols = _kind(item)
        return [
            Column(name, kind, name, "value", True, nullable, item_nullable, symbols, doc, default)
        ]
    named[item["name"]] = item
    columns = []
    for child in item["fields"]:
        inner, child_nullable = _without_null(named.get(str(child["type"]), child["type"]))
        kind, symbols = _kind(inner)
        text = f"{doc} Each: {child.get('doc', '')}"
        columns.append(
            Column(
                f"{name}_{child['name']}", kind, name, child["name"], True, nullable,
                child_nullable, symbols, text, default,
            )
        )  # fmt: skip
    return columns


def _columns(prefix: str, fields: list[dict[str, Any]], named: dict[str, Any]) -> list[Column]:
    columns: list[Column] = []
    for field in fields:
        inner, nullable = _without_null(field["type"])
        avro = named.get(inner, inner) if isinstance(inner, str) else inner
        kind_name = avro if isinstance(avro, str) else avro["type"]
        name = f"{prefix}_{field['name']}" if prefix else field["name"]
        if isinstance(avro, dict) and kind_name in {"record", "enum"}:
            named[avro["name"]] = avro
        if kind_name == "array":
            columns += _item_columns(field, avro, nullable, named)
        elif kind_name == "record":
            columns += _columns(name, avro["fields"], named)
        else:
            kind, symbols = _kind(avro)
            default = _literal(kind, field["default"]) if "default" in field else None
            columns.append(
                Column(
                    name, kind, name, nullable=nullable, symbols=symbols,
                    doc=field.get("doc", ""), default=default,
                )
            )  # fmt: skip
    return columns


_POSITION = (
    Column("tape_partition", "integer", "", doc="Partition of `tape` that the event is in."),
    Column("tape_offset", "bigint", "", doc="Offset of the event in its partition of `tape`."),
)


def table_of(topic: str, record: str, name: str, schema: dict[str, Any]) -> Table:
    """The table of a record; its columns follow from the Avro schema alone."""
    derived = catalogue.BY_NAME[topic].kind == "derived"
    columns = tuple(_columns("", schema["fields"], {}))
    return Table(
        name=name,
        topic=topic,
        record=record,
        columns=columns if derived else (*_POSITION, *columns),
        id_columns=DERIVED_ID if derived else INPUT_ID,
        doc=schema.get("doc", ""),
    )


def table_name(topic: str, record: str) -> str:
    """The table that a record is stored in: a derived topic's own name, if it has one record."""
    if topic == catalogue.TAPE:
        return TABLE_NAMES.get(record, _snake(record))
    if len(catalogue.BY_NAME[topic].records) == 1:
        return topic
    return f"{topic}_{_snake(record)}"


@cache
def tables() -> tuple[Table, ...]:
    """Every table, in the catalogue's order."""
    return tuple(
        table_of(topic.name, record, table_name(topic.name, record), catalogue.schema(record))
        for topic in catalogue.TOPICS
        if topic.kind in {"input", "derived"}
        for record in topic.records
        if record not in NOT_STORED
    )


def topics() -> tuple[str, ...]:
    """The logical topics that tables are made from, in the catalogue's order."""
    return tuple(dict.fromkeys(table.topic for table in tables()))
