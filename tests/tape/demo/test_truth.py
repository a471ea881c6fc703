"""A lost, doubled or invented trade is found by comparing the tape with the venues' ledger."""

import json
from pathlib import Path

import pytest

from processors.config import ProcessorsConfig
from schemas.events import Trade
from schemas.registry import Registry
from streams import topics
from streams.config import KafkaConfig
from streams.producer import TapeWriter
from tape.demo.truth import Account, account
from tests.conftest import Stack

WINDOW = 3


def trade(number: int) -> Trade:
    return Trade(
        venue="okx-spot", symbol="BTC-USDT", event_time=number, receive_time=number,
        trade_id=str(number), price=1.0, quantity=1.0, aggressor_side="BUY", kind="MARKET",
        count=1, backfilled=number == 6,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "missing", "unknown", "repeated", "doubled", "reordered"),
    [
        ((3, 4, 5, 6, 7), 0, 0, 0, 0, 0),
        ((3, 4, 6, 7), 1, 0, 0, 0, 0),
        ((3, 4, 5, 5, 6, 7), 0, 0, 1, 0, 0),
        ((3, 4, 5, 6, 7, 3), 0, 0, 1, 1, 0),
        ((3, 4, 5, 6, 7, 99), 0, 1, 0, 0, 0),
        ((3, 5, 4, 6, 7), 0, 0, 0, 0, 1),
        ((3, 4, 5, 7, 6), 0, 0, 0, 0, 0),
    ],
    ids=[
        "as published",
        "lost",
        "repeated",
        "repeated late",
        "invented",
        "reordered",
        "fetched later",
    ],
)
def test_every_difference_is_counted(
    stack: Stack,
    tape_name: str,
    tmp_path: Path,
    written: tuple[int, ...],
    missing: int,
    unknown: int,
    repeated: int,
    doubled: int,
    reordered: int,
) -> None:
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    ids = topics.create_tape(
        kafka, Registry(stack.registry_url), tape_name, 1, ProcessorsConfig()
    ).ids
    writer = TapeWriter(kafka, ids, tape_name, 1)
    for number in written:
        writer.write(trade(number))
    writer.flush()
    ledger = tmp_path / "ledger.jsonl"
    lines = [
        {
            "trades": ["1", "2", "3", "4"],
            "venue": "okx-spot",
            "symbol": "BTC-USDT",
            "written_us": 1,
        },
        {
            "trades": ["5", "6", "7", "8"],
            "venue": "okx-spot",
            "symbol": "BTC-USDT",
            "written_us": 1,
        },
        {"book": 17, "venue": "okx-spot", "symbol": "BTC-USDT", "written_us": 1},
    ]
    ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = account(ledger, kafka, ids, tape_name, 1, WINDOW)
    assert found.published == 5
    assert (len(found.missing), len(found.unknown)) == (missing, unknown)
    assert (found.repeated, found.doubled) == (repeated, doubled)
    assert found.reordered == reordered
    assert found.backfilled == 1
    assert found.complete == (not (missing or unknown or doubled))
    assert found.records["Trade"] == len(written)


def test_a_session_without_trades_proves_nothing() -> None:
    assert not Account().complete
