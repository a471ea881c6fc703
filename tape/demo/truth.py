"""Compares what a simulator's ledger says was traded with what is on the tape."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas import catalogue
from schemas.registry import SchemaIds
from streams import log
from streams.config import KafkaConfig
from streams.decoding import BatchDecoder
from venues.symbols import infer

Instrument = tuple[str, str]
Found = tuple[str, bool]
"""A trade on the tape: its id, and whether it was fetched after a loss."""


@dataclass(slots=True)
class Account:
    """Trades of a session, over all instruments; `records`: events on the tape by record type."""

    published: int = 0
    """Trades that the venues published from the first to the last that is on the tape."""
    missing: list[str] = field(default_factory=list)
    """`venue symbol id` of those that are not on the tape."""
    unknown: list[str] = field(default_factory=list)
    """Those on the tape that no venue published."""
    repeated: int = 0
    """Times that a trade is on the tape again; the first stage drops those."""
    doubled: int = 0
    """Those too far apart for the first stage to remember."""
    reordered: int = 0
    """Trades behind a later one of their instrument, but for those fetched after a loss."""
    backfilled: int = 0
    records: Counter[str] = field(default_factory=Counter)

    @property
    def complete(self) -> bool:
        """Whether each trade takes effect exactly once."""
        return bool(self.published) and not (self.missing or self.unknown or self.doubled)

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able data, with at most some of the names."""
        return {
            "published": self.published,
            "missing": len(self.missing),
            "unknown": len(self.unknown),
            "repeated": self.repeated,
            "doubled": self.doubled,
            "reordered": self.reordered,
            "backfilled": self.backfilled,
            "examples": (self.missing + self.unknown)[:10],
        }


def ledgered(ledger: Path) -> Iterator[tuple[Instrument, list[str], int]]:
    """The ledger's lines of trades: (venue, symbol), ids, when written (µs UTC).

    Of Binance the ids of aggregates, which are what is collected.
    """
    symbols: dict[Instrument, Instrument] = {}
    with ledger.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if "trades" not in entry:
                continue
            named = (entry["venue"], entry["symbol"])
            if named not in symbols:
                symbols[named] = (named[0], infer(*named).symbol)
            yield symbols[named], entry.get("aggregates", entry["trades"]), entry["written_us"]


def published(ledger: Path) -> dict[Instrument, list[str]]:
    """Ids of trades by (venue, symbol), in the order of their publication."""
    found: dict[Instrument, list[str]] = {}
    for instrument, ids, _ in ledgered(ledger):
        found.setdefault(instrument, []).extend(ids)
    return found


def account(
    ledger: Path, kafka: KafkaConfig, ids: SchemaIds, tape: str, partitions: int, window: int
) -> Account:
    """Read the tape and compare; `window`: trades of an instrument that the first stage knows."""
    result = Account()
    on_tape: dict[Instrument, list[Found]] = {}
    for key, trade_id, backfilled in _trades(kafka, ids, tape, partitions, result.records):
        on_tape.setdefault(key, []).append((trade_id, backfilled))
        result.backfilled += backfilled
    for key, ids_published in published(ledger).items():
        _compare(key, ids_published, on_tape.pop(key, []), window, result)
    for (venue, symbol), found in on_tape.items():
        result.unknown += [f"{venue} {symbol} {trade_id}" for trade_id, _ in found]
    return result


def _trades(
    kafka: KafkaConfig, ids: SchemaIds, tape: str, partitions: int, records: Counter[str]
) -> Iterator[tuple[Instrument, str, bool]]:
    decoder = BatchDecoder(catalogue.TAPE, ids)
    for partition in range(partitions):
        for portion in log.read(kafka, tape, catalogue.TAPE, partition, 0, None):
            batch = decoder.decode(partition, portion)
            for record, table in batch.tables.items():
                records[record] += len(table)
            trades = batch.tables["Trade"]
            for row, backfilled in enumerate(trades["backfilled"].tolist()):
                venue, symbol, trade_id = (
                    batch.string("Trade", name, row) for name in ("venue", "symbol", "trade_id")
                )
                yield (venue, symbol), trade_id, bool(backfilled)


def _compare(
    key: Instrument, ids: list[str], found: list[Found], window: int, result: Account
) -> None:
    place: dict[str, int] = {}
    number_of = {trade_id: number for number, trade_id in enumerate(ids)}
    newest = -1
    for number, (trade_id, backfilled) in enumerate(found):
        before = place.get(trade_id)
        if before is not None:
            result.repeated += 1
            result.doubled += number - before > window
        elif not backfilled:
            result.reordered += number_of.get(trade_id, newest) < newest
        place[trade_id] = number
        newest = max(newest, number_of.get(trade_id, -1))
    known = [number for number, trade_id in enumerate(ids) if trade_id in place]
    if not known:
        return
    between = ids[known[0] : known[-1] + 1]
    name = " ".join(key)
    result.published += len(between)
    result.missing += [f"{name} {one}" for one in between if one not in place]
    result.unknown += [f"{name} {one}" for one in place.keys() - number_of.keys()]
