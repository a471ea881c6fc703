"""Bybit's v5 wire format: spot and linear topics, instruments-info by REST."""

from dataclasses import dataclass

from venues.simulator.book import Activity, Diff, OrderBook
from venues.simulator.candles import MINUTE_US, Published, Trade
from venues.simulator.listings import Listing, stripped
from venues.simulator.wire import (
    TICKER_US,
    Day,
    Outbox,
    Second,
    candle_phase,
    funding_rate,
    new_candles,
    next_funding_us,
    opening_day,
)

SILENCE_US = 3_000_000
"""orderbook.1 repeats its snapshot after this long without a change."""
SEQUENCE_STRIDE = 10
Quote = tuple[int, int, int, int]
"""Bid ticks, bid lots, ask ticks, ask lots."""


@dataclass(slots=True)
class _Feed:
    """What one symbol's topics have said last."""

    listing: Listing
    update_id: int
    quote_id: int
    quote: Quote
    quoted_us: int
    quoted_ordinal: int
    ticker: Quote | None
    """Best quote that the ticker said last; None before its first snapshot."""
    day: Day
    last: int = 0
    """Price of the last trade, ticks."""
    tick: str = "ZeroPlusTick"


class BybitWire:
    """All symbols of one Bybit category; `linear` chooses perpetuals."""

    def __init__(self, listings: list[Listing], linear: bool) -> None:
        self.outbox = Outbox()
        self._listings = listings
        self._linear = linear
        self._category = "linear" if linear else "spot"
        self._feeds: list[_Feed] = []
        self._candles = new_candles(len(listings))

    def opening(self, books: list[OrderBook], time_us: int) -> None:
        """instruments-info, acknowledgement, and the first snapshot of every topic."""
        write = _linear_instrument if self._linear else _spot_instrument
        instruments = ",".join(write(listing) for listing in self._listings)
        text = (
            f'{{"retCode":0,"retMsg":"OK","result":{{"category":"{self._category}","list":['
            f"{instruments}],"
            f'"nextPageCursor":""}},"retExtInfo":{{}},"time":{time_us // 1000}}}'
        )
        url = (
            "https://api.bybit.com/v5/market/instruments-info"
            f"?category={self._category}&status=Trading&limit=1000"
        )
        self.outbox.rest.append((time_us, text, url))
        said = "" if self._linear else "subscribe"
        ack = (
            f'{{"success":true,"ret_msg":"{said}","conn_id":"model-{self._category}",'
            '"req_id":"","op":"subscribe"}'
        )
        self.outbox.stream.append((time_us, ack))
        for index, book in enumerate(books):
            bids, asks = book.levels()
            quote = (*bids[0], *asks[0])
            day = opening_day(book.listing, bids[0][0])
            first = 15_000_000 + 1_000_000 * index
            feed = _Feed(book.listing, first, first, quote, time_us, 0, None, day)
            self._feeds.append(feed)
            self.snapshot(index, book, time_us)
            self.outbox.stream.append((time_us, self._quote_snapshot(feed, time_us)))

    def snapshot(self, index: int, book: OrderBook, time_us: int) -> None:
        """orderbook.200 from the start again: every new snapshot resets the book."""
        feed = self._feeds[index]
        bids, asks = book.levels()
        feed.update_id += 1
        self.outbox.stream.append(
            (time_us, _book(feed, "snapshot", time_us, bids, asks, book.ordinal))
        )

    def publish(self, index: int, activity: Activity, second: Second) -> None:
        """Diffs, trades, best quotes, tickers, candles."""
        feed = self._feeds[index]
        listing = feed.listing
        out = self.outbox.stream
        for diff in activity.diffs:
            out.append((diff.time_us, _delta(feed, diff)))
        candles = self._candles[index]
        self._trades(feed, activity.trades, candles.trade_id)
        if self._linear:
            # Before the quotes, since feed.quote is still the one at the second's start.
            self._linear_tickers(feed, activity, second)
        else:
            self._spot_tickers(feed, activity, second)
        self._quotes(feed, activity, second)
        publish_us = second.start_us + candle_phase(index)
        for said in candles.advance(activity.trades, second.start_us, second.end_us, publish_us):
            out.append((said.time_us, _kline(listing, said)))

    def _trades(self, feed: _Feed, trades: list[Trade], trade_id: int) -> None:
        """One message for all prints of one taker."""
        listing = feed.listing
        name, price, quantity = listing.venue_symbol, listing.price_text, listing.quantity_text
        pending: list[str] = []
        for number, (time_us, ordinal, ticks, lots, bought) in enumerate(trades):
            trade_id += 1
            ms = time_us // 1000
            side = "Buy" if bought else "Sell"
            direction = f'"L":"{_direction(feed, ticks)}",' if self._linear else ""
            pending.append(
                f'{{"T":{ms},"s":"{name}","S":"{side}",'
                f'"v":"{quantity(lots)}","p":"{price(ticks)}",{direction}'
                f'"i":"{self._trade_name(listing, trade_id)}","BT":false,"RPI":false,'
                f'"seq":{_sequence(ordinal)}}}'
            )
            if number + 1 == len(trades) or trades[number + 1][1] != ordinal:
                text = (
                    f'{{"topic":"publicTrade.{name}","type":"snapshot","ts":{ms + 1},'
                    f'"data":[{",".join(pending)}]}}'
                )
                self.outbox.stream.append((time_us, text))
                pending = []

    def _trade_name(self, listing: Listing, trade_id: int) -> str:
        if not self._linear:
            return str(2_290_000_001_189_000_000 + trade_id)
        # A UUID that only this trade has: the id, spread by an odd constant.
        spread = (trade_id * 0x9E3779B97F4A7C15) & (2**64 - 1)
        name = f"{spread:016x}"
        tag = sum(listing.venue_symbol.encode()) & 0xFFF
        return f"{name[:8]}-{name[8:12]}-5{tag:03x}-a{name[12:15]}-{trade_id:012x}"

    def _quotes(self, feed: _Feed, activity: Activity, second: Second) -> None:
        name = feed.listing.venue_symbol
        for time_us, ordinal, *best in activity.quotes:
            now: Quote = (best[0], best[1], best[2], best[3])
            bids = _best_change(feed.listing, feed.quote[:2], now[:2], highest_first=True)
            asks = _best_change(feed.listing, feed.quote[2:], now[2:], highest_first=False)
            feed.quote_id += 1
            feed.quote, feed.quoted_us, feed.quoted_ordinal = now, time_us, ordinal
            ms = time_us // 1000
            text = (
                f'{{"topic":"orderbook.1.{name}","type":"delta","ts":{ms + 1},'
                f'"data":{{"s":"{name}","b":[{bids}],"a":[{asks}],"u":{feed.quote_id},'
                f'"seq":{_sequence(ordinal)}}},"cts":{ms}}}'
            )
            self.outbox.stream.append((time_us, text))
        if second.end_us - feed.quoted_us > SILENCE_US:
            feed.quoted_us = second.end_us - 1
            self.outbox.stream.append((feed.quoted_us, self._quote_snapshot(feed, feed.quoted_us)))

    def _quote_snapshot(self, feed: _Feed, time_us: int) -> str:
        listing, quote = feed.listing, feed.quote
        name, ms = listing.venue_symbol, time_us // 1000
        return (
            f'{{"topic":"orderbook.1.{name}","type":"snapshot","ts":{ms + 1},'
            f'"data":{{"s":"{name}","b":[{_level(listing, quote[0], quote[1])}],'
            f'"a":[{_level(listing, quote[2], quote[3])}],"u":{feed.quote_id},'
            f'"seq":{_sequence(feed.quoted_ordinal)}}},"cts":{ms}}}'
        )

    def _spot_tickers(self, feed: _Feed, activity: Activity, second: Second) -> None:
        """Whole tickers, when there were trades."""
        listing, day, name = feed.listing, feed.day, feed.listing.venue_symbol
        for mark in _marks(second):
            if not day.add(activity, mark, mark - TICKER_US):
                continue
            ms = mark // 1000
            text = (
                f'{{"topic":"tickers.{name}","ts":{ms},"type":"snapshot","cs":{ms},'
                f'"data":{{"symbol":"{name}",{_day(listing, day)},'
                f'"usdIndexPrice":"{stripped(second.index_price, 6)}"}}}}'
            )
            self.outbox.stream.append((mark, text))

    def _linear_tickers(self, feed: _Feed, activity: Activity, second: Second) -> None:
        """A whole ticker at the start, then changed fields; mark price once a second."""
        name, listing = feed.listing.venue_symbol, feed.listing
        quotes, at = activity.quotes, 0
        now = feed.ticker or feed.quote
        for number, mark in enumerate(_marks(second)):
            while at < len(quotes) and quotes[at][0] < mark:
                now = quotes[at][2:]
                at += 1
            whole = feed.ticker is None
            fields = _ticker_quote(listing, feed.ticker, now)
            feed.ticker = now
            if feed.day.add(activity, mark, mark - TICKER_US) or whole:
                fields.append(_day(listing, feed.day))
            if number == 0:
                fields.append(_mark_price(second))
            if fields:
                kind, ms = "snapshot" if whole else "delta", mark // 1000
                text = (
                    f'{{"topic":"tickers.{name}","type":"{kind}",'
                    f'"data":{{"symbol":"{name}",{",".join(fields)}}},"cs":{ms},"ts":{ms}}}'
                )
                self.outbox.stream.append((mark, text))


def _direction(feed: _Feed, price: int) -> str:
    """Where the price went from the last trade's; unchanged prices keep the last direction."""
    if price != feed.last:
        feed.tick = "PlusTick" if price > feed.last else "MinusTick"
        feed.last = price
    elif not feed.tick.startswith("Zero"):
        feed.tick = f"Zero{feed.tick}"
    return feed.tick


def _marks(second: Second) -> range:
    return range(second.start_us + TICKER_US, second.end_us + 1, TICKER_US)


def _sequence(ordinal: int) -> int:
    return 272_000_000_000 + SEQUENCE_STRIDE * ordinal


def _level(listing: Listing, ticks: int, lots: int) -> str:
    return f'["{listing.price_text(ticks)}","{listing.quantity_text(lots)}"]'


def _best_change(
    listing: Listing, old: tuple[int, ...], new: tuple[int, ...], highest_first: bool
) -> str:
    """The change of one best level: the old one removed where the price moved."""
    if old == new:
        return ""
    if old[0] == new[0]:
        return _level(listing, new[0], new[1])
    gone, come = _level(listing, old[0], 0), _level(listing, new[0], new[1])
    old_first = (old[0] > new[0]) == highest_first
    return f"{gone},{come}" if old_first else f"{come},{gone}"


def _delta(feed: _Feed, diff: Diff) -> str:
    feed.update_id += 1
    return _book(feed, "delta", diff.time_us, diff.bids, diff.asks, diff.last)


def _book(
    feed: _Feed,
    kind: str,
    time_us: int,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    ordinal: int,
) -> str:
    listing, ms = feed.listing, time_us // 1000
    name, price, quantity = listing.venue_symbol, listing.price_text, listing.quantity_text
    bid_text = ",".join([f'["{price(ticks)}","{quantity(lots)}"]' for ticks, lots in bids])
    ask_text = ",".join([f'["{price(ticks)}","{quantity(lots)}"]' for ticks, lots in asks])
    return (
        f'{{"topic":"orderbook.200.{name}","type":"{kind}","ts":{ms + 1},"data":{{"s":"{name}",'
        f'"b":[{bid_text}],"a":[{ask_text}],"u":{feed.update_id},"seq":{_sequence(ordinal)}}},'
        f'"cts":{ms}}}'
    )


def _ticker_quote(listing: Listing, old: Quote | None, new: Quote) -> list[str]:
    fields = []
    if old is None or old[:2] != new[:2]:
        price, size = listing.price_text(new[0]), listing.quantity_text(new[1])
        fields.append(f'"bid1Price":"{price}","bid1Size":"{size}"')
    if old is None or old[2:] != new[2:]:
        price, size = listing.price_text(new[2]), listing.quantity_text(new[3])
        fields.append(f'"ask1Price":"{price}","ask1Size":"{size}"')
    return fields


def _day(listing: Listing, day: Day) -> str:
    price = listing.price_text
    change = stripped(day.last / day.open - 1.0, 6)
    return (
        f'"lastPrice":"{price(day.last)}","highPrice24h":"{price(day.high)}",'
        f'"lowPrice24h":"{price(day.low)}","prevPrice24h":"{price(day.open)}",'
        f'"volume24h":"{listing.quantity_text(day.lots)}",'
        f'"turnover24h":"{listing.notional_text(day.notional)}","price24hPcnt":"{change}"'
    )


def _mark_price(second: Second) -> str:
    return (
        f'"markPrice":"{second.mark_price:.4f}","indexPrice":"{second.index_price:.4f}",'
        f'"fundingRate":"{stripped(funding_rate(second.premium), 8)}",'
        f'"nextFundingTime":"{next_funding_us(second.start_us) // 1000}",'
        '"fundingIntervalHour":"8"'
    )


def _kline(listing: Listing, said: Published) -> str:
    candle, price = said.candle, listing.price_text
    start, ms = candle.open_us // 1000, said.time_us // 1000
    return (
        f'{{"topic":"kline.1.{listing.venue_symbol}","data":[{{"start":{start},'
        f'"end":{start + MINUTE_US // 1000 - 1},"interval":"1","open":"{price(candle.open)}",'
        f'"close":"{price(candle.close)}","high":"{price(candle.high)}",'
        f'"low":"{price(candle.low)}","volume":"{listing.quantity_text(candle.lots)}",'
        f'"turnover":"{listing.notional_text(candle.notional)}",'
        f'"confirm":{"true" if said.closed else "false"},"timestamp":{ms}}}],'
        f'"ts":{ms},"type":"snapshot"}}'
    )


def _linear_instrument(listing: Listing) -> str:
    tick, lot = listing.tick_text, listing.lot_text
    return (
        f'{{"symbol":"{listing.venue_symbol}","contractType":"LinearPerpetual",'
        f'"status":"Trading","baseCoin":"{listing.base}","quoteCoin":"{listing.quote}",'
        f'"launchTime":"1584230400000","deliveryTime":"0","deliveryFeeRate":"",'
        f'"priceScale":"{max(2, listing.price_decimals)}",'
        f'"leverageFilter":{{"minLeverage":"1","maxLeverage":"100.00","leverageStep":"0.01"}},'
        f'"priceFilter":{{"minPrice":"{tick}","maxPrice":"1999999.80","tickSize":"{tick}"}},'
        f'"lotSizeFilter":{{"maxOrderQty":"100000","minOrderQty":"{lot}","qtyStep":"{lot}",'
        f'"postOnlyMaxOrderQty":"100000","maxMktOrderQty":"10000","minNotionalValue":"5"}},'
        f'"unifiedMarginTrade":true,"fundingInterval":480,"settleCoin":"{listing.quote}"}}'
    )


def _spot_instrument(listing: Listing) -> str:
    tick, lot = listing.tick_text, listing.lot_text
    return (
        f'{{"symbol":"{listing.venue_symbol}","baseCoin":"{listing.base}",'
        f'"quoteCoin":"{listing.quote}","innovation":"0","status":"Trading",'
        f'"marginTrading":"utaOnly","stTag":"0",'
        f'"lotSizeFilter":{{"basePrecision":"{lot}","quotePrecision":"0.0000001",'
        f'"minOrderQty":"{lot}","maxOrderQty":"100000","minOrderAmt":"5",'
        f'"maxOrderAmt":"8000000"}},"priceFilter":{{"tickSize":"{tick}"}},'
        f'"riskParameters":{{"priceLimitRatioX":"0.005","priceLimitRatioY":"0.01"}}}}'
    )
