"""Bybit's REST answers, made of what was streamed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from venues.simulator.server.memory import Instrument
from venues.simulator.server.venue import Answer, Venue

Query = Mapping[str, str]

_MOST_TRADES = {"spot": 60, "linear": 1_000}
_MOST_LEVELS = {"spot": 200, "linear": 500}
_PARAMS_ERROR = 10001


class ParamsError(Exception):
    """What Bybit answers with a retCode."""


def answer(category: str, venue: Venue, path: str, query: Query) -> Answer:
    """The answer to a request; 404 for a path that is not served here."""
    make = _ROUTES.get(path.removeprefix("/v5/market/")) if path.startswith("/v5/") else None
    if make is None:
        return Answer('{"retCode":404,"retMsg":"not served by the simulator"}', 404)
    code, text, result = 0, "OK", {}
    try:
        if path != "/v5/market/time" and query.get("category") != category:
            raise ParamsError(f"params error: category invalid, this address is of {category}")
        result = make(category, venue, query)
    except ParamsError as error:
        code, text = _PARAMS_ERROR, str(error)
    return Answer(
        msgspec.json.encode(
            {
                "retCode": code,
                "retMsg": text,
                "result": result,
                "retExtInfo": {},
                "time": venue.now_ms(),
            }
        )
    )


def _whole(query: Query, name: str, default: int, most: int) -> int:
    text = query.get(name, "")
    return min(int(text), most) if text.isdigit() and int(text) else min(default, most)


def _instrument(venue: Venue, query: Query) -> Instrument:
    found = venue.find(query.get("symbol", ""))
    if found is None:
        raise ParamsError("params error: symbol invalid")
    return found


def _time(category: str, venue: Venue, query: Query) -> dict[str, Any]:
    ms = venue.now_ms()
    return {"timeSecond": str(ms // 1000), "timeNano": str(ms * 1_000_000)}


def _instruments(category: str, venue: Venue, query: Query) -> dict[str, Any]:
    """Spot gives all at once; linear pages."""
    entries = list(venue.listings.values())
    if "symbol" in query:
        entries = [entry for entry in entries if entry["symbol"] == query["symbol"]]
    if category == "spot":
        return {"category": category, "list": entries}
    start = _whole(query, "cursor", 0, 1 << 31)
    limit = _whole(query, "limit", 500, 1_000)
    more = start + limit < len(entries)
    return {
        "category": category,
        "list": entries[start : start + limit],
        "nextPageCursor": str(start + limit) if more else "",
    }


def _book(category: str, venue: Venue, query: Query) -> dict[str, Any]:
    instrument = _instrument(venue, query)
    book = instrument.book()
    if book is None:
        raise ParamsError("no book of it was published yet")
    default = 1 if category == "spot" else 25
    bids, asks = book.sides(_whole(query, "limit", default, _MOST_LEVELS[category]))
    return {
        "s": instrument.symbol,
        "b": bids,
        "a": asks,
        "ts": book.time_ms + 1,
        "u": book.sequence,
        "seq": book.second_sequence,
        "cts": book.time_ms,
    }


def _trades(category: str, venue: Venue, query: Query) -> dict[str, Any]:
    """The newest first."""
    instrument = _instrument(venue, query)
    limit = _whole(query, "limit", 500, _MOST_TRADES[category])
    newest = list(instrument.prints())[-limit:]
    rows = [
        {
            "execId": row.id,
            "symbol": instrument.symbol,
            "price": row.price,
            "size": row.quantity,
            "side": "Sell" if row.sold else "Buy",
            "time": str(row.time_ms),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(row.sequence),
        }
        for row in reversed(newest)
    ]
    return {"category": category, "list": rows}


def _klines(category: str, venue: Venue, query: Query) -> dict[str, Any]:
    """The newest first."""
    instrument = _instrument(venue, query)
    if query.get("interval") != "1":
        raise ParamsError("params error: interval invalid, the simulator has 1")
    start = _whole(query, "start", 0, 1 << 62)
    end = _whole(query, "end", 1 << 62, 1 << 62)
    rows = [row for at, row in instrument.candles().items() if start <= at <= end]
    newest = rows[-_whole(query, "limit", 200, 1_000) :]
    return {"symbol": instrument.symbol, "category": category, "list": newest[::-1]}


def _tickers(category: str, venue: Venue, query: Query) -> dict[str, Any]:
    if "symbol" in query:
        wanted = [_instrument(venue, query)]
    else:
        wanted = [i for i in venue.instruments.values() if not i.delisted]
    rows = [_ticker(category, instrument) for instrument in wanted]
    return {"category": category, "list": [row for row in rows if row]}


def _ticker(category: str, instrument: Instrument) -> dict[str, Any]:
    """Spot's stream of tickers has no quote; by REST there is one."""
    row = dict(instrument.ticker())
    top = instrument.book("top")
    if category == "spot" and top is not None:
        bids, asks = top.sides(1)
        for side, levels in (("bid1", bids), ("ask1", asks)):
            if levels:
                row[f"{side}Price"], row[f"{side}Size"] = levels[0][0], levels[0][1]
        row.setdefault("symbol", instrument.symbol)
    return row


def _rates(category: str, venue: Venue, query: Query) -> dict[str, Any]:
    """The model settles no funding."""
    return {"category": category, "list": []}


_ROUTES: dict[str, Callable[[str, Venue, Query], dict[str, Any]]] = {
    "time": _time,
    "instruments-info": _instruments,
    "orderbook": _book,
    "recent-trade": _trades,
    "kline": _klines,
    "tickers": _tickers,
    "funding/history": _rates,
}
