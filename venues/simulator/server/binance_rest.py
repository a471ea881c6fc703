"""Binance's REST answers, made of what was streamed."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from venues.simulator.server.memory import Instrument, Print
from venues.simulator.server.venue import Answer, Venue

Query = Mapping[str, str]

PREFIXES = {"spot": "/api/v3/", "usdm": "/fapi/v1/", "coinm": "/dapi/v1/"}
AGGREGATES_BEHIND = 2_500_000_000
"""Aggregates have ids of their own: a trade's less this. Each print of the model is one of its own,
since a taker's prints are at different prices."""
_DEPTHS = {"usdm": (5, 10, 20, 50, 100, 500, 1000), "coinm": (5, 10, 20, 50, 100, 500, 1000)}
_SPOT_MOST = 5_000
_DEPTH_WEIGHTS = {
    "spot": ((100, 5), (500, 25), (1_000, 50), (5_000, 250)),
    "futures": ((50, 2), (100, 5), (500, 10), (1_000, 20)),
}
_WEIGHTS = {
    "spot": {
        "exchangeInfo": 20,
        "trades": 25,
        "historicalTrades": 25,
        "aggTrades": 4,
        "klines": 2,
        "ticker/bookTicker": 2,
    },
    "futures": {"trades": 5, "historicalTrades": 20, "aggTrades": 20, "ticker/bookTicker": 2},
}


class BadRequestError(Exception):
    """What Binance answers with 400."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer(market: str, venue: Venue, path: str, query: Query) -> Answer:
    """The answer to a request; 404 for a path that is not served here."""
    prefix = PREFIXES[market]
    make = _ROUTES.get(path.removeprefix(prefix)) if path.startswith(prefix) else None
    if make is None:
        return Answer('{"code":-1000,"msg":"not served by the simulator"}', 404)
    try:
        body = make(market, venue, query)
    except BadRequestError as error:
        return Answer(_encode({"code": error.code, "msg": str(error)}), 400)
    return Answer(_encode(body))


def weight(market: str, path: str, query: Query) -> int:
    """What a request counts against the limit, as of mid 2026."""
    kind = path.removeprefix(PREFIXES[market])
    limit = _whole(query, "limit", 500)
    if kind == "depth":
        steps = _DEPTH_WEIGHTS["spot" if market == "spot" else "futures"]
        return next((counts for most, counts in steps if limit <= most), steps[-1][1])
    if market != "spot" and kind == "klines":
        return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
    return _WEIGHTS["spot" if market == "spot" else "futures"].get(kind, 1)


_encode = msgspec.json.encode


def _instrument(venue: Venue, query: Query) -> Instrument:
    name = query.get("symbol", "")
    if not name:
        raise BadRequestError(
            -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
        )
    found = venue.find(name)
    if found is None:
        raise BadRequestError(-1121, "Invalid symbol.")
    return found


def _whole(query: Query, name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.lstrip("-").isdigit() else default


def _ping(market: str, venue: Venue, query: Query) -> Any:
    return {}


def _time(market: str, venue: Venue, query: Query) -> Any:
    return {"serverTime": venue.now_ms()}


def _exchange_info(market: str, venue: Venue, query: Query) -> Any:
    wanted = [query["symbol"]] if "symbol" in query else []
    if "symbols" in query:
        wanted = msgspec.json.decode(query["symbols"])
    for name in wanted:
        if name not in venue.listings:
            raise BadRequestError(-1121, "Invalid symbol.")
    entries = [venue.listings[name] for name in wanted] or list(venue.listings.values())
    return {
        "timezone": "UTC",
        "serverTime": venue.now_ms(),
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": venue.desk.limits.rest_weight,
            }
        ],
        "exchangeFilters": [],
        "symbols": entries,
    }


def _depth(market: str, venue: Venue, query: Query) -> Any:
    instrument = _instrument(venue, query)
    limit = _whole(query, "limit", 100 if market == "spot" else 500)
    allowed = _DEPTHS.get(market)
    if (allowed is not None and limit not in allowed) or not limit > 0:
        raise BadRequestError(-4021, f"{limit} is not valid depth limit")
    book = instrument.book()
    if book is None:
        raise BadRequestError(-1000, "no book of it was published yet")
    bids, asks = book.sides(min(limit, _SPOT_MOST))
    body: dict[str, Any] = {"lastUpdateId": book.sequence}
    if market != "spot":
        body |= {"E": venue.now_ms(), "T": book.time_ms}
    if market == "coinm":
        body |= {"symbol": instrument.symbol}
    return body | {"bids": bids, "asks": asks}


def _trade(trade: Print) -> dict[str, Any]:
    return {
        "id": int(trade.id),
        "price": trade.price,
        "qty": trade.quantity,
        "quoteQty": f"{Decimal(trade.price) * Decimal(trade.quantity):f}",
        "time": trade.time_ms,
        "isBuyerMaker": trade.sold,
        "isBestMatch": True,
    }


def _trades(market: str, venue: Venue, query: Query) -> Any:
    prints = [row for row in _instrument(venue, query).prints() if not row.first]
    return [_trade(row) for row in prints[-min(_whole(query, "limit", 500), 1_000) :]]


def _historical(market: str, venue: Venue, query: Query) -> Any:
    prints = [row for row in _instrument(venue, query).prints() if not row.first]
    limit = min(_whole(query, "limit", 500), 1_000)
    if "fromId" not in query:
        return [_trade(row) for row in prints[-limit:]]
    start = _whole(query, "fromId", 0)
    return [_trade(row) for row in prints if int(row.id) >= start][:limit]


def _aggregate(trade: Print) -> dict[str, Any]:
    own = bool(trade.first)
    number = int(trade.id)
    return {
        "a": number if own else number - AGGREGATES_BEHIND,
        "p": trade.price,
        "q": trade.quantity,
        "f": int(trade.first) if own else number,
        "l": int(trade.last) if own else number,
        "T": trade.time_ms,
        "m": trade.sold,
    }


def _aggregates(market: str, venue: Venue, query: Query) -> Any:
    rows = [_aggregate(row) for row in _instrument(venue, query).prints()]
    limit = min(_whole(query, "limit", 500), 1_000)
    if "fromId" in query:
        start = _whole(query, "fromId", 0)
        return [row for row in rows if row["a"] >= start][:limit]
    if "startTime" in query or "endTime" in query:
        start, end = _whole(query, "startTime", 0), _whole(query, "endTime", 1 << 62)
        return [row for row in rows if start <= row["T"] <= end][:limit]
    return rows[-limit:]


def _klines(market: str, venue: Venue, query: Query) -> Any:
    instrument = _instrument(venue, query)
    if query.get("interval") != "1m":
        raise BadRequestError(-1120, "Invalid interval.")
    start, end = _whole(query, "startTime", 0), _whole(query, "endTime", 1 << 62)
    rows = [row for at, row in instrument.candles().items() if start <= at <= end]
    limit = min(_whole(query, "limit", 500), 1_000 if market == "spot" else 1_500)
    return rows[:limit] if "startTime" in query else rows[-limit:]


def _book_ticker(market: str, venue: Venue, query: Query) -> Any:
    if "symbol" in query:
        found = _quote(market, _instrument(venue, query))
        if found is None:
            raise BadRequestError(-1000, "no quote of it was published yet")
        return found
    quotes = [_quote(market, i) for i in venue.instruments.values() if not i.delisted]
    return [quote for quote in quotes if quote is not None]


def _quote(market: str, instrument: Instrument) -> dict[str, Any] | None:
    data = instrument.last("quote")
    if not data:
        return None
    said = msgspec.json.decode(data)["data"]
    quote = {
        "symbol": said["s"],
        "bidPrice": said["b"],
        "bidQty": said["B"],
        "askPrice": said["a"],
        "askQty": said["A"],
    }
    if market != "spot":
        quote |= {"time": said["T"], "lastUpdateId": said["u"]}
    return quote


def _premium(market: str, venue: Venue, query: Query) -> Any:
    if market == "spot":
        raise BadRequestError(-1000, "spot has no mark price")
    one = [_instrument(venue, query)] if "symbol" in query else list(venue.instruments.values())
    rows = [_index(data) for i in one if not i.delisted and (data := i.last("mark"))]
    return rows[0] if "symbol" in query and rows else rows


def _index(data: bytes) -> dict[str, Any]:
    said = msgspec.json.decode(data)["data"]
    return {
        "symbol": said["s"],
        "markPrice": said["p"],
        "indexPrice": said["i"],
        "estimatedSettlePrice": said["P"],
        "lastFundingRate": said["r"],
        "interestRate": "0.00010000",
        "nextFundingTime": said["T"],
        "time": said["E"],
    }


def _no_rates(market: str, venue: Venue, query: Query) -> Any:
    """The model settles no funding."""
    return []


_ROUTES: dict[str, Callable[[str, Venue, Query], Any]] = {
    "ping": _ping,
    "time": _time,
    "exchangeInfo": _exchange_info,
    "depth": _depth,
    "trades": _trades,
    "historicalTrades": _historical,
    "aggTrades": _aggregates,
    "klines": _klines,
    "ticker/bookTicker": _book_ticker,
    "premiumIndex": _premium,
    "fundingRate": _no_rates,
}
