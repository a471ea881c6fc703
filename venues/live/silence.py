"""When a socket counts as half open: what did not come, and for how long."""

from dataclasses import dataclass, field

# A market may be quiet for longer than any feed is expected to be: at most this many times
# `silence_s` is then waited.
_MOST_TIMES = 64.0


@dataclass(slots=True)
class Silence:
    """Looks, now and then, at how much has come on one socket.

    Dead is a socket on which nothing came for `silence_s`, answers to our pings included. Dead is
    also one that answers pings but brings no market data for `patience_s`. That doubles each time,
    since it may be the market that is quiet, and comes back to `silence_s` when data flows. The
    next socket of the same plan begins with the `patience_s` that this one ended with.
    """

    silence_s: float
    patience_s: float
    opened_at: float
    _heard_at: float = field(init=False)
    _data_at: float = field(init=False)
    _steady_since: float = field(init=False)
    _received: int = 0
    _delivered: int = 0

    def __post_init__(self) -> None:
        self._heard_at = self._data_at = self._steady_since = self.opened_at

    def quiet_s(self, now: float) -> float:
        """For so long nothing was seen to come."""
        return now - self._heard_at

    def look(self, now: float, received: int, delivered: int) -> str:
        """Why the socket is dead, empty if it is not.

        `received` counts all messages since it was opened, `delivered` those of market data.
        """
        if received != self._received:
            self._received, self._heard_at = received, now
        if delivered != self._delivered:
            self._delivered, self._data_at = delivered, now
        without = now - self._data_at
        if without > self.silence_s / 2:
            self._steady_since = now
        elif now - self._steady_since >= self.silence_s:
            self.patience_s = self.silence_s
        if now - self._heard_at >= self.silence_s:
            return f"half open: nothing came for {now - self._heard_at:.1f} s"
        if without >= self.patience_s:
            self.patience_s = min(2 * self.patience_s, _MOST_TIMES * self.silence_s)
            return f"half open: no market data for {without:.1f} s, though pings are answered"
        return ""
