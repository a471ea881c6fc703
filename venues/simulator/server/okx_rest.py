"""OKX's REST answers, made of what was streamed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from venues.simulator.server.memory import Instrument
from venues.simulator.server.venue import Answer, Venue

Query = Mapping[str, str]
Rows = list[Any]


class ParameterError(Exception):
    """What OKX answers with a code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def answer(kind: str, venue: Venue, path: str, query: Query) -> Answer:
    """The answer to a request; 404 for a path that is not served here."""
    make = _ROUTES.get(path.removeprefix("/api/v5/")) if path.startswith("/api/v5/") else None
    if make is None:
        return Answer('{"code":"404","msg":"not served by the simulator","data":[]}', 404)
    code, text, rows = "0", "", []
    try:
        rows = make(kind, venue, query)
    except ParameterError as error:
        code, text = error.code, str(error)
    return Answer(msgspec.json.encode({"code": code, "msg": text, "data": rows}))


def _whole(query: Query, name: str, default: int, most: int = 1 << 62) -> int:
    text = query.get(name, "")
    return min(int(text), most) if text.isdigit() else default


def _instrument(venue: Venue, query: Query) -> Instrument:
    name = query.get("instId", "")
    if not name:
        raise ParameterError("50014", "Parameter instId can not be empty.")
    found = venue.find(name)
    if found is None:
        raise ParameterError(
            "51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
        )
    return found


def _time(kind: str, venue: Venue, query: Query) -> Rows:
    return [{"ts": str(venue.now_ms())}]


def _instruments(kind: str, venue: Venue, query: Query) -> Rows:
    """Another type than this address's has none listed."""
    if "instType" not in query:
        raise ParameterError("50014", "Parameter instType can not be empty.")
    if query["instType"] != kind:
        return []
    rows = list(venue.listings.values())
    if "instId" in query:
        rows = [row for row in rows if row["instId"] == query["instId"]]
    return rows


def _books(kind: str, venue: Venue, query: Query) -> Rows:
    book = _instrument(venue, query).book()
    if book is None:
        return []
    bids, asks = book.sides(_whole(query, "sz", 1, 400))
    row = {"asks": asks, "bids": bids, "ts": str(book.time_ms)}
    return [row | ({"seqId": book.sequence} if book.sequence else {})]


def _prints(instrument: Instrument) -> Rows:
    return [
        {
            "instId": instrument.symbol,
            "side": "sell" if row.sold else "buy",
            "sz": row.quantity,
            "source": "0",
            "px": row.price,
            "tradeId": row.id,
            "ts": str(row.time_ms),
        }
        for row in instrument.prints()
    ]


def _trades(kind: str, venue: Venue, query: Query) -> Rows:
    """The newest first."""
    return _prints(_instrument(venue, query))[-_whole(query, "limit", 100, 500) :][::-1]


def _history_trades(kind: str, venue: Venue, query: Query) -> Rows:
    """Newest first: those older than `after`, newer than `before`, by id or (type 2) by time."""
    by = "ts" if query.get("type") == "2" else "tradeId"
    rows = _between(_prints(_instrument(venue, query)), lambda row: int(row[by]), query)
    return rows[-_whole(query, "limit", 100, 100) :][::-1]


def _candles(most: int) -> Callable[[str, Venue, Query], Rows]:
    def make(kind: str, venue: Venue, query: Query) -> Rows:
        instrument = _instrument(venue, query)
        if query.get("bar", "1m") != "1m":
            raise ParameterError("51000", "Parameter bar error")
        rows = _between(list(instrument.candles().values()), lambda row: int(row[0]), query)
        return rows[-_whole(query, "limit", 100, most) :][::-1]

    return make


def _between(rows: Rows, key: Callable[[Any], int], query: Query) -> Rows:
    low, high = _whole(query, "before", -1), _whole(query, "after", 1 << 62)
    return [row for row in rows if low < key(row) < high]


def _ticker(kind: str, venue: Venue, query: Query) -> Rows:
    row = _instrument(venue, query).ticker()
    return [row] if row else []


def _tickers(kind: str, venue: Venue, query: Query) -> Rows:
    if query.get("instType") != kind:
        return []
    rows = [i.ticker() for i in venue.instruments.values() if not i.delisted]
    return [row for row in rows if row]


def _newest(which: str) -> Callable[[str, Venue, Query], Rows]:
    def make(kind: str, venue: Venue, query: Query) -> Rows:
        if "instId" in query:
            wanted = [_instrument(venue, query)]
        else:
            wanted = [i for i in venue.instruments.values() if not i.delisted]
        rows: Rows = []
        for instrument in wanted:
            data = instrument.last("mark" if which == "mark" else "funding")
            if data:
                rows += msgspec.json.decode(data)["data"]
        return rows

    return make


def _no_rates(kind: str, venue: Venue, query: Query) -> Rows:
    """The model settles no funding."""
    return []


_ROUTES: dict[str, Callable[[str, Venue, Query], Rows]] = {
    "public/time": _time,
    "public/instruments": _instruments,
    "public/mark-price": _newest("mark"),
    "public/funding-rate": _newest("funding"),
    "public/funding-rate-history": _no_rates,
    "market/books": _books,
    "market/books-full": _books,
    "market/trades": _trades,
    "market/history-trades": _history_trades,
    "market/candles": _candles(300),
    "market/history-candles": _candles(100),
    "market/ticker": _ticker,
    "market/tickers": _tickers,
}
