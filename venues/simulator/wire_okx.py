"""OKX's v5 wire format: spot and swap channels, instruments by REST."""

from dataclasses import dataclass

from venues.simulator.book import Activity, OrderBook
from venues.simulator.candles import Published
from venues.simulator.listings import Listing, stripped
from venues.simulator.wire import (
    FUNDING_US,
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

SILENCE_US = 60_000_000
"""An update without levels is sent after this long without a change."""
SEQUENCE_STRIDE = 7
FIRST_SEQUENCE = 62_000_000_000
FIRST_TRADE_ID = 640_000_000
FUNDING_EVERY_US = 60_000_000
PUBLIC_CHANNELS = ("books", "bbo-tbt", "trades", "tickers")
SWAP_CHANNELS = ("mark-price", "funding-rate")


@dataclass(slots=True)
class _Feed:
    """What one instrument's channels have said last."""

    listing: Listing
    sequence: int
    updated_us: int
    quote: tuple[int, int, int, int]
    day: Day
    funded_us: int = 0


class OkxWire:
    """All symbols of one OKX instrument type; `swap` chooses perpetuals."""

    def __init__(self, listings: list[Listing], swap: bool) -> None:
        self.outbox = Outbox()
        self._listings = listings
        self._swap = swap
        self._kind = "SWAP" if swap else "SPOT"
        self._feeds: list[_Feed] = []
        self._candles = new_candles(len(listings))

    def opening(self, books: list[OrderBook], time_us: int) -> None:
        """Instruments, acknowledgements of every channel, the books' snapshots."""
        instruments = ",".join(self._instrument(listing) for listing in self._listings)
        text = f'{{"code":"0","msg":"","data":[{instruments}]}}'
        url = f"https://www.okx.com/api/v5/public/instruments?instType={self._kind}"
        self.outbox.rest.append((time_us, text, url))
        channels = PUBLIC_CHANNELS + (SWAP_CHANNELS if self._swap else ())
        for listing in self._listings:
            for channel in channels:
                self.outbox.stream.append((time_us, _ack(channel, listing)))
            self.outbox.business.append((time_us, _ack("candle1m", listing)))
        for index, book in enumerate(books):
            bids, asks = book.levels()
            quote = (*bids[0], *asks[0])
            day = opening_day(book.listing, bids[0][0])
            self._feeds.append(_Feed(book.listing, -1, time_us, quote, day))
            self.snapshot(index, book, time_us)

    def snapshot(self, index: int, book: OrderBook, time_us: int) -> None:
        """The whole book, as after a new subscription."""
        feed = self._feeds[index]
        bids, asks = book.levels()
        feed.sequence, feed.updated_us = _sequence(book.ordinal), time_us
        text = _book(feed, "snapshot", time_us, bids, asks, -1)
        self.outbox.stream.append((time_us, text))

    def publish(self, index: int, activity: Activity, second: Second) -> None:
        """Updates, trades, best quotes, tickers, candles; on swaps mark price and funding."""
        feed = self._feeds[index]
        out = self.outbox.stream
        if self._swap:
            out.append((second.start_us, _mark_price(feed.listing, second)))
            if second.start_us - feed.funded_us >= FUNDING_EVERY_US:
                feed.funded_us = second.start_us
                out.append((second.start_us, _funding(feed.listing, second)))
        self._updates(feed, activity, second)
        candles = self._candles[index]
        self._trades(feed.listing, activity, FIRST_TRADE_ID + candles.trade_id)
        self._tickers(feed, activity, second)
        self._quotes(feed, activity)
        publish_us = second.start_us + candle_phase(index)
        for said in candles.advance(activity.trades, second.start_us, second.end_us, publish_us):
            self.outbox.business.append((said.time_us, self._candle(feed.listing, said)))

    def _updates(self, feed: _Feed, activity: Activity, second: Second) -> None:
        for diff in activity.diffs:
            previous, feed.sequence = feed.sequence, _sequence(diff.last)
            feed.updated_us = diff.time_us
            text = _book(feed, "update", diff.time_us, diff.bids, diff.asks, previous)
            self.outbox.stream.append((diff.time_us, text))
        if second.end_us - feed.updated_us > SILENCE_US:
            feed.updated_us = second.end_us - 1
            text = _book(feed, "update", feed.updated_us, [], [], feed.sequence)
            self.outbox.stream.append((feed.updated_us, text))

    def _trades(self, listing: Listing, activity: Activity, trade_id: int) -> None:
        name, price, quantity = listing.venue_symbol, listing.price_text, listing.quantity_text
        head = f'{{"arg":{{"channel":"trades","instId":"{name}"}},"data":[{{"instId":"{name}",'
        append = self.outbox.stream.append
        for time_us, ordinal, ticks, lots, bought in activity.trades:
            trade_id += 1
            side = "buy" if bought else "sell"
            append(
                (
                    time_us,
                    f'{head}"tradeId":"{trade_id}","px":"{price(ticks)}","sz":"{quantity(lots)}",'
                    f'"side":"{side}","ts":"{time_us // 1000}","count":"1","source":"0",'
                    f'"seqId":{_sequence(ordinal)}}}]}}',
                )
            )

    def _quotes(self, feed: _Feed, activity: Activity) -> None:
        listing = feed.listing
        name, price, quantity = listing.venue_symbol, listing.price_text, listing.quantity_text
        head = f'{{"arg":{{"channel":"bbo-tbt","instId":"{name}"}},"data":[{{"asks":[["'
        append = self.outbox.stream.append
        for time_us, ordinal, bid, bid_lots, ask, ask_lots in activity.quotes:
            append(
                (
                    time_us,
                    f'{head}{price(ask)}","{quantity(ask_lots)}","0","{_orders(ask_lots)}"]],'
                    f'"bids":[["{price(bid)}","{quantity(bid_lots)}","0","{_orders(bid_lots)}"]],'
                    f'"ts":"{time_us // 1000}","seqId":{_sequence(ordinal)}}}]}}',
                )
            )

    def _tickers(self, feed: _Feed, activity: Activity, second: Second) -> None:
        """At most one ticker each quarter of a second, when quote or last price changed."""
        quotes, at = activity.quotes, 0
        for mark in range(second.start_us + TICKER_US, second.end_us + 1, TICKER_US):
            before = at
            while at < len(quotes) and quotes[at][0] < mark:
                feed.quote = quotes[at][2:]
                at += 1
            if feed.day.add(activity, mark, mark - TICKER_US) or at > before:
                self.outbox.stream.append((mark, self._ticker(feed, mark)))

    def _ticker(self, feed: _Feed, time_us: int) -> str:
        listing, day = feed.listing, feed.day
        bid, bid_lots, ask, ask_lots = feed.quote
        name, price, quantity = listing.venue_symbol, listing.price_text, listing.quantity_text
        # Spot counts the currency in quote units, swaps in base units.
        swap = self._swap
        currency = listing.base_text(day.lots) if swap else listing.quote_text(day.notional)
        return (
            f'{{"arg":{{"channel":"tickers","instId":"{name}"}},"data":[{{'
            f'"instType":"{self._kind}","instId":"{name}","last":"{price(day.last)}",'
            f'"lastSz":"{quantity(day.last_lots)}","askPx":"{price(ask)}",'
            f'"askSz":"{quantity(ask_lots)}","bidPx":"{price(bid)}","bidSz":"{quantity(bid_lots)}",'
            f'"open24h":"{price(day.open)}","high24h":"{price(day.high)}",'
            f'"low24h":"{price(day.low)}","sodUtc0":"{price(day.open)}",'
            f'"sodUtc8":"{price(day.open)}","volCcy24h":"{currency}",'
            f'"vol24h":"{quantity(day.lots)}","ts":"{time_us // 1000}"}}]}}'
        )

    def _candle(self, listing: Listing, said: Published) -> str:
        candle, price, name = said.candle, listing.price_text, listing.venue_symbol
        volume, quote = listing.quantity_text(candle.lots), listing.quote_text(candle.notional)
        currency = listing.base_text(candle.lots) if self._swap else quote
        return (
            f'{{"arg":{{"channel":"candle1m","instId":"{name}"}},"data":[['
            f'"{candle.open_us // 1000}","{price(candle.open)}","{price(candle.high)}",'
            f'"{price(candle.low)}","{price(candle.close)}","{volume}","{currency}","{quote}",'
            f'"{1 if said.closed else 0}"]]}}'
        )

    def _instrument(self, listing: Listing) -> str:
        swap = self._swap
        base, quote = ("", "") if swap else (listing.base, listing.quote)
        family = f"{listing.base}-{listing.quote}" if swap else ""
        value, unit = (listing.contract_size, listing.base) if swap else ("", "")
        settle = listing.quote if swap else ""
        return (
            f'{{"alias":"","baseCcy":"{base}","category":"1","ctMult":"{"1" if swap else ""}",'
            f'"ctType":"{"linear" if swap else ""}","ctVal":"{value}","ctValCcy":"{unit}",'
            f'"expTime":"","instFamily":"{family}","instId":"{listing.venue_symbol}",'
            f'"instType":"{self._kind}","lever":"10","listTime":"1548133413000",'
            f'"lotSz":"{listing.lot_text}","minSz":"{listing.lot_text}","optType":"",'
            f'"quoteCcy":"{quote}","ruleType":"normal","settleCcy":"{settle}","state":"live",'
            f'"stk":"","tickSz":"{listing.tick_text}","uly":"{family}"}}'
        )


def _ack(channel: str, listing: Listing) -> str:
    arg = f'"channel":"{channel}","instId":"{listing.venue_symbol}"'
    return f'{{"event":"subscribe","arg":{{{arg}}},"connId":"a4d3ae55"}}'


def _sequence(ordinal: int) -> int:
    return FIRST_SEQUENCE + SEQUENCE_STRIDE * ordinal


def _orders(lots: int) -> int:
    """A number of orders for a size: OKX says it, nobody here depends on it."""
    return 1 + lots % 7 if lots else 0


def _book(
    feed: _Feed,
    action: str,
    time_us: int,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    previous: int,
) -> str:
    listing = feed.listing
    price, quantity = listing.price_text, listing.quantity_text
    ask_text = ",".join([f'["{price(p)}","{quantity(q)}","0","{_orders(q)}"]' for p, q in asks])
    bid_text = ",".join([f'["{price(p)}","{quantity(q)}","0","{_orders(q)}"]' for p, q in bids])
    return (
        f'{{"arg":{{"channel":"books","instId":"{listing.venue_symbol}"}},"action":"{action}",'
        f'"data":[{{"asks":[{ask_text}],"bids":[{bid_text}],"ts":"{time_us // 1000}",'
        f'"checksum":0,"prevSeqId":{previous},"seqId":{feed.sequence}}}]}}'
    )


def _mark_price(listing: Listing, second: Second) -> str:
    name, mark = listing.venue_symbol, stripped(second.mark_price, listing.price_decimals)
    return (
        f'{{"arg":{{"channel":"mark-price","instId":"{name}"}},"data":[{{"instType":"SWAP",'
        f'"instId":"{name}","markPx":"{mark}","ts":"{second.start_us // 1000}"}}]}}'
    )


def _funding(listing: Listing, second: Second) -> str:
    name, due = listing.venue_symbol, next_funding_us(second.start_us)
    return (
        f'{{"arg":{{"channel":"funding-rate","instId":"{name}"}},"data":[{{'
        f'"fundingRate":"{funding_rate(second.premium):.10f}","fundingTime":"{due // 1000}",'
        f'"instId":"{name}","instType":"SWAP","maxFundingRate":"0.00375","method":"current_period",'
        f'"minFundingRate":"-0.00375","nextFundingRate":"",'
        f'"nextFundingTime":"{(due + FUNDING_US) // 1000}",'
        f'"premium":"{second.premium:.10f}","settFundingRate":"0.0001","settState":"settled",'
        f'"ts":"{second.start_us // 1000}"}}]}}'
    )
