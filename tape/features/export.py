"""The training frame: vectors of features, by the same code that a worker runs, as a table."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from processors.config import VERSION, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue, rows
from schemas.columns import Batch, Rows
from schemas.decode import Decoder
from schemas.events import Configured
from streams.decoding import BatchDecoder
from streams.replay import Source

_RECORD = "FeatureVector"
_TOPIC = "features"
_HEAD = 9
"""Fields of the record before its features."""
_CONFIGURED = catalogue.RECORDS.index("Configured")
_PRICE_AGE_US = 2_000_000
"""The reference price comes with every pulse that has one: an older one is of another time."""
NAMES = tuple(field["name"] for field in catalogue.schema(_RECORD)["fields"][_HEAD:])
FEATURE_SET: str = catalogue.schema(_RECORD)["feature_set"]

Progress = Callable[[int], None]
Prices = dict[str, tuple[int, float]]
"""By symbol the event time and the price of its newest reference price."""


def schema() -> pa.Schema:
    """Columns of the frame: what a vector is of, the reference price then, and the features."""
    head = [
        ("event_time", pa.int64()), ("symbol", pa.string()), ("venue", pa.string()),
        ("origin_partition", pa.int64()), ("origin_offset", pa.int64()), ("seq", pa.int64()),
        ("feature_set", pa.string()), ("stale", pa.int64()), ("fallback", pa.int64()),
        ("price", pa.float64()),
    ]  # fmt: skip
    fields = [*head, *((name, pa.float64()) for name in NAMES)]
    return pa.schema(fields, metadata={"feature_set": FEATURE_SET})


def derived(
    source: Source,
    partition: int,
    on_progress: Progress = lambda events: None,
    anew: ProcessorsConfig | None = None,
) -> Iterator[pa.Table]:
    """The vectors of a partition of the tape, derived from its beginning, with their prices.

    A price is the symbol's newest reference price, of the vector's origin or at most two seconds
    before it. Under the configurations that the tape has, unless `anew` is given, which then holds
    throughout.
    StoreError when the beginning is neither on Kafka nor in the archive, VersionMismatch where
    the tape asks for another version of the processors.
    """
    pipeline = Pipeline()
    if anew is not None:
        pipeline.process(_configured(source, partition, anew))
    decoder = BatchDecoder(catalogue.TAPE, source.ids)
    prices: Prices = {}
    for records in source.read(catalogue.TAPE, partition, None):
        batch = decoder.decode(partition, records)
        found = {
            made.topic: made
            for made in pipeline.process(batch if anew is None else _unconfigured(batch))
        }
        vectors = found.get(_TOPIC)
        if vectors is None:
            _follow(found.get("reference"), prices)
        else:
            yield _table(
                vectors.table, vectors.text, _prices(vectors, found.get("reference"), prices)
            )
        on_progress(len(batch))


def _configured(source: Source, partition: int, config: ProcessorsConfig) -> Batch:
    """A batch of one event that puts this configuration into force."""
    event = Configured(
        event_time=0,
        receive_time=0,
        version=VERSION,
        hash=config.hash(),
        configuration=config.canonical_json(),
    )
    value = rows.encode(event, source.ids.id(catalogue.TAPE, "Configured"))
    zero = np.zeros(1, np.int64)
    return Decoder(source.ids.writers).decode(
        catalogue.TAPE, partition, np.frombuffer(value, np.uint8), zero, zero + len(value),
        zero - 1, zero,
    )  # fmt: skip


def _unconfigured(batch: Batch) -> Batch:
    """The batch without the tape's own configurations."""
    kept = batch.kind != _CONFIGURED
    return replace(
        batch,
        offsets=batch.offsets[kept],
        timestamps_ms=batch.timestamps_ms[kept],
        kind=batch.kind[kept],
        row=batch.row[kept],
    )


def recorded(source: Source, partition: int) -> Iterator[pa.Table]:
    """The vectors that workers wrote to the topic, each once; without the price, which is null."""
    decoder = BatchDecoder(_TOPIC, source.ids)
    last = (-1, -1)
    for records in source.read(_TOPIC, partition, None):
        batch = decoder.decode(partition, records)
        table = batch.tables.get(_RECORD)
        if table is None:
            continue
        ids = list(zip(table["origin_offset"].tolist(), table["seq"].tolist(), strict=True))
        new = np.zeros(len(ids), np.bool_)
        for at, id_ in enumerate(ids):
            new[at], last = id_ > last, max(last, id_)
        if new.any():
            yield _table(table[new], batch.text, np.full(int(new.sum()), np.nan))


def _prices(vectors: Rows, reference: Rows | None, prices: Prices) -> Any:
    """The price that goes with each vector, NaN: none; `prices` goes on to the batch's end."""
    table = vectors.table
    origins, times = table["origin_offset"].tolist(), table["event_time"].tolist()
    symbols = _words(table, vectors.text, "symbol")
    found = np.full(len(origins), np.nan)

    def take(at: int) -> None:
        known = prices.get(symbols[at])
        if known is not None and times[at] - known[0] <= _PRICE_AGE_US:
            found[at] = known[1]

    at = 0
    for origin, symbol, price in _reference(reference):
        while at < len(origins) and origins[at] < origin:
            take(at)
            at += 1
        prices[symbol] = price
    for rest in range(at, len(origins)):
        take(rest)
    return found


def _follow(reference: Rows | None, prices: Prices) -> None:
    for _, symbol, price in _reference(reference):
        prices[symbol] = price


def _reference(reference: Rows | None) -> Iterator[tuple[int, str, tuple[int, float]]]:
    """Origin, symbol, and time and price, of each reference price of a batch."""
    if reference is not None:
        table = reference.table
        prices = zip(table["event_time"].tolist(), table["price"].tolist(), strict=True)
        symbols = _words(table, reference.text, "symbol")
        yield from zip(table["origin_offset"].tolist(), symbols, prices, strict=True)


def _table(table: Any, text: Any, prices: Any) -> pa.Table:
    columns: list[Any] = [
        pa.array(table["event_time"]),
        pa.array(_words(table, text, "symbol"), pa.string()),
        pa.array(_words(table, text, "venue"), pa.string()),
        *(pa.array(table[name]) for name in ("origin_partition", "origin_offset", "seq")),
        pa.array(_words(table, text, "feature_set"), pa.string()),
        pa.array(table["stale"]),
        pa.array(table["fallback"]),
        pa.array(prices, mask=np.isnan(prices)),
        *(pa.array(table[name], mask=table[f"{name}_null"] != 0) for name in NAMES),
    ]
    return pa.table(columns, schema=schema())


def _words(table: Any, text: Any, name: str) -> list[str]:
    """A column of names, of which there are few."""
    known: dict[tuple[int, int], str] = {}
    spans = zip(table[f"{name}_start"].tolist(), table[f"{name}_length"].tolist(), strict=True)
    found = []
    for start, length in spans:
        if (start, length) not in known:
            known[start, length] = bytes(text[start : start + length]).decode()
        found.append(known[start, length])
    return found
