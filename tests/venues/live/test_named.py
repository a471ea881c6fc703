"""Named trades: each once; after a loss they wait for what was missed."""

from schemas.events import Trade
from tests.venues.live.trades import ids, trade
from venues.live.duplicates import HOLD_US, QUIET_US, REORDER_US
from venues.live.named import LOOK_US, REMEMBER, YOUNG_US, NamedTrades


def receive(order: NamedTrades, *trades: Trade) -> list[str]:
    out: list[Trade] = []
    for each in trades:
        out += [each] if order.follows(each) else order.take(each)
    return ids(out)


def test_repeated_names_are_left_out_and_counted() -> None:
    order = NamedTrades()
    assert receive(order, trade("a", 1), trade("b", 2), trade("a", 1)) == ["a", "b"]
    assert order.duplicates == 1


def test_after_a_loss_live_trades_wait_for_those_that_were_missed() -> None:
    order = NamedTrades()
    receive(order, trade("a", 1))
    order.lost()
    order.resumed(1)
    assert receive(order, trade("d", 4, receive_time=10)) == []
    assert not order.wants(10)
    assert order.wants(10 + REORDER_US)
    assert order.ask() == ("", 1)
    answer = [trade("e", 5), trade("d", 4), trade("c", 2), trade("b", 2), trade("a", 1)]
    assert ids(order.fetched(answer)) == ["b", "c"]
    assert ids(order.settle()[0]) == ["d"]
    assert order.idle
    assert receive(order, trade("e", 5)) == ["e"]


def test_a_quiet_market_is_asked_too() -> None:
    order = NamedTrades()
    receive(order, trade("a", 1))
    order.lost()
    assert not order.wants(10**9)
    order.resumed(5)
    assert order.wants(5 + QUIET_US)
    assert ids(order.fetched([trade("b", 2)])) == ["b"]


def test_trades_wait_no_longer_than_the_bound() -> None:
    order = NamedTrades()
    order.lost()
    order.resumed(1)
    receive(order, trade("a", 1, receive_time=10))
    assert ids(order.expired(10 + HOLD_US)) == ["a"]
    assert receive(order, trade("b", 2)) == ["b"]
    assert order.wants(10 + HOLD_US + QUIET_US)


def test_what_was_before_the_loss_is_not_written_again_when_its_name_is_forgotten() -> None:
    order = NamedTrades()
    receive(order, *(trade(f"n{n}", n + 1) for n in range(REMEMBER + 5)))
    order.lost()
    assert order.fetched([trade("n1", 2)]) == []


def test_it_goes_on_after_what_the_tape_holds() -> None:
    order = NamedTrades()
    order.seed([trade("b", 2), trade("a", 1)])
    order.resumed(1)
    assert ids(order.fetched([trade("c", 3), trade("b", 2)])) == ["c"]


def test_a_trade_that_the_stream_passed_over_is_found_by_an_answer() -> None:
    order, second = NamedTrades(), 1_000_000
    receive(order, trade("b", 2 * second), trade("d", 4 * second), trade("e", 6 * second))
    times = {"f": 6, "e": 6, "d": 4, "c": 3, "b": 2, "a": 1}
    answer = [trade(name, at * second) for name, at in times.items()]
    assert ids(order.overlooked(answer, 0)) == ["c"]
    assert ids(order.overlooked(answer, 0)) == []
    assert receive(order, trade("f", 6 * second), trade("c", 3 * second)) == ["f"]


def test_an_answer_that_does_not_go_back_far_enough_is_said() -> None:
    order = NamedTrades()
    receive(order, trade("a", 1_000_000))
    order.lost()
    order.resumed(1)
    order.ask()
    assert ids(order.fetched([trade("z", 9_000_000), trade("y", 8_500_000)])) == ["y", "z"]
    _, (lack,) = order.settle()
    assert "7.5 s" in lack.reason


def test_what_a_tape_read_late_lacks_before_our_first_trade_is_overlooked() -> None:
    order, second = NamedTrades(), 1_000_000
    receive(order, trade("d", 4 * second), trade("f", 6 * second))
    order.recall([trade("a", 1 * second), trade("b", 2 * second), trade("d", 4 * second)])
    answer = [trade(name, at * second) for name, at in {"d": 4, "c": 3, "b": 2, "x": 1}.items()]
    assert ids(order.overlooked(answer, 0)) == ["c"]


def test_a_hole_between_two_that_ended_before_us_is_overlooked_too() -> None:
    order, second = NamedTrades(), 1_000_000
    receive(order, trade("g", 7 * second), trade("i", 9 * second))
    order.recall([trade(name, at * second) for name, at in {"a": 1, "b": 2, "e": 5}.items()])
    answer = [trade(name, at * second) for at, name in enumerate("abcdefgh", 1)]
    assert ids(order.overlooked(answer, 0)) == ["c", "d", "f", "h"]


def test_a_tape_read_before_our_first_trade_is_gone_on_from() -> None:
    order, second = NamedTrades(), 1_000_000
    order.recall([])
    order.recall([trade("b", 2 * second), trade("d", 4 * second)])
    receive(order, trade("f", 6 * second))
    answer = [trade(name, at * second) for at, name in enumerate("abcdef", 1)]
    assert ids(order.overlooked(answer, 0)) == ["c", "e"]


def test_what_a_tape_holds_but_nobody_remembers_is_not_taken_for_overlooked() -> None:
    order = NamedTrades()
    receive(order, trade("last", 90_000_000))
    tail = [trade(f"n{n}", n + 1) for n in range(REMEMBER + 5)]
    order.recall(tail)
    receive(order, trade("newest", 95_000_000))
    assert order.overlooked(tail, 0) == []


def test_a_young_trade_is_waited_for_and_then_taken_from_the_answer() -> None:
    order = NamedTrades()
    receive(order, trade("a", 1_000_000))
    answer = [trade("c", 1_000_300), trade("b", 1_000_200), trade("a", 1_000_000)]
    assert order.overlooked(answer, 50) == []
    assert order.ripe(50 + YOUNG_US - 1) == []
    assert receive(order, trade("b", 1_000_200)) == ["b"]
    assert ids(order.ripe(50 + YOUNG_US)) == ["c"]
    assert order.ripe(10**9) == []
    assert receive(order, trade("c", 1_000_300)) == []


def test_what_a_look_found_before_a_loss_fills_the_hole_after_it() -> None:
    order = NamedTrades()
    receive(order, trade("a", 1_000_000))
    order.overlooked([trade("c", 1_000_300), trade("b", 1_000_200)], 50)
    order.lost()
    order.resumed(1)
    order.ask()
    assert order.ripe(10**9) == []
    found = order.fetched([trade("d", 1_000_400), trade("c", 1_000_300)])
    assert ids(found) == ["b", "c", "d"]


def test_a_hole_between_what_a_look_found_and_the_answer_is_said() -> None:
    order = NamedTrades()
    receive(order, trade("a", 1_000_000))
    order.overlooked([trade("b", 1_000_200)], 50)
    order.lost()
    order.resumed(1)
    order.ask()
    assert ids(order.fetched([trade("z", 9_000_000)])) == ["b", "z"]
    assert len(order.settle()[1]) == 1


def test_the_list_is_looked_at_before_it_has_moved_on() -> None:
    order, second = NamedTrades(), 1_000_000
    order.look(0)
    order.overlooked([trade(f"r{n}", n) for n in range(60)], 0)
    for number in range(19):
        receive(order, trade(f"n{number}", number + 1, receive_time=number))
    assert not order.due(second)
    receive(order, trade("n19", 20, receive_time=second))
    assert order.due(second)
    order.look(second)
    # In a silence as many count as came before: 20 a second.
    assert not order.due(second + second // 2)
    assert order.due(3 * second)
    order.look(3 * second)
    assert not order.due(3 * second)
    assert order.due(3 * second + LOOK_US)
