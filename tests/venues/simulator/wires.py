"""An independent reading of the three wire formats, by the documents and not by our parsers.

Shares no code with venues/: what it accepts is what the documents allow.
"""

import json
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from venues.frames import Frame

Key = tuple[str, str]


@dataclass
class Book:
    """A book rebuilt from snapshots and diffs."""

    bids: dict[str, str] = field(default_factory=dict)
    asks: dict[str, str] = field(default_factory=dict)
    sequence: int | None = None

    def reset(self, bids: list[list[str]], asks: list[list[str]], sequence: int) -> None:
        self.bids = {level[0]: level[1] for level in bids}
        self.asks = {level[0]: level[1] for level in asks}
        self.sequence = sequence

    def apply(self, bids: list[list[str]], asks: list[list[str]], sequence: int) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for level in levels:
                if float(level[1]) == 0:
                    side.pop(level[0], None)
                else:
                    side[level[0]] = level[1]
        self.sequence = sequence

    def best(self) -> tuple[str, str, str, str]:
        bid, ask = max(self.bids, key=float), min(self.asks, key=float)
        return bid, self.bids[bid], ask, self.asks[ask]


class Reader:
    """Follows every stream and fails at the first thing the documents do not allow."""

    def __init__(self) -> None:
        self.books: dict[Key, Book] = defaultdict(Book)
        self.recent: dict[Key, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=64))
        """Binance's last diffs: a REST snapshot is older than the newest of them."""
        self.last: dict[Key, int] = {}
        self.kinds: dict[tuple[str, str], int] = defaultdict(int)
        self.trades: dict[Key, list[tuple[int, str, str, str, str]]] = defaultdict(list)
        """(time ms, id, price, size, side)"""
        self.klines: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        self.quotes: dict[Key, list[tuple[int, tuple[str, str, str, str]]]] = defaultdict(list)
        """(sequence, (bid, size, ask, size))"""
        self.diffs = 0
        self.snapshots = 0
        self.tops: list[tuple[Key, int, tuple[str, str, str, str]]] = []
        """The rebuilt best after every diff with its sequence."""
        self.other: list[tuple[Frame, dict[str, Any]]] = []

    def read(self, frame: Frame) -> None:
        message = json.loads(frame.data)
        exchange = frame.venue.partition("-")[0]
        if exchange == "cryptopanic":
            self.kinds[frame.venue, "news"] += len(message["results"])
            self.other.append((frame, message))
        else:
            getattr(self, f"_{exchange}")(frame, message)

    # Binance

    def _binance(self, frame: Frame, message: dict[str, Any]) -> None:
        if frame.request:
            self._binance_rest(frame, message)
            return
        if "stream" not in message:
            assert message == {"result": None, "id": 1}
            return
        data = message["data"]
        name, kind = message["stream"].split("@", 1)
        assert name == data["s"].lower()
        key = (frame.venue, data["s"])
        self.kinds[frame.venue, kind] += 1
        if kind == "depth@100ms":
            self._binance_diff(key, data)
        elif kind == "trade":
            side = "sell" if data["m"] else "buy"
            self.trades[key].append((data["T"], str(data["t"]), data["p"], data["q"], side))
        elif kind == "bookTicker":
            self.quotes[key].append((data["u"], (data["b"], data["B"], data["a"], data["A"])))
        elif kind == "kline_1m":
            self.klines[key].append(data["k"])
        else:
            self.other.append((frame, message))

    def _binance_rest(self, frame: Frame, message: dict[str, Any]) -> None:
        if "exchangeInfo" in frame.request:
            self.kinds[frame.venue, "instruments"] += len(message["symbols"])
            return
        name = frame.request.split("symbol=")[1].split("&")[0]
        key = (frame.venue, name)
        self.snapshots += 1
        self.books[key].reset(message["bids"], message["asks"], message["lastUpdateId"])
        for data in self.recent[key]:
            self._binance_apply(key, data)

    def _binance_diff(self, key: Key, data: dict[str, Any]) -> None:
        futures = key[0] == "binance-usdm"
        before = self.last.get(key)
        assert data["U"] <= data["u"]
        if before is not None:
            chain = data["pu"] if futures else data["U"] - 1
            assert chain == before, f"{key}: gap after {before}, diff was {data['U']}"
        self.last[key] = data["u"]
        self.recent[key].append(data)
        if self.books[key].sequence is not None:
            self._binance_apply(key, data)

    def _binance_apply(self, key: Key, data: dict[str, Any]) -> None:
        book, futures = self.books[key], key[0] == "binance-usdm"
        known = book.sequence
        assert known is not None
        if data["u"] < known or (not futures and data["u"] <= known):
            return
        if futures:
            assert data["U"] <= known <= data["u"] or data["pu"] == known
        else:
            assert data["U"] <= known + 1 <= data["u"]
        self._applied(key, data["b"], data["a"], data["u"])

    # Bybit

    def _bybit(self, frame: Frame, message: dict[str, Any]) -> None:
        if frame.request:
            assert message["retCode"] == 0
            self.kinds[frame.venue, "instruments"] += len(message["result"]["list"])
            return
        if "op" in message:
            assert message["success"] is True
            return
        topic, _, name = message["topic"].rpartition(".")
        key = (frame.venue, name)
        self.kinds[frame.venue, topic] += 1
        data = message["data"]
        if topic == "orderbook.200":
            self._bybit_book(key, message["type"], data)
        elif topic == "orderbook.1":
            self._bybit_top((f"{frame.venue} top", name), message["type"], data)
        elif topic == "publicTrade":
            for row in data:
                at = (row["T"], row["i"], row["p"], row["v"], row["S"].lower())
                self.trades[key].append(at)
        elif topic == "kline.1":
            self.klines[key].extend(data)
        else:
            self.other.append((frame, message))

    def _bybit_book(self, key: Key, kind: str, data: dict[str, Any]) -> None:
        if kind == "snapshot":
            self.snapshots += 1
            self.books[key].reset(data["b"], data["a"], data["u"])
            return
        assert self.books[key].sequence == data["u"] - 1
        self._applied(key, data["b"], data["a"], data["u"])

    def _bybit_top(self, key: Key, kind: str, data: dict[str, Any]) -> None:
        book = self.books[key]
        if kind == "snapshot":
            assert book.sequence in (None, data["u"])
            book.reset(data["b"], data["a"], data["u"])
        else:
            assert book.sequence == data["u"] - 1
            book.apply(data["b"], data["a"], data["u"])
        assert len(book.bids) == len(book.asks) == 1
        self.quotes[key].append((data["u"], book.best()))

    # OKX

    def _okx(self, frame: Frame, message: dict[str, Any]) -> None:
        if frame.request:
            assert message["code"] == "0"
            self.kinds[frame.venue, "instruments"] += len(message["data"])
            return
        channel, name = message["arg"]["channel"], message["arg"]["instId"]
        assert (channel == "candle1m") == frame.connection.endswith("business")
        if message.get("event") == "subscribe":
            return
        key = (frame.venue, name)
        self.kinds[frame.venue, channel] += 1
        rows = message["data"]
        if channel == "books":
            self._okx_book(key, message["action"], rows[0])
        elif channel == "trades":
            for row in rows:
                at = (int(row["ts"]), row["tradeId"], row["px"], row["sz"], row["side"])
                self.trades[key].append(at)
        elif channel == "bbo-tbt":
            (ask,), (bid,) = rows[0]["asks"], rows[0]["bids"]
            self.quotes[key].append((rows[0]["seqId"], (bid[0], bid[1], ask[0], ask[1])))
        elif channel == "candle1m":
            self.klines[key].extend(rows)
        else:
            self.other.append((frame, message))

    def _okx_book(self, key: Key, action: str, data: dict[str, Any]) -> None:
        assert data["checksum"] == 0
        if action == "snapshot":
            assert data["prevSeqId"] == -1
            self.snapshots += 1
            self.books[key].reset(data["bids"], data["asks"], data["seqId"])
            return
        assert data["prevSeqId"] == self.books[key].sequence
        self._applied(key, data["bids"], data["asks"], data["seqId"])

    def _applied(
        self, key: Key, bids: list[list[str]], asks: list[list[str]], sequence: int
    ) -> None:
        self.diffs += 1
        book = self.books[key]
        book.apply(bids, asks, sequence)
        best = book.best()
        assert float(best[0]) < float(best[2]), f"{key}: crossed at {sequence}"
        self.tops.append((key, sequence, best))
