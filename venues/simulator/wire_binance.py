"""Binance's wire format: spot and USD-M combined streams, depth and exchangeInfo by REST."""

from venues.simulator.book import Activity, Diff, OrderBook
from venues.simulator.candles import MINUTE_US, Published
from venues.simulator.listings import Listing
from venues.simulator.wire import (
    Outbox,
    Second,
    candle_phase,
    funding_rate,
    new_candles,
    next_funding_us,
)

SNAPSHOT_LIMIT = 1_000
FIRST_TRADE_ID = 3_700_000_000


class BinanceWire:
    """All symbols of one Binance market; `futures` chooses USD-M.

    Spot update ids are a symbol's own and without holes; on USD-M all symbols share one sequence,
    so a symbol's ids jump and `pu` names the diff before.
    """

    def __init__(self, listings: list[Listing], futures: bool) -> None:
        self.outbox = Outbox()
        self._listings = listings
        self._futures = futures
        self._host = (
            "https://fapi.binance.com/fapi/v1" if futures else "https://api.binance.com/api/v3"
        )
        self._base_id = 5_120_000_000_000 if futures else 50_000_000_000
        self._stride = 16 * len(listings) if futures else 1
        self._last_ids = [self._id(index, 0) for index in range(len(listings))]
        self._candles = new_candles(len(listings))

    def _id(self, index: int, ordinal: int) -> int:
        return (
            self._base_id
            + self._stride * ordinal
            + index * (16 if self._futures else 1_000_000_000)
        )

    def opening(self, books: list[OrderBook], time_us: int) -> None:
        """The instruments and the acknowledgement; the depth is asked for a second later."""
        filters = _futures_symbol if self._futures else _spot_symbol
        symbols = ",".join(filters(listing) for listing in self._listings)
        text = (
            f'{{"timezone":"UTC","serverTime":{time_us // 1000},"rateLimits":[],'
            f'"exchangeFilters":[],"symbols":[{symbols}]}}'
        )
        self.outbox.rest.append((time_us, text, f"{self._host}/exchangeInfo"))
        self.outbox.stream.append((time_us, '{"result":null,"id":1}'))

    def snapshot(self, index: int, book: OrderBook, time_us: int) -> None:
        """The answer to a depth request."""
        listing = self._listings[index]
        bids, asks = book.levels()
        times = f'"E":{time_us // 1000},"T":{time_us // 1000},' if self._futures else ""
        text = (
            f'{{"lastUpdateId":{self._id(index, book.ordinal)},{times}'
            f'"bids":{_levels(listing, bids)},"asks":{_levels(listing, asks)}}}'
        )
        url = f"{self._host}/depth?symbol={listing.venue_symbol}&limit={SNAPSHOT_LIMIT}"
        self.outbox.rest.append((time_us, text, url))

    def publish(self, index: int, activity: Activity, second: Second) -> None:
        """Diffs, trades, best quotes, candles; on USD-M mark price and funding."""
        listing = self._listings[index]
        out = self.outbox.stream
        if self._futures:
            out.append((second.start_us, _mark_price(listing, second)))
        for diff in activity.diffs:
            out.append((diff.time_us, self._diff(index, diff)))
        candles = self._candles[index]
        self._trades(listing, activity, FIRST_TRADE_ID + candles.trade_id)
        self._quotes(index, activity)
        publish_us = second.start_us + candle_phase(index)
        for said in candles.advance(activity.trades, second.start_us, second.end_us, publish_us):
            out.append((said.time_us, _kline(listing, said)))

    def _diff(self, index: int, diff: Diff) -> str:
        listing = self._listings[index]
        name, last = listing.venue_symbol, self._id(index, diff.last)
        previous, self._last_ids[index] = self._last_ids[index], last
        ms = diff.time_us // 1000
        matched = f'"T":{ms - 1},' if self._futures else ""
        chain = f'"pu":{previous},' if self._futures else ""
        return (
            f'{{"stream":"{name.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},{matched}'
            f'"s":"{name}","U":{self._id(index, diff.first)},"u":{last},{chain}'
            f'"b":{_levels(listing, diff.bids)},"a":{_levels(listing, diff.asks)}}}}}'
        )

    def _trades(self, listing: Listing, activity: Activity, trade_id: int) -> None:
        name, price_text, quantity_text = (
            listing.venue_symbol,
            listing.price_text,
            listing.quantity_text,
        )
        head = f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":'
        append = self.outbox.stream.append
        for time_us, _, price, lots, bought in activity.trades:
            trade_id += 1
            ms = time_us // 1000
            maker = "false" if bought else "true"
            body = f'"t":{trade_id},"p":"{price_text(price)}","q":"{quantity_text(lots)}"'
            if self._futures:
                text = f'{head}{ms},"T":{ms},"s":"{name}",{body},"X":"MARKET","m":{maker}}}}}'
            else:
                text = f'{head}{ms},"s":"{name}",{body},"T":{ms},"m":{maker},"M":true}}}}'
            append((time_us, text))

    def _quotes(self, index: int, activity: Activity) -> None:
        listing = self._listings[index]
        name, price_text, quantity_text = (
            listing.venue_symbol,
            listing.price_text,
            listing.quantity_text,
        )
        event = '"e":"bookTicker",' if self._futures else ""
        head = f'{{"stream":"{name.lower()}@bookTicker","data":{{{event}"u":'
        base, stride = self._id(index, 0), self._stride
        append = self.outbox.stream.append
        for time_us, ordinal, bid, bid_lots, ask, ask_lots in activity.quotes:
            tail = ""
            if self._futures:
                ms = time_us // 1000
                tail = f',"T":{ms},"E":{ms}'
            append(
                (
                    time_us,
                    f'{head}{base + stride * ordinal},"s":"{name}","b":"{price_text(bid)}",'
                    f'"B":"{quantity_text(bid_lots)}","a":"{price_text(ask)}",'
                    f'"A":"{quantity_text(ask_lots)}"{tail}}}}}',
                )
            )


def _levels(listing: Listing, levels: list[tuple[int, int]]) -> str:
    price_text, quantity_text = listing.price_text, listing.quantity_text
    body = ",".join([f'["{price_text(price)}","{quantity_text(lots)}"]' for price, lots in levels])
    return f"[{body}]"


def _kline(listing: Listing, said: Published) -> str:
    candle, name, price = said.candle, listing.venue_symbol, listing.price_text
    start = candle.open_us // 1000
    first = FIRST_TRADE_ID + candle.first_id if candle.count else -1
    last = first + candle.count - 1 if candle.count else -1
    return (
        f'{{"stream":"{name.lower()}@kline_1m","data":{{"e":"kline","E":{said.time_us // 1000},'
        f'"s":"{name}","k":{{"t":{start},"T":{start + MINUTE_US // 1000 - 1},"s":"{name}",'
        f'"i":"1m","f":{first},"L":{last},"o":"{price(candle.open)}","c":"{price(candle.close)}",'
        f'"h":"{price(candle.high)}","l":"{price(candle.low)}",'
        f'"v":"{listing.quantity_text(candle.lots)}","n":{candle.count},'
        f'"x":{"true" if said.closed else "false"},"q":"{listing.notional_text(candle.notional)}",'
        f'"V":"{listing.quantity_text(candle.buy_lots)}",'
        f'"Q":"{listing.notional_text(candle.buy_notional)}","B":"0"}}}}}}'
    )


def _mark_price(listing: Listing, second: Second) -> str:
    name, mark = listing.venue_symbol, f"{second.mark_price:.8f}"
    due = next_funding_us(second.start_us) // 1000
    return (
        f'{{"stream":"{name.lower()}@markPrice@1s","data":{{"e":"markPriceUpdate",'
        f'"E":{second.start_us // 1000},"s":"{name}","p":"{mark}",'
        f'"i":"{second.index_price:.8f}","P":"{mark}",'
        f'"r":"{funding_rate(second.premium):.8f}","T":{due}}}}}'
    )


def _filters(listing: Listing, notional: str) -> str:
    tick, lot = listing.tick_text, listing.lot_text
    return (
        f'[{{"filterType":"PRICE_FILTER","minPrice":"{tick}","maxPrice":"1000000",'
        f'"tickSize":"{tick}"}},{{"filterType":"LOT_SIZE","minQty":"{lot}","maxQty":"9000",'
        f'"stepSize":"{lot}"}},{notional}]'
    )


def _spot_symbol(listing: Listing) -> str:
    notional = (
        '{"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,'
        '"maxNotional":"9000000.00000000","applyMaxToMarket":false,"avgPriceMins":5}'
    )
    return (
        f'{{"symbol":"{listing.venue_symbol}","status":"TRADING","baseAsset":"{listing.base}",'
        f'"baseAssetPrecision":8,"quoteAsset":"{listing.quote}","quotePrecision":8,'
        f'"quoteAssetPrecision":8,"orderTypes":["LIMIT","LIMIT_MAKER","MARKET"],'
        f'"icebergAllowed":true,"isSpotTradingAllowed":true,"isMarginTradingAllowed":true,'
        f'"filters":{_filters(listing, notional)},"permissions":[],"permissionSets":[["SPOT"]]}}'
    )


def _futures_symbol(listing: Listing) -> str:
    notional = '{"filterType":"MIN_NOTIONAL","notional":"5"}'
    return (
        f'{{"symbol":"{listing.venue_symbol}","pair":"{listing.venue_symbol}",'
        f'"contractType":"PERPETUAL","deliveryDate":4133404800000,"onboardDate":1569398400000,'
        f'"status":"TRADING","baseAsset":"{listing.base}","quoteAsset":"{listing.quote}",'
        f'"marginAsset":"{listing.quote}","pricePrecision":{max(2, listing.price_decimals)},'
        f'"quantityPrecision":{listing.lot_decimals},"baseAssetPrecision":8,"quotePrecision":8,'
        f'"underlyingType":"COIN","underlyingSubType":[],'
        f'"filters":{_filters(listing, notional)},"orderTypes":["LIMIT","MARKET"],'
        f'"timeInForce":["GTC","IOC","FOK","GTX"]}}'
    )
