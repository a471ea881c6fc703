"""Trades that a venue numbers one by one (Binance, OKX): a hole is seen by the trade after it.

What comes after a hole is held until what is missing has come, by itself or by REST.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from itertools import pairwise

from schemas.events import Trade
from venues.live.duplicates import HOLD_COUNT, HOLD_US, QUIET_US, REORDER_US, Lack

# Holes that are remembered of an instrument.
MOST_RANGES = 256
# So many small holes in a row that the venue cannot fill: its numbers are not without holes.
UNREAL_HOLES = 3
SMALL_HOLE = 100


class NumberedTrades:
    """Trades of an instrument whose ids count up by one.

    `spans`: an id is the last of `count` trades in one (OKX's aggregates).
    """

    def __init__(self, spans: bool = False) -> None:
        self.duplicates = 0
        self.newest = 0
        self.contiguous = True
        """False once the venue's numbers have proved to have holes of their own: go by names."""
        self._spans = spans
        self._next = -1
        self._missing: list[tuple[int, int]] = []
        self._seen_missing_us = 0
        self._held: list[tuple[int, Trade]] = []
        self._held_since_us = 0
        self._interrupted = False
        self._resumed_us = 0
        self._next_when_lost = -1
        self._losses = 0
        self._end_known = False
        self._asked = (0, 0)
        self._unreal = 0

    def seed(self, trades: Iterable[Trade]) -> None:
        """Go on after trades that are on the tape already."""
        for trade in sorted(trades, key=_number):
            if self._next < 0:
                self._next = self._first(trade)
            self._place(trade)
            self._held.clear()
        if self._next >= 0:
            self.lost()

    def recall(self, trades: Iterable[Trade]) -> None:
        """Holes in what the tape holds are missing, as if the stream had them."""
        known = sorted(trades, key=_number)
        holes = [
            (_number(before) + 1, self._first(after) - 1)
            for before, after in pairwise(known)
            if _number(before) + 1 < self._first(after) <= self._next
        ]
        self._missing = sorted({*self._missing, *holes})[-MOST_RANGES:]

    def follows(self, trade: Trade) -> bool:
        """Whether a trade is the next one and none waits."""
        number = int(trade.trade_id)
        first = number - trade.count + 1 if self._spans else number
        if first != self._next or self._held:
            return False
        self._next = number + 1
        self.newest = max(self.newest, trade.event_time)
        return True

    def take(self, trade: Trade) -> list[Trade]:
        """The trades to write now because of one that was received."""
        self._end_known = True
        if self._next < 0:
            self._next = self._first(trade)
        elif _number(trade) < self._next and not self._is_missing(_number(trade)):
            if trade.event_time <= self.newest:
                self.duplicates += 1
                return []
            # Later, but with a lower number: the venue has begun to count anew.
            out = self._release()
            self._missing.clear()
            self._next = self._first(trade)
            self._place(trade)
            return [*out, *self._release()]
        self._place(trade)
        if self._held_since_us == 0:
            self._held_since_us = trade.receive_time
        if not self._missing or len(self._held) > HOLD_COUNT:
            return self._release()
        return []

    def fetched(self, trades: Iterable[Trade]) -> list[Trade]:
        """The missing ones of an answer, and what waited for them."""
        for trade in sorted(trades, key=_number):
            number = _number(trade)
            if self._next < 0:
                self._next = self._first(trade)
            # With a live one held, the stream itself brings what comes after it.
            ahead = self._interrupted and not self._held_since_us and number >= self._next
            if ahead or self._is_missing(number):
                self._place(trade)
        if not self._missing or not self._held_since_us:
            return self._release()
        return []

    def lost(self) -> None:
        """The stream was interrupted: trades may be missing after the newest."""
        self._interrupted, self._resumed_us, self._end_known = True, 0, False
        self._next_when_lost = self._next
        self._losses += 1

    def resumed(self, now_us: int) -> None:
        """The stream goes on."""
        self._resumed_us = now_us

    def wants(self, now_us: int) -> bool:
        """Whether a hole has stayed for long enough, or after an interruption no trade came."""
        if self._missing:
            return now_us - self._seen_missing_us >= REORDER_US
        if self._interrupted and self._next != self._next_when_lost:
            self._interrupted = False  # the trade after the last before it came: none is missing
        return self._interrupted and 0 < self._resumed_us <= now_us - QUIET_US

    @property
    def idle(self) -> bool:
        """Whether nothing is held, missing or in doubt."""
        return not (self._missing or self._held or self._interrupted)

    @property
    def complete(self) -> bool:
        """Whether all before a trade that was received is there."""
        return self._end_known and not self._missing

    def ask(self) -> tuple[str, int]:
        """From the id before the first missing trade on; empty when none was ever seen."""
        self._asked = (self._next, self._losses)
        first = self._missing[0][0] if self._missing else self._next
        return (str(first - 1) if first > 0 else "", self.newest)

    def expired(self, now_us: int) -> list[Trade]:
        """Held trades that have waited long enough; what is missing may still come."""
        if not self._held or now_us - self._held_since_us < HOLD_US:
            return []
        return self._release()

    def settle(self) -> tuple[list[Trade], list[Lack]]:
        """What was held, and the ids that the venue could not give."""
        end, losses = self._asked
        lacking = [each for each in self._missing if each[0] < end]
        self._missing = [each for each in self._missing if each[0] >= end]
        if losses == self._losses:
            self._interrupted = False
        small = [last for first, last in lacking if last - first < SMALL_HOLE]
        self._unreal = self._unreal + len(small) if small else 0
        if self._unreal >= UNREAL_HOLES:
            self.contiguous = False
        return ([] if self._missing else self._release()), [_lack(*each) for each in lacking]

    def _first(self, trade: Trade) -> int:
        return _number(trade) - (trade.count - 1 if self._spans else 0)

    def _is_missing(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._missing)

    def _place(self, trade: Trade) -> None:
        """Hold a trade that is new; note what it leaves missing, or no longer does."""
        number, first = _number(trade), self._first(trade)
        if number >= self._next:
            if first > self._next:
                if not self._missing:
                    self._seen_missing_us = trade.receive_time
                self._missing.append((self._next, first - 1))
                del self._missing[:-MOST_RANGES]
            self._next = number + 1
        else:
            self._missing = list(_without(self._missing, first, number))
        self.newest = max(self.newest, trade.event_time)
        insort(self._held, (number, trade), key=_by_number)

    def _release(self) -> list[Trade]:
        out = [trade for _, trade in self._held]
        self._held.clear()
        self._held_since_us = 0
        return out


def _lack(first: int, last: int) -> Lack:
    reason = f"trades {first} to {last} did not come, and the venue gives them no more"
    return Lack(reason, first, last)


def _number(trade: Trade) -> int:
    return int(trade.trade_id)


def _by_number(item: tuple[int, Trade]) -> int:
    return item[0]


def _without(ranges: Iterable[tuple[int, int]], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The ranges of ids less [first, last]."""
    for begin, end in ranges:
        if last < begin or first > end:
            yield begin, end
            continue
        if begin < first:
            yield begin, first - 1
        if end > last:
            yield last + 1, end
