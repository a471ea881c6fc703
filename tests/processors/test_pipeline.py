"""What the pipeline promises beyond its stages: configuration, state, totals."""

import msgspec
import pytest

from processors.config import (
    BarsConfig,
    BooksConfig,
    ProcessorsConfig,
    ReferenceConfig,
    VersionMismatch,
)
from processors.pipeline import Pipeline
from schemas.errors import ConfigError, SchemaError
from schemas.events import Event
from tests.processors.batches import batch, configured, plain, values
from tests.processors.events import clock, delta, quote, snapshot, trade

BIDS, ASKS = [(99.0, 1.0), (98.0, 2.0)], [(101.0, 1.0), (102.0, 2.0)]


def test_nothing_is_processed_before_the_first_configuration() -> None:
    pipeline = Pipeline()
    assert pipeline.configuration_hash == ""
    assert pipeline.process(batch([trade(0, 1.0), trade(1, 2.0), clock(9)])) == []
    assert pipeline.counts()["pipeline.unconfigured"] == 3
    assert pipeline.counts()["bars.trades"] == 0


def test_configuration_takes_effect_at_its_offset() -> None:
    one, two = (ProcessorsConfig(books=BooksConfig(levels=n)) for n in (1, 2))
    pipeline = Pipeline()
    found = plain(
        pipeline.process(
            batch(
                [
                    configured(one),
                    snapshot(0, 1, BIDS, ASKS),
                    configured(two),
                    delta(1, 1, 2, [(97.0, 1.0)], []),
                ]
            )
        )
    )["books"]
    assert [(book.origin.offset, len(book.bids)) for book in found] == [(1, 1), (3, 2)]
    assert pipeline.configuration_hash == two.hash()


def test_emissions_of_both_sides_of_a_switch_come_as_one() -> None:
    events: list[Event] = [configured(ProcessorsConfig())]
    for n, name in enumerate(("A", "Ä-USDT", "B")):
        events += [
            snapshot(n, 1, BIDS, ASKS, symbol=name),
            quote(n, 1.0, 2.0, venue="okx-spot", symbol=name),
            clock(n),
            configured(ProcessorsConfig(reference=ReferenceConfig(stale_after_ms=n + 1))),
        ]
    together = Pipeline().process(batch(events))
    alone = Pipeline()
    single = [
        rows
        for offset, event in enumerate(events)
        for rows in alone.process(batch([event], first_offset=offset))
    ]
    assert len({rows.topic for rows in together}) == len(together)
    assert values(together) == values(single)


def test_books_and_open_bars_go_on_through_a_switch() -> None:
    one = ProcessorsConfig(bars=BarsConfig(intervals=("1s", "1m")))
    two = ProcessorsConfig(bars=BarsConfig(intervals=("1m", "5m")), books=BooksConfig(levels=1))
    found = plain(
        Pipeline().process(
            batch(
                [
                    configured(one),
                    snapshot(0, 1, BIDS, ASKS),
                    trade(0, 10.0),
                    configured(two),
                    trade(1, 11.0),
                    delta(1, 1, 2, [(97.0, 1.0)], []),
                    configured(one),
                    trade(2, 12.0),
                    clock(400),
                ]
            )
        )
    )
    assert [book.state for book in found["books"]] == ["LIVE", "LIVE"]
    assert [(bar.interval, bar.trade_count) for bar in found["bars"]] == [("1s", 1), ("1m", 3)]


def test_symbols_that_are_left_out_start_afresh_when_they_come_back() -> None:
    every, only = ProcessorsConfig(), ProcessorsConfig(symbols=("ETH-USDT",))
    pipeline = Pipeline()
    found = plain(
        pipeline.process(
            batch(
                [
                    configured(every),
                    snapshot(0, 1, BIDS, ASKS),
                    configured(only),
                    delta(1, 1, 2, BIDS, []),
                    snapshot(1, 1, BIDS, ASKS, symbol="ETH-USDT"),
                    configured(every),
                    delta(2, 2, 3, BIDS, []),
                    clock(2),
                ]
            )
        )
    )
    assert [(book.symbol, book.sequence) for book in found["books"]] == [
        ("BTC-USDT", 1),
        ("ETH-USDT", 1),
    ]
    assert [price.symbol for price in found["reference"]] == ["ETH-USDT"]
    assert pipeline.counts()["books.snapshots"] == 2
    assert pipeline.counts()["books.deltas_without_book"] == 1


def test_other_version_is_refused_and_nothing_of_its_batch_is_processed() -> None:
    pipeline = Pipeline()
    pipeline.process(batch([configured(ProcessorsConfig())]))
    pipeline.changed()
    newer = msgspec.structs.replace(configured(ProcessorsConfig()), version="999")
    with pytest.raises(VersionMismatch, match=r"offset 5 .* version 999") as caught:
        pipeline.process(batch([trade(0, 1.0), newer], first_offset=4))
    assert (caught.value.partition, caught.value.offset) == (3, 5)
    assert pipeline.counts()["bars.trades"] == 0
    assert pipeline.changed() == set()


@pytest.mark.parametrize("text", ["{", "[]", '{"bars":{"intervals":["7s"]}}', '{"colour":1}'])
def test_configuration_that_cannot_be_followed_is_refused_with_its_offset(text: str) -> None:
    wrong = msgspec.structs.replace(configured(ProcessorsConfig()), configuration=text)
    with pytest.raises(ConfigError, match="offset 7 of partition 3"):
        Pipeline().process(batch([wrong], first_offset=7))


def test_changed_names_each_stage_and_symbol_once() -> None:
    pipeline = Pipeline()
    pipeline.process(batch([configured(ProcessorsConfig()), trade(0, 1.0)]))
    assert pipeline.changed() == {
        ("pipeline", "*"),
        ("bars", "BTC-USDT"),
        ("quality", "BTC-USDT"),
        ("features", "BTC-USDT"),
    }
    assert pipeline.changed() == set()
    pipeline.process(batch([quote(0, 1.0, 2.0, symbol="ETH-USDT")]))
    assert pipeline.changed() == {
        ("pipeline", "*"),
        ("seen", "ETH-USDT"),
        ("books", "ETH-USDT"),
        ("quality", "ETH-USDT"),
        ("reference", "ETH-USDT"),
        ("features", "ETH-USDT"),
    }
    assert pipeline.process(batch([])) == []
    assert pipeline.changed() == set()


def test_state_of_another_layout_or_stage_is_refused() -> None:
    pipeline = Pipeline()
    pipeline.process(batch([configured(ProcessorsConfig()), trade(0, 1.0), snapshot(0, 1, [], [])]))
    for stage, symbol in pipeline.changed():
        state = bytearray(pipeline.snapshot(stage, symbol))
        state[0] += 1
        with pytest.raises(SchemaError, match=r"has layout \d, this version reads \d"):
            Pipeline().restore(stage, symbol, bytes(state))
    with pytest.raises(SchemaError, match="no stage 'tea'"):
        Pipeline().restore("tea", "*", b"")


def test_undecodable_and_unknown_events_are_passed_over() -> None:
    whole = batch([configured(ProcessorsConfig()), trade(0, 1.0), trade(1, 2.0)])
    whole.kind[1] = -1
    pipeline = Pipeline()
    pipeline.process(whole)
    assert pipeline.counts()["bars.trades"] == 1
