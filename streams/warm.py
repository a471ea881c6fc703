"""Compiles the kernels between a record's bytes and its outputs before there is work.

The first time on a machine that takes tens of seconds, later they come from a cache; either
way it must not fall into the first events' latency.
"""

from typing import Any

import numpy as np

from processors.config import VERSION, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue, rows
from schemas.decode import Decoder
from schemas.events import (
    BookDelta,
    BookSnapshot,
    Clock,
    Configured,
    Event,
    FeedStatus,
    Quote,
    Trade,
)
from streams.outputs import outputs_of
from streams.record_batch import parse

_SECOND = 1_000_000
_IDS = {record: number for number, record in enumerate(catalogue.RECORDS, 1)}


def warm_up() -> None:
    """Derive a few made-up events, from bytes to bytes."""
    parse(b"", 0)
    values = [rows.encode(event, _IDS[type(event).__name__]) for event in _events()]
    ends = np.cumsum([len(value) for value in values])
    offsets = np.arange(len(values))
    batch = Decoder({number: catalogue.schema(record) for record, number in _IDS.items()}).decode(
        catalogue.TAPE,
        0,
        np.frombuffer(b"".join(values), np.uint8),
        ends - [len(value) for value in values],
        ends,
        offsets,
        offsets,
    )
    pipeline = Pipeline()
    for emitted in pipeline.process(batch):
        outputs_of(emitted, _IDS[emitted.record])
    for stage, symbol in pipeline.changed():
        pipeline.snapshot(stage, symbol)


def _events() -> list[Event]:
    config = ProcessorsConfig()
    market: dict[str, Any] = {"venue": "binance-spot", "symbol": "BTC-USDT"}
    made: list[Event] = [
        Configured(
            event_time=0,
            receive_time=0,
            version=VERSION,
            hash=config.hash(),
            configuration=config.canonical_json(),
        ),
    ]
    for second in range(3):
        times: dict[str, Any] = {"event_time": second * _SECOND, "receive_time": second * _SECOND}
        levels: dict[str, Any] = {"bids": [(1.0, 1.0 + second)], "asks": [(2.0, 1.0)]}
        if second == 0:
            made.append(BookSnapshot(**market, **times, sequence=0, depth=1, **levels))
        made += [
            BookDelta(**market, **times, previous_sequence=second, sequence=second + 1, **levels),
            Quote(
                **market,
                **times,
                sequence=second,
                bid_price=1.0,
                bid_quantity=1.0,
                ask_price=2.0,
                ask_quantity=1.0,
            ),
            Trade(
                **market,
                **times,
                trade_id=str(second),
                price=1.0,
                quantity=1.0,
                aggressor_side="BUY",
                kind="MARKET",
                count=1,
            ),
            Clock(event_time=(second + 2) * _SECOND, receive_time=(second + 2) * _SECOND),
        ]
    lost: Event = FeedStatus(**market, **times, status="LOST", channel="*", reason="")
    return [*made, lost]
