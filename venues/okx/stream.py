"""OKX's channels to events: pure functions over the rows of a message.

REST answers have the same rows. Sizes of swaps and futures are contracts.
"""

from typing import Literal

from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import (
    BookDelta,
    BookSnapshot,
    Event,
    Funding,
    Kline,
    MarkPrice,
    Quote,
    Trade,
)
from venues.messages import (
    LATEST_MS,
    Count,
    Millis,
    Number,
    Signed,
    Text,
    Whole,
    optional_micros,
    optional_number,
)
from venues.symbols import Listing, Names

HOUR_US = 3_600_000_000


class Level(Struct, array_like=True, gc=False):
    """Price and size; what follows (a retired field, the number of orders) is not taken."""

    price: Number
    size: Number


class BookRow(Struct, gc=False):
    """Changed or all levels. Before 2023 there was a checksum and no sequence."""

    asks: list[Level]
    bids: list[Level]
    ts: Millis
    seqId: Whole = -1
    prevSeqId: Whole = -1
    checksum: int = 0


class TradeRow(Struct, gc=False):
    """One trade, or (channel `trades`) `count` fills of one taker order at one price."""

    instId: str
    tradeId: Text
    px: Number
    sz: Number
    side: str
    ts: Millis
    count: Count = 1


class TickerRow(Struct, gc=False):
    """`tickers`: of the 24 hour figures only best bid and ask are taken."""

    instId: str
    askPx: Text
    askSz: Text
    bidPx: Text
    bidSz: Text
    ts: Millis


class MarkPriceRow(Struct, gc=False):
    """`mark-price`."""

    instId: str
    markPx: Signed
    ts: Millis


class FundingRow(Struct, gc=False):
    """`funding-rate`, running; `ts` is missing in old messages and in the history."""

    instId: str
    fundingRate: Signed
    fundingTime: Millis
    nextFundingTime: Text = ""
    ts: Text = ""
    realizedRate: Text = ""


CandleRow = list[Text]
_SIDES: dict[str, Literal["BUY", "SELL"]] = {"buy": "BUY", "sell": "SELL"}


def _levels(listing: Listing, levels: list[Level]) -> list[tuple[float, float]]:
    size = listing.contract_size
    if size == 0.0:
        return [(level.price, level.size) for level in levels]
    return [(level.price, listing.base(level.size, level.price)) for level in levels]


def snapshot(name: str, row: BookRow, names: Names, receive_time: int, depth: int) -> list[Event]:
    """A whole book; sequence 0 where the venue sends none."""
    listing = names[name]
    return [
        BookSnapshot(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=row.ts * 1000,
            receive_time=receive_time,
            sequence=max(row.seqId, 0),
            depth=depth,
            bids=_levels(listing, row.bids),
            asks=_levels(listing, row.asks),
        )
    ]


def delta(name: str, row: BookRow, names: Names, receive_time: int) -> list[Event]:
    """Changed levels; an empty one says that the book is still the same."""
    listing = names[name]
    return [
        BookDelta(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=row.ts * 1000,
            receive_time=receive_time,
            previous_sequence=row.prevSeqId,
            sequence=row.seqId,
            bids=_levels(listing, row.bids),
            asks=_levels(listing, row.asks),
        )
    ]


def best(name: str, row: BookRow, names: Names, receive_time: int) -> list[Event]:
    """`bbo-tbt`: the best level a side; a side may be empty."""
    listing = names[name]
    bid = _levels(listing, row.bids[:1]) or [(float("nan"), 0.0)]
    ask = _levels(listing, row.asks[:1]) or [(float("nan"), 0.0)]
    return [
        Quote(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=row.ts * 1000,
            receive_time=receive_time,
            sequence=row.seqId,
            bid_price=bid[0][0],
            bid_quantity=bid[0][1],
            ask_price=ask[0][0],
            ask_quantity=ask[0][1],
        )
    ]


def quotes(rows: list[TickerRow], names: Names, receive_time: int) -> list[Event]:
    """`tickers`: best bid and ask, without a sequence."""
    events: list[Event] = []
    for row in rows:
        listing = names[row.instId]
        bid, ask = optional_number(row.bidPx) or 0.0, optional_number(row.askPx) or 0.0
        events.append(
            Quote(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=row.ts * 1000,
                receive_time=receive_time,
                sequence=-1,
                bid_price=bid or float("nan"),
                bid_quantity=listing.base(optional_number(row.bidSz) or 0.0, bid),
                ask_price=ask or float("nan"),
                ask_quantity=listing.base(optional_number(row.askSz) or 0.0, ask),
            )
        )
    return events


def trades(
    rows: list[TradeRow], names: Names, receive_time: int, backfilled: bool = False
) -> list[Event]:
    """Trades; `side` is the aggressor's."""
    events: list[Event] = []
    for row in rows:
        listing = names[row.instId]
        events.append(
            Trade(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=row.ts * 1000,
                receive_time=receive_time,
                trade_id=str(row.tradeId),
                price=row.px,
                quantity=listing.base(row.sz, row.px),
                aggressor_side=_SIDES.get(row.side, "UNKNOWN"),
                kind="MARKET" if row.px and row.sz else "OTHER",
                count=max(row.count, 1),
                backfilled=backfilled,
            )
        )
    return events


def mark_prices(rows: list[MarkPriceRow], names: Names, receive_time: int) -> list[Event]:
    """Mark prices; the index is on a channel of its own."""
    events: list[Event] = []
    for row in rows:
        listing = names[row.instId]
        events.append(
            MarkPrice(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=row.ts * 1000,
                receive_time=receive_time,
                mark_price=row.markPx,
            )
        )
    return events


def funding(
    rows: list[FundingRow], names: Names, receive_time: int, newest: int, settled: bool = False
) -> list[Event]:
    """Running rates, or settled ones of the history (what was realized, where it says so)."""
    events: list[Event] = []
    for row in rows:
        listing = names[row.instId]
        due = row.fundingTime * 1000
        after = optional_micros(row.nextFundingTime)
        realized = optional_number(row.realizedRate) if settled else None
        told = due if settled else optional_micros(row.ts) or newest or receive_time
        events.append(
            Funding(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=told,
                receive_time=receive_time,
                rate=row.fundingRate if realized is None else realized,
                funding_time=due,
                interval_hours=(after - due) / HOUR_US if after and after > due else None,
                settled=settled,
            )
        )
    return events


def candles(
    name: str, interval: str, rows: list[CandleRow], names: Names, receive_time: int, newest: int
) -> list[Event]:
    """Candles: start, open, high, low, close, size, in base (derivatives), in quote, confirmed.

    They have no time of their own: closed ones happened at their end, open ones now.
    """
    listing = names[name]
    length = interval_us(interval)
    events: list[Event] = []
    for row in rows:
        values = [optional_number(value) for value in row]
        if len(values) < 6 or None in values[:6]:
            raise VenueError(f"a candle of {name} was {row!r}")
        start, first, high, low, last, size = (value or 0.0 for value in values[:6])
        if not 0.0 <= start <= LATEST_MS:
            raise VenueError(f"a candle of {name} begins at {start}")
        in_base = values[6] if len(values) > 6 else None
        confirmed = values[8] == 1.0 if len(values) > 8 else False
        derivative = listing.contract_size != 0.0
        end = int(start) * 1000 + length if length and confirmed else newest or receive_time
        events.append(
            Kline(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=end,
                receive_time=receive_time,
                interval=interval_name(interval),
                open_time=int(start) * 1000,
                open=first,
                high=high,
                low=low,
                close=last,
                volume=in_base if derivative and in_base is not None else size,
                notional=values[7] if len(values) > 8 else None,
                closed=confirmed,
            )
        )
    return events


def interval_name(interval: str) -> str:
    """OKX's interval (1m, 1H, 1D, 1Dutc) by its usual name: hours, days and weeks in small."""
    name = interval.removesuffix("utc")
    return name if name.endswith(("m", "s", "M")) else name.lower()


def interval_us(interval: str) -> int:
    """An interval's length in microseconds; 0 for months, which have none."""
    name = interval_name(interval)
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 0}
    if not name[:-1].isdigit() or name[-1] not in units:
        raise VenueError(f"the interval {interval!r} is not known")
    return int(name[:-1]) * units[name[-1]] * 1_000_000
