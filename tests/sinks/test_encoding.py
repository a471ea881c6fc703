"""What PostgreSQL cannot hold is refused with the reason; the rows beside it are stored."""

from typing import Any

import numpy as np
import pytest

from sinks.encoding import END_TIME_US, FIRST_TIME_US
from sinks.rows import PartitionRows
from sinks.sampling import Sampler
from tests.sinks.batches import Json, batch


def trade(**changed: Any) -> Json:
    event: Json = {
        "venue": "okx-spot", "symbol": "BTC-USDT", "event_time": 1, "receive_time": 2,
        "trade_id": "7", "price": 1.5, "quantity": 2.0, "aggressor_side": "BUY",
        "kind": "MARKET", "count": 1, "backfilled": False,
    }  # fmt: skip
    return event | changed


def quote(symbol: str, time: int = 1) -> Json:
    zeros = dict.fromkeys(("bid_price", "bid_quantity", "ask_price", "ask_quantity"), 0.0)
    times = {"event_time": time, "receive_time": 2}
    return {"venue": "okx-spot", "symbol": symbol, "sequence": 0} | times | zeros


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"trade_id": "a\0b"}, "trade_id: text with a NUL"),
        ({"event_time": END_TIME_US}, "event_time: a time outside"),
        ({"receive_time": FIRST_TIME_US - 1}, "receive_time: a time outside"),
        ({"symbol": "é" * 129}, "symbol: text of more than 256 bytes"),
    ],
)
def test_row_that_cannot_be_stored_is_refused_alone(changed: Json, reason: str) -> None:
    found = [("Trade", trade()), ("Trade", trade(**changed)), ("Trade", trade(trade_id="é€𝄞"))]
    (rows,), refused = PartitionRows("tape", 0, Sampler(0)).process(batch("tape", 0, found, 40))
    assert [one.index for one in refused] == [1]
    assert refused[0].reason.startswith(reason)
    assert rows.ids[:, 0].tolist() == [40, 42]
    assert len(rows.encoded) == 2


@pytest.mark.parametrize("symbol", ["a\0b", "x" * 300])
def test_quote_that_cannot_be_stored_leaves_no_sampling_state(symbol: str) -> None:
    state = PartitionRows("tape", 0, Sampler(1_000_000))
    found = [("Quote", quote(symbol)), ("Quote", quote("BTC-USDT")), ("Quote", quote(symbol))]
    (rows,), refused = state.process(batch("tape", 0, found))
    assert [one.index for one in refused] == [0, 2]
    assert rows.ids[:, 0].tolist() == [1]
    assert set(state.sampler.last) == {("okx-spot", "BTC-USDT")}


def test_quote_with_impossible_time_is_refused_and_not_sampled() -> None:
    state = PartitionRows("tape", 0, Sampler(1_000_000))
    found = [("Quote", quote("BTC-USDT", END_TIME_US)), ("Quote", quote("BTC-USDT", 5))]
    (rows,), refused = state.process(batch("tape", 0, found))
    assert [one.index for one in refused] == [0]
    assert rows.times.tolist() == [5]


def test_global_events_are_stored_from_partition_zero_only() -> None:
    status = {
        "venue": "okx-spot", "event_time": 1, "receive_time": 1, "status": "LOST",
        "channel": "trades", "expected_sequence": None, "received_sequence": None, "reason": "",
    }  # fmt: skip
    index = {"event_time": 1, "receive_time": 1, "index": "f", "value": 1.0, "classification": ""}
    found = [
        ("FeedStatus", status | {"symbol": "*"}),
        ("FeedStatus", status | {"symbol": "BTC-USDT"}),
        ("SentimentIndex", index),
    ]
    stored = [
        {rows.table.name: rows.ids[:, 0].tolist() for rows in made}
        for partition in (0, 1)
        for made, _ in [
            PartitionRows("tape", partition, Sampler(0)).process(batch("tape", partition, found))
        ]
    ]
    assert stored == [
        {"feed_status": [0, 1], "sentiment_index": [2]},
        {"feed_status": [1]},
    ]


def reference(offset: int, seq: int) -> tuple[str, Json]:
    return "ReferencePrice", {
        "origin": {"topic": "tape", "partition": 3, "offset": offset}, "seq": seq,
        "symbol": "BTC-USDT", "event_time": 1, "receive_time": 1, "price": float("nan"),
        "dispersion_bps": 0.0, "venues": [{"venue": "okx-spot", "mid_price": 1.0}], "excluded": [],
    }  # fmt: skip


def test_repeats_of_derived_events_are_dropped_across_batches() -> None:
    ids = [(5, 0), (5, 1), (7, 0), (5, 1), (7, 0), (7, 1), (9, 0)]
    for cut in range(len(ids) + 1):
        state = PartitionRows("reference", 3, Sampler(0))
        stored = []
        for part in (ids[:cut], ids[cut:]):
            made, _ = state.process(batch("reference", 3, [reference(*one) for one in part]))
            stored += [tuple(pair) for rows in made for pair in rows.ids.tolist()]
        assert stored == [(5, 0), (5, 1), (7, 0), (7, 1), (9, 0)]
        assert (state.last_id, state.repeats) == ((9, 0), 2)


def test_undecodable_records_are_refused_and_take_no_row() -> None:
    made = batch("reference", 3, [reference(5, 0), reference(6, 0)])
    made.kind = np.array([-1, made.kind[1]])
    made.refused = [(0, "truncated")]
    (rows,), refused = PartitionRows("reference", 3, Sampler(0)).process(made)
    assert rows.ids.tolist() == [[6, 0]]
    assert [(one.index, one.reason) for one in refused] == [(0, "truncated")]
