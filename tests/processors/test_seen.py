"""What the stage `seen` promises: each market event takes effect once."""

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest

from processors.config import BooksConfig, ProcessorsConfig, SeenConfig
from processors.pipeline import Pipeline
from schemas.events import Event, Funding, MarkPrice, News, Quote, SentimentIndex
from tests.processors.batches import batch, configured, plain, run
from tests.processors.captures import BINANCE, SMALL, capture
from tests.processors.events import at, clock, common, kline, quote, trade

SECOND_US = 1_000_000


def dropped(*events: Event, config: ProcessorsConfig | None = None) -> dict[str, int]:
    """How many events of each kind came again."""
    pipeline = Pipeline()
    pipeline.process(batch([configured(config or ProcessorsConfig()), *events]))
    counts = {name.partition("seen.")[2]: n for name, n in pipeline.counts().items()}
    return {name: n for name, n in counts.items() if name and n}


def sequenced(seconds: float, sequence: int, bid: float) -> Quote:
    return msgspec.structs.replace(quote(seconds, bid, bid + 1), sequence=sequence)


def mark(seconds: float, price: float = 1.0) -> MarkPrice:
    return MarkPrice(**common(seconds, "okx-swap", "BTC-USDT"), mark_price=price)


def funding(seconds: float, rate: float, settled: bool = False) -> Funding:
    return Funding(**common(seconds, "okx-swap", "BTC-USDT"), rate=rate, settled=settled)


def news(seconds: float, title: str, **fields: Any) -> News:
    said: dict[str, Any] = {"source": "s", "news_id": "7", "publisher": "p", "currencies": ["BTC"]}
    times = {"event_time": at(seconds), "receive_time": at(seconds) + 3}
    return News(title=title, **{**times, **said, **fields})


def index(seconds: float, value: float) -> SentimentIndex:
    times = {"event_time": at(seconds), "receive_time": at(seconds) + 3}
    return SentimentIndex(**times, index="fear_greed", value=value, classification="Fear")


@pytest.mark.parametrize(
    "trade_id", ["1", "3735683259", "a9188a0a-82bc-50de-be60-03eedbe3cdd7", "9" * 30, "0", "007"]
)
def test_trade_of_the_same_id_makes_a_bar_once(trade_id: str) -> None:
    events = [trade(0, 10.0, trade_id=trade_id), trade(0.5, 10.0, trade_id=trade_id)]
    assert run([*events, clock(9)])["bars"][0].trade_count == 1
    assert dropped(*events) == {"trades": 1}


def test_trades_are_told_apart_by_venue_and_symbol_and_have_no_identity_without_an_id() -> None:
    events = [
        trade(0, 10.0, trade_id="1"),
        trade(0, 10.0, trade_id="1", venue="okx-spot"),
        trade(0, 10.0, trade_id="1", symbol="ETH-USDT"),
        trade(0, 10.0, trade_id="01"),
        trade(0, 10.0),
        trade(0, 10.0),
    ]
    assert dropped(*events) == {}


def test_trade_is_remembered_for_as_many_trades_as_configured() -> None:
    config = ProcessorsConfig(seen=SeenConfig(trades=100))
    events = [trade(0, 10.0, trade_id=str(n)) for n in range(1, 102)]
    assert dropped(*events, events[1], config=config) == {"trades": 1}
    assert dropped(*events, events[0], config=config) == {}


def test_quote_takes_effect_when_its_sequence_is_above_the_newest() -> None:
    events = [sequenced(0, 5, 10.0), sequenced(0.1, 7, 20.0), sequenced(0.2, 5, 10.0)]
    assert run([*events, clock(1)])["reference"][0].price == 20.5
    assert dropped(*events, sequenced(0.3, 7, 20.0)) == {"quotes": 2}


def test_quotes_of_a_venue_that_begins_to_count_anew_take_effect_after_two_seconds() -> None:
    events = [sequenced(0, 500, 10.0), sequenced(1, 1, 20.0), sequenced(2, 2, 30.0)]
    assert run([*events, clock(3)])["reference"][0].price == 30.5
    # Bybit repeats a best bid and ask that stays: it is confirmed.
    assert dropped(sequenced(0, 5, 10.0), sequenced(3, 5, 10.0)) == {}


def test_quote_without_a_sequence_takes_effect_unless_it_is_older_or_the_same() -> None:
    newest = quote(1, 10.0, math.nan)
    assert dropped(newest, quote(0.9, 9.0, 11.0), newest) == {"quotes": 2}
    assert dropped(newest, quote(1, 10.5, 12.0), quote(1.1, 10.5, 12.0)) == {}


def test_one_time_far_ahead_silences_nothing() -> None:
    for make in (lambda s: quote(s, 1.0, 2.0), mark, clock, lambda s: funding(s, 0.1)):
        assert dropped(make(100_000), make(1), make(2)) == {}


def test_clocks_of_two_collectors_are_one() -> None:
    events = [quote(0, 10.0, 12.0), clock(1), clock(1), clock(2), clock(1), clock(2)]
    assert len(run(events)["reference"]) == 2
    assert dropped(*events) == {"clocks": 3}


def test_closed_kline_comes_once_and_its_correction_too() -> None:
    one, other = kline(0, "1m", 100.0), kline(0, "1m", 101.0)
    assert dropped(one, other, one, other, kline(0, "5m", 100.0)) == {"klines": 2}
    still_open = kline(0, "1m", 100.0, closed=False)
    assert dropped(still_open, still_open) == {}


def test_mark_price_and_funding_take_effect_when_they_are_newer() -> None:
    assert dropped(mark(1), mark(1, 2.0), mark(0.5), mark(2)) == {"mark_prices": 2}
    assert dropped(funding(1, 0.1), funding(1, 0.2), funding(2, 0.1)) == {"funding_rates": 1}


def test_settled_funding_rates_come_in_any_order_and_each_once() -> None:
    past = [funding(seconds, 0.1, settled=True) for seconds in (8, 4, 0)]
    assert dropped(funding(9, 0.1), *past, *past) == {"funding_rates": 3}


def test_headline_comes_once_and_each_edit_of_it() -> None:
    first = news(0, "up")
    again = msgspec.structs.replace(first, receive_time=first.receive_time + 30 * SECOND_US)
    edits = [news(0, "down"), news(0, "up", votes_positive=1), news(0, "up", currencies=["ETH"])]
    assert dropped(first, again, *edits, first, *edits) == {"news": 5}


def test_index_has_a_value_for_each_day() -> None:
    assert dropped(index(0, 40.0), index(0, 40.0), index(86_400, 40.0)) == {"index_values": 1}


def two_collectors(events: Sequence[Any], lag_us: int, first_ends: int, second_begins: int) -> Any:
    """A tape to which a second collector writes too: each event again, later by its lag."""
    one = [(event.receive_time, event) for event in events if event.receive_time < first_ends]
    two = [
        (time, msgspec.structs.replace(event, receive_time=time))
        for event in events
        if (time := event.receive_time + lag_us) >= second_begins
    ]
    return [event for _, event in heapq.merge(one, two, key=lambda item: item[0])]


def said(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """What derived events say, but for which input they came of."""
    unsaid = {"origin", "seq", "receive_time"}
    return [
        {name: repr(getattr(row, name)) for name in row.__struct_fields__ if name not in unsaid}
        for row in rows
    ]


@pytest.mark.parametrize("lag_us", [0, 40_000, 1_500_000])
@pytest.mark.parametrize("names", [BINANCE, SMALL[:1], SMALL[3:4]], ids=lambda names: names[0])
def test_two_collectors_derive_what_one_does(names: tuple[str, ...], lag_us: int) -> None:
    events: list[Any] = capture(*names, most=12_000)
    begin, end = events[0].receive_time, events[-1].receive_time
    config = ProcessorsConfig(books=BooksConfig(emit_interval_ms=0))
    alone = plain(Pipeline().process(batch([configured(config), *events])))
    # The second joins after a quarter; the first is killed half-way.
    written = two_collectors(events, lag_us, (begin + end) // 2, begin + (end - begin) // 4)
    pipeline = Pipeline()
    both = plain(pipeline.process(batch([configured(config), *written])))
    assert pipeline.counts()["books.gaps"] == 0
    assert pipeline.counts()["seen.trades"] > 0
    for topic in ("bars", "books", "reference"):
        assert said(both[topic]) == said(alone[topic])
