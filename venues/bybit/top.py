"""Bybit's best bid and ask, mark price and funding: messages that hold only what changed.

`orderbook.1` and linear `tickers` send a whole state first and then its changes. The functions
are pure: the state so far and a message give the next state and its events.
"""

import math
from dataclasses import dataclass

from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import Event, Funding, MarkPrice, Quote
from venues.bybit.stream import BookMessage
from venues.messages import Levels, Millis, Text, optional_micros, optional_number
from venues.symbols import Listing, Names

Level = tuple[float, float]
EMPTY: Level = (math.nan, 0.0)


@dataclass(frozen=True, slots=True)
class Top:
    """Best bid and ask of `orderbook.1` after the update `update_id`."""

    update_id: int
    bid: Level
    ask: Level


class TickerData(Struct, gc=False):
    """What of a ticker is taken; every field may be left out."""

    symbol: str
    bid1Price: Text | None = None
    bid1Size: Text | None = None
    ask1Price: Text | None = None
    ask1Size: Text | None = None
    markPrice: Text | None = None
    indexPrice: Text | None = None
    fundingRate: Text | None = None
    nextFundingTime: Text | None = None
    fundingIntervalHour: Text | None = None


class TickerMessage(Struct, gc=False):
    """`tickers.SYMBOL`."""

    type: str
    ts: Millis
    data: TickerData


def quote(
    top: Top | None, message: BookMessage, names: Names, receive_time: int
) -> tuple[Top | None, list[Event]]:
    """Follow `orderbook.1`: the next state, None where an update is missing, and its quote.

    A repeat of the same snapshot (after 3 s of silence) is a quote again.
    """
    data = message.data
    if message.type == "snapshot" or data.u == 1:
        new = Top(data.u, _best(EMPTY, data.b[:1]), _best(EMPTY, data.a[:1]))
    elif top is None or data.u != top.update_id + 1:
        return None, []
    else:
        new = Top(data.u, _best(top.bid, data.b), _best(top.ask, data.a))
    event_time = (message.cts or message.ts) * 1000
    levels = (new.bid, new.ask)
    return new, [_quote(names[data.s], event_time, receive_time, data.u, levels)]


def _best(best: Level, levels: Levels) -> Level:
    """The one level of a side after changes: the newest with a quantity."""
    for level in levels:
        if level[1] > 0.0:
            best = level
        elif level[0] == best[0]:
            best = EMPTY
    return best


def merge(state: TickerData | None, message: TickerMessage) -> TickerData:
    """The whole ticker after a message; one that is marked as a snapshot replaces it."""
    new = message.data
    if state is None or message.type == "snapshot":
        return new
    changed = {
        field: value
        for field in TickerData.__struct_fields__
        if (value := getattr(new, field)) is not None
    }
    merged = {field: getattr(state, field) for field in TickerData.__struct_fields__}
    return TickerData(**{**merged, **changed})


def ticker(
    state: TickerData, message: TickerMessage, names: Names, receive_time: int, with_quote: bool
) -> list[Event]:
    """The events of what a ticker message brought, by the whole state after it."""
    new, event_time = message.data, message.ts * 1000
    events: list[Event] = []
    brought_quote = not (new.bid1Price is new.ask1Price is new.bid1Size is new.ask1Size is None)
    if with_quote and brought_quote and state.bid1Price is not None is not state.ask1Price:
        levels = (_level(state.bid1Price, state.bid1Size), _level(state.ask1Price, state.ask1Size))
        events.append(_quote(names[new.symbol], event_time, receive_time, -1, levels))
    if not (new.markPrice is new.indexPrice is None) and state.markPrice:
        events.append(_mark_price(names[new.symbol], state, event_time, receive_time))
    if not (new.fundingRate is new.nextFundingTime is None) and state.fundingRate:
        events.append(_funding(names[new.symbol], state, event_time, receive_time))
    return events


def _level(price: Text | None, size: Text | None) -> Level:
    found = optional_number(price)
    return (found, optional_number(size) or 0.0) if found else EMPTY


def _quote(
    listing: Listing, event_time: int, receive_time: int, sequence: int, levels: tuple[Level, Level]
) -> Quote:
    (bid_price, bid_quantity), (ask_price, ask_quantity) = levels
    return Quote(
        venue=listing.venue,
        symbol=listing.symbol,
        event_time=event_time,
        receive_time=receive_time,
        sequence=sequence,
        bid_price=bid_price,
        bid_quantity=bid_quantity,
        ask_price=ask_price,
        ask_quantity=ask_quantity,
    )


def _mark_price(
    listing: Listing, state: TickerData, event_time: int, receive_time: int
) -> MarkPrice:
    return MarkPrice(
        venue=listing.venue,
        symbol=listing.symbol,
        event_time=event_time,
        receive_time=receive_time,
        mark_price=required(state.markPrice, "markPrice"),
        index_price=optional_number(state.indexPrice),
    )


def _funding(listing: Listing, state: TickerData, event_time: int, receive_time: int) -> Funding:
    return Funding(
        venue=listing.venue,
        symbol=listing.symbol,
        event_time=event_time,
        receive_time=receive_time,
        rate=required(state.fundingRate, "fundingRate"),
        funding_time=optional_micros(state.nextFundingTime),
        interval_hours=optional_number(state.fundingIntervalHour),
    )


def required(value: Text | None, name: str) -> float:
    """A number that must be there."""
    found = optional_number(value)
    if found is None:
        raise VenueError(f"{name} was empty")
    return found
