"""Numbered trades: each once and in order, holes are seen, held for, filled or told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Trade
from tests.venues.live.trades import ids, trade
from venues.live.duplicates import HOLD_US, QUIET_US, REORDER_US
from venues.live.numbered import UNREAL_HOLES, NumberedTrades


def receive(order: NumberedTrades, *trades: Trade) -> list[str]:
    """What is written for trades of a stream."""
    out: list[Trade] = []
    for each in trades:
        out += [each] if order.follows(each) else order.take(each)
    return ids(out)


def test_trades_that_follow_go_straight_through() -> None:
    order = NumberedTrades()
    assert receive(order, trade(7), trade(8), trade(9)) == ["7", "8", "9"]
    assert order.idle
    assert order.newest == 9


def test_a_repeated_trade_is_left_out_and_counted() -> None:
    order = NumberedTrades()
    assert receive(order, trade(7), trade(8), trade(7), trade(8), trade(9)) == ["7", "8", "9"]
    assert order.duplicates == 2


def test_an_overtaken_trade_is_put_back_in_order() -> None:
    order = NumberedTrades()
    assert receive(order, trade(1), trade(3), trade(4)) == ["1"]
    assert receive(order, trade(2)) == ["2", "3", "4"]
    assert order.idle


def test_a_hole_is_asked_for_after_a_moment_and_filled_by_the_answer() -> None:
    order = NumberedTrades()
    receive(order, trade(1), trade(5, receive_time=1_000_000))
    assert not order.wants(1_000_000)
    assert order.wants(1_000_000 + REORDER_US)
    assert order.ask() == ("1", 5)
    answer = [trade(n, backfilled=True) for n in (1, 2, 3, 4, 5, 6)]
    written = order.fetched(answer)
    assert ids(written) == ["2", "3", "4", "5"]
    assert [each.backfilled for each in written] == [True, True, True, False]
    assert order.complete
    assert order.settle() == ([], [])
    assert receive(order, trade(6)) == ["6"]


def test_trades_wait_no_longer_than_the_bound_and_what_comes_later_still_goes_out() -> None:
    order = NumberedTrades()
    receive(order, trade(1), trade(3, receive_time=10))
    assert order.expired(9 + HOLD_US) == []
    assert ids(order.expired(10 + HOLD_US)) == ["3"]
    assert receive(order, trade(4)) == ["4"]
    assert ids(order.fetched([trade(2)])) == ["2"]
    assert receive(order, trade(2)) == []


def test_what_the_venue_cannot_give_is_named() -> None:
    order = NumberedTrades()
    receive(order, trade(1), trade(5))
    order.ask()
    assert order.fetched([trade(3)]) == []
    held, lacking = order.settle()
    assert ids(held) == ["3", "5"]
    assert [(each.first, each.last) for each in lacking] == [(2, 2), (4, 4)]


def test_a_hole_that_opens_while_another_is_asked_for_is_not_given_up_with_it() -> None:
    order = NumberedTrades()
    receive(order, trade(1), trade(3))
    order.ask()
    receive(order, trade(7))
    held, lacking = order.settle()
    assert (held, lacking[0].first, len(lacking)) == ([], 2, 1)
    assert order.wants(7 + REORDER_US + QUIET_US)
    assert order.ask()[0] == "3"


def test_after_a_loss_a_trade_that_follows_shows_that_nothing_was_missed() -> None:
    order = NumberedTrades()
    receive(order, trade(1))
    order.lost()
    order.resumed(1_000)
    assert receive(order, trade(2)) == ["2"]
    assert not order.wants(1_000 + QUIET_US)
    assert order.idle


def test_after_a_loss_without_a_trade_the_venue_is_asked() -> None:
    order = NumberedTrades()
    receive(order, trade(1))
    order.lost()
    assert not order.wants(10**9)
    order.resumed(1_000)
    assert order.wants(1_000 + QUIET_US)
    order.ask()
    assert ids(order.fetched([trade(2), trade(3)])) == ["2", "3"]
    assert not order.complete
    order.settle()
    assert order.idle
    assert receive(order, trade(3), trade(4)) == ["4"]


def test_answers_bring_nothing_that_the_stream_brings_itself() -> None:
    order = NumberedTrades()
    receive(order, trade(1), trade(3))
    order.ask()
    assert ids(order.fetched([trade(2), trade(3), trade(4)])) == ["2", "3"]
    assert receive(order, trade(4)) == ["4"]


def test_a_loss_while_the_venue_is_asked_is_not_forgotten() -> None:
    order = NumberedTrades()
    receive(order, trade(1))
    order.lost()
    order.resumed(0)
    order.ask()
    order.lost()
    order.settle()
    assert not order.idle


def test_numbers_that_begin_again_are_new_trades() -> None:
    order = NumberedTrades()
    receive(order, trade(1_000_000, time_us=10))
    assert receive(order, trade(1, time_us=11), trade(2, time_us=12)) == ["1", "2"]


def test_aggregates_span_the_ids_of_their_fills() -> None:
    order = NumberedTrades(spans=True)
    assert receive(order, trade(10), trade(13, count=3), trade(14)) == ["10", "13", "14"]
    assert receive(order, trade(17, count=2)) == []
    assert ids(order.fetched([trade(14), trade(15), trade(16)])) == ["15", "17"]


def test_it_goes_on_after_what_the_tape_holds_and_sees_the_hole_there() -> None:
    order = NumberedTrades()
    order.seed([trade(1), trade(2), trade(5)])
    assert order.ask()[0] == "2"
    assert ids(order.fetched([trade(n) for n in range(1, 9)])) == ["3", "4", "6", "7", "8"]


def test_a_venue_that_never_fills_small_holes_does_not_number_without_holes() -> None:
    order = NumberedTrades()
    for number in range(1, 2 * UNREAL_HOLES + 2, 2):
        assert order.contiguous
        receive(order, trade(number))
        order.ask()
        order.settle()
    assert not order.contiguous


@settings(max_examples=150)
@given(st.data())
def test_whatever_is_repeated_reordered_or_lost_each_comes_once_and_in_order(
    data: st.DataObject,
) -> None:
    count = data.draw(st.integers(2, 30))
    stream = [1] + [n for n in range(2, count) if data.draw(st.booleans())] + [count]
    shifts = {n: data.draw(st.floats(0, 3)) for n in stream[1:]} | {1: -9.0}
    stream.sort(key=lambda n: n + shifts[n])
    stream += data.draw(st.lists(st.sampled_from(stream), max_size=5))
    order = NumberedTrades()
    out = receive(order, *(trade(n) for n in stream))
    while order.wants(10**9):
        after, _ = order.ask()
        answer = [trade(n) for n in range(int(after), min(int(after) + 7, count + 1))]
        out += ids(order.fetched(answer))
        if order.complete:
            out += ids(order.settle()[0])
    assert out == [str(n) for n in range(1, count + 1)]


@pytest.mark.parametrize("text", ["x", "", "1.5"])
def test_an_id_that_is_no_number_is_an_error_for_the_edge(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        NumberedTrades().follows(trade(text))


def test_what_a_tape_read_late_lacks_before_our_first_trade_is_missing() -> None:
    order = NumberedTrades()
    receive(order, trade(10), trade(11))
    order.recall([trade(5), trade(6), trade(10)])
    assert order.wants(REORDER_US)
    assert order.ask()[0] == "6"
    assert ids(order.fetched([trade(n) for n in range(7, 13)])) == ["7", "8", "9"]
    assert order.idle
