"""Clock pulses in event time: which whole seconds an event passes."""

SECOND_US = 1_000_000

# Through a longer silence there are no pulses: the next event after it sets the time.
SILENCE_US = 60 * SECOND_US

# An event time further than this ahead of its receive time is a fault of its clock and moves
# no time here; recorded clocks are wrong by seconds, not by minutes.
AHEAD_US = 60 * SECOND_US


class EventClock:
    """Running maximum of event time.

    Only what flows ticks it: frames and trades. Candles, mark prices and funding rates read
    from files do not, since a year of 1 minute candles would otherwise bring 32 million
    pulses to every partition; bars made from candles need none, a closed candle is its bar.
    """

    def __init__(self) -> None:
        self.newest = -1

    def pulses(self, event_time: int, receive_time: int) -> range:
        """Whole seconds (microseconds UTC) passed by this event, to be pulsed before it."""
        newest = self.newest
        if event_time <= newest or event_time - receive_time > AHEAD_US:
            return range(0)
        self.newest = event_time
        if newest < 0 or event_time - newest > SILENCE_US:
            return range(0)
        first = newest // SECOND_US + 1
        last = event_time // SECOND_US
        return range(first * SECOND_US, (last + 1) * SECOND_US, SECOND_US)
