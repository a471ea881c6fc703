from hypothesis import given
from hypothesis import strategies as st

from venues.live.silence import Silence

LOOK_S = 0.25


class Line:
    """Looks four times a second at what comes."""

    def __init__(self, patience_s: float = 2.0) -> None:
        self.now = 100.0
        self.received = self.delivered = 0
        self.silence = Silence(2.0, patience_s, self.now)

    def goes(self, seconds: float, data_every: float = 0.0, pong_every: float = 0.0) -> str:
        """Let time go by; why it is dead then, at the look that finds it."""
        for number in range(1, round(seconds / LOOK_S) + 1):
            at = number * LOOK_S
            self.now += LOOK_S
            data = bool(data_every) and at % data_every == 0
            self.delivered += data
            self.received += data or (bool(pong_every) and at % pong_every == 0)
            dead = self.silence.look(self.now, self.received, self.delivered)
            if dead:
                return dead
        return ""


def test_socket_on_which_nothing_comes_is_dead_after_the_time() -> None:
    line = Line()
    assert line.goes(5, data_every=1) == ""
    assert line.goes(1.75) == ""
    assert line.goes(0.25) == "half open: nothing came for 2.0 s"


def test_pongs_alone_do_not_keep_a_socket() -> None:
    line = Line()
    assert line.goes(5, data_every=0.5) == ""
    assert "no market data for 2.0 s" in line.goes(3, pong_every=0.5)


def test_next_socket_of_a_quiet_market_waits_twice_as_long() -> None:
    line = Line()
    line.goes(3, pong_every=0.5)
    assert line.silence.patience_s == 4.0
    line = Line(line.silence.patience_s)
    assert line.goes(3.75, pong_every=0.5) == ""
    assert "no market data for 4.0 s" in line.goes(0.25, pong_every=0.5)


def test_patience_is_as_at_first_when_data_flows_again() -> None:
    line = Line(patience_s=64.0)
    line.goes(2.5, data_every=0.5)
    assert line.silence.patience_s == 2.0


def test_data_now_and_then_does_not_end_the_patience_with_a_quiet_market() -> None:
    line = Line(patience_s=64.0)
    assert line.goes(120, data_every=15, pong_every=0.5) == ""
    assert line.silence.patience_s == 64.0


@given(st.lists(st.booleans(), min_size=1, max_size=80))
def test_dead_is_exactly_a_socket_without_anything_for_the_time(came: list[bool]) -> None:
    line, quiet = Line(), 0.0
    for data in came:
        dead = line.goes(LOOK_S, data_every=LOOK_S if data else 0.0)
        quiet = 0.0 if data else quiet + LOOK_S
        assert bool(dead) == (quiet >= 2.0)
        if dead:
            break
