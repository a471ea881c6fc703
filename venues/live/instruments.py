"""What is known of the instruments that are collected, and what of it changes."""

from collections.abc import Iterable, Iterator

import msgspec

from schemas.events import Event, FeedStatus, Instrument
from venues.live.selection import trades

DELISTED = "DELISTED"
"""Our word for an instrument that its venue no longer lists."""


class Listings:
    """One venue's followed instruments as the tape knows them."""

    def __init__(self) -> None:
        self._known: dict[str, Instrument] = {}

    def follow(self, instrument: Instrument) -> list[Event]:
        """From now on this instrument is followed; what the tape is to know."""
        known = self._known.get(instrument.symbol)
        self._known[instrument.symbol] = instrument
        return [] if known is not None and _same(known, instrument) else [instrument]

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._known.values())

    def get(self, symbol: str) -> Instrument | None:
        """A followed instrument by its canonical symbol."""
        return self._known.get(symbol)

    def update(self, listed: Iterable[Instrument], now_us: int) -> list[Event]:
        """Changes of followed instruments by a new list, each followed by what it means.

        A symbol that trades no more is said by a FeedStatus too: LOST when it is delisted,
        OTHER when it halts or trades again.
        """
        found = {each.venue_symbol: each for each in listed}
        out: list[Event] = []
        for symbol, known in self._known.items():
            new = found.get(known.venue_symbol)
            if new is None:
                new = msgspec.structs.replace(
                    known, status=DELISTED, event_time=now_us, receive_time=now_us
                )
            if _same(known, new):
                continue
            self._known[symbol] = new
            out.append(new)
            if trades(new) != trades(known) or new.status == DELISTED:
                out.append(_status(new, now_us))
        return out


def _same(one: Instrument, other: Instrument) -> bool:
    times = {"event_time": 0, "receive_time": 0}
    return msgspec.structs.replace(one, **times) == msgspec.structs.replace(other, **times)


def _status(instrument: Instrument, now_us: int) -> FeedStatus:
    delisted = instrument.status == DELISTED
    reason = (
        "the venue no longer lists the instrument"
        if delisted
        else f"the venue's status of the instrument is now {instrument.status}"
    )
    return FeedStatus(
        venue=instrument.venue,
        symbol=instrument.symbol,
        event_time=now_us,
        receive_time=now_us,
        status="LOST" if delisted else "OTHER",
        channel="*",
        reason=reason,
    )
