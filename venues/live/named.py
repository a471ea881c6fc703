"""Trades that a venue names without an order (Bybit): told apart by their names.

What is missing cannot be seen, so after an interruption trades are held until the venue was asked,
and what its answers have is compared with what its stream brought (`overlooked`), as often as its
list of the newest trades needs (`due`): by what came, and in a silence by what came before it.
"""

from collections import deque
from collections.abc import Iterable

from schemas.events import Trade
from venues.live.duplicates import HOLD_COUNT, HOLD_US, QUIET_US, REORDER_US, Lack

# Names remembered of an instrument; the venue's answers go back by 1,000 trades.
REMEMBER = 8_192
# What is younger may still be on its way in the stream.
YOUNG_US = 1_000_000
# The venue's list is looked at this often at least, and before this share of it is new.
LOOK_US = 10_000_000
_SHARE = 1 / 3
_FOREVER = 2**63 - 1


class NamedTrades:
    """Trades of an instrument whose ids say nothing of their order."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.newest = 0
        self._order: deque[str] = deque()
        self._names: set[str] = set()
        self._held: list[Trade] = []
        self._held_since_us = 0
        self._since = 0
        self._interrupted = False
        self._waiting = False
        self._resumed_us = 0
        self._losses = 0
        self._asked = 0
        self._sure = 0
        self._oldest = 0
        self._came = 0
        self._heard_us = 0
        self._looked_us = 0
        self._per_us = 0.0
        self._list = 60
        self._young: dict[str, tuple[int, Trade]] = {}

    def seed(self, trades: Iterable[Trade]) -> None:
        """Go on after trades that are on the tape already."""
        for trade in sorted(trades, key=_time):
            self._note(trade)
        if self.newest:
            self.lost()

    def recall(self, trades: Iterable[Trade]) -> None:
        """What the tape lacks before our first trade, anywhere in its tail, may be overlooked.

        Not only after its newest trade: one that wrote before us may have begun while Kafka was
        away, too, and have ended before it could ask for what it had missed.
        """
        begun = self._sure or _FOREVER
        before = [each for each in trades if each.trade_id not in self._names]
        if not before:
            return
        for trade in before:
            self._note(trade)
        forgotten, kept = before[:-REMEMBER], before[-REMEMBER:]
        oldest = min(trade.event_time for trade in kept)
        unknown = max((trade.event_time for trade in forgotten), default=0)
        self._sure = min(begun, max(oldest, unknown) + 1)

    def follows(self, trade: Trade) -> bool:
        """Whether a trade is new and none waits."""
        if self._waiting or trade.trade_id in self._names:
            return False
        self._hear(trade)
        return True

    def take(self, trade: Trade) -> list[Trade]:
        """The trades to write now because of one that was received."""
        if trade.trade_id in self._names:
            self.duplicates += 1
            return []
        self._hear(trade)
        if not self._waiting:
            return [trade]
        self._held.append(trade)
        if self._held_since_us == 0:
            self._held_since_us = trade.receive_time
        return self._release() if len(self._held) > HOLD_COUNT else []

    def fetched(self, trades: Iterable[Trade]) -> list[Trade]:
        """Those of an answer that were missed, in the order of their times."""
        # With a live one held, the stream itself brings what comes after it.
        until = self._held[0].event_time if self._held else _FOREVER
        trades = list(trades)
        self._oldest = min((each.event_time for each in trades), default=0)
        young = [each for _, each in self._young.values()]
        if any(each.event_time >= self._oldest for each in young):
            self._oldest = min(self._oldest, *(each.event_time for each in young))
        trades += sorted(young, key=_time, reverse=True)
        new: list[Trade] = []
        for trade in sorted(reversed(trades), key=_time):
            known = trade.trade_id in self._names
            if not known and self._since <= trade.event_time <= until:
                self._note(trade)
                new.append(trade)
        return new

    def due(self, now_us: int) -> bool:
        """Whether the venue's list is to be looked at, lest trades leave it that did not come."""
        silent_us = now_us - max(self._heard_us, self._looked_us)
        may_have_come = self._came + self._per_us * max(silent_us, 0)
        return self.idle and (
            may_have_come >= _SHARE * self._list or now_us - self._looked_us >= LOOK_US
        )

    def look(self, now_us: int) -> None:
        """The venue's list is asked for now."""
        since_us = max(now_us - self._looked_us, 1)
        faded = self._per_us * 0.5 ** (since_us / LOOK_US)
        self._per_us = max(self._came / since_us, faded)
        self._came, self._looked_us = 0, now_us

    def overlooked(self, trades: Iterable[Trade], now_us: int) -> list[Trade]:
        """Those of an answer that the stream should have brought and did not, by their times.

        What is so young that it may be on its way is remembered for `ripe`.
        """
        trades = list(trades)
        self._list = max(len(trades), 1)
        if self._interrupted or not self._sure:
            return []
        until = self.newest - YOUNG_US
        unknown = [
            each
            for each in sorted(reversed(trades), key=_time)
            if each.trade_id not in self._names and self._sure <= each.event_time
        ]
        found = [each for each in unknown if each.event_time <= until]
        for each in found:
            self._note(each)
        for each in unknown[len(found) :]:
            self._young.setdefault(each.trade_id, (now_us, each))
        self._sure = max(self._sure, until)
        return found

    def ripe(self, now_us: int) -> list[Trade]:
        """Trades that were young in an answer and did not come by themselves."""
        if not self._young or not self.idle:
            return []
        found = [each for seen, each in self._young.values() if now_us - seen >= YOUNG_US]
        for each in found:
            self._note(each)
        return sorted(found, key=_time)

    def lost(self) -> None:
        """The stream was interrupted: trades may be missing after the newest."""
        if not self._interrupted:
            self._interrupted, self._since = True, self.newest
        self._waiting, self._resumed_us = True, 0
        self._losses += 1

    def resumed(self, now_us: int) -> None:
        """The stream goes on."""
        self._resumed_us = now_us

    def wants(self, now_us: int) -> bool:
        """Whether an interruption is over: trades came again, or none for a while."""
        if not self._interrupted or not self._resumed_us:
            return False
        if self._held:
            return now_us - self._held_since_us >= REORDER_US
        return now_us - self._resumed_us >= QUIET_US

    @property
    def idle(self) -> bool:
        """Whether nothing is held or in doubt."""
        return not (self._held or self._interrupted)

    @property
    def complete(self) -> bool:
        """Never: names do not tell."""
        return False

    def ask(self) -> tuple[str, int]:
        """From the time of the newest trade before the interruption on."""
        self._asked = self._losses
        return "", self._since or self.newest

    def expired(self, now_us: int) -> list[Trade]:
        """Held trades that have waited long enough; what was missed may still come."""
        if not self._held or now_us - self._held_since_us < HOLD_US:
            return []
        self._waiting = False
        return self._release()

    def settle(self) -> tuple[list[Trade], list[Lack]]:
        """What was held; something is lacking where the answer did not go back far enough."""
        if self._asked != self._losses:
            return [], []
        lacking = [self._lack()] if 0 < self._since < self._oldest else []
        self._interrupted = self._waiting = False
        self._since = self._oldest = 0
        return self._release(), lacking

    def _lack(self) -> Lack:
        gap_s = (self._oldest - self._since) / 1e6
        return Lack(
            f"trades of up to {gap_s:.1f} s did not come, and the venue's list goes back no further"
        )

    def _hear(self, trade: Trade) -> None:
        self._came += 1
        self._heard_us = trade.receive_time
        self._note(trade)

    def _note(self, trade: Trade) -> None:
        if self._young:
            self._young.pop(trade.trade_id, None)
        if not self._sure:
            self._sure = trade.event_time
        self._names.add(trade.trade_id)
        self._order.append(trade.trade_id)
        if len(self._order) > REMEMBER:
            self._names.discard(self._order.popleft())
        self.newest = max(self.newest, trade.event_time)

    def _release(self) -> list[Trade]:
        out, self._held, self._held_since_us = self._held, [], 0
        return out


def _time(trade: Trade) -> int:
    return trade.event_time
