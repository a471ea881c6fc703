"""The peer of `venues`: cryptofeed's exchange classes, driven with recorded frames.

Runs in an environment of its own. Each exchange class gets the frames through its own
`message_handler`, as its connections and its playback do; what it would ask of the network (the
instrument list, the snapshot) is answered from the recording. Callbacks do nothing.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from cryptofeed.connection import HTTPAsyncConn, HTTPSync
from cryptofeed.exchanges import EXCHANGE_MAP

logging.disable(logging.DEBUG)
CHANNELS = {"BINANCE": ["l2_book", "ticker", "trades", "candles"],
            "BINANCE_FUTURES": ["l2_book", "ticker", "trades", "candles"],
            "BYBIT": ["l2_book", "ticker", "trades", "candles", "funding", "index"],
            "OKX": ["l2_book", "ticker", "trades"]}  # fmt: skip


class Warnings(logging.Handler):
    """Counts what the peer complains of: a frame that it does not take must not count as parsed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


class Connection:
    """The address and subscription that some handlers look at."""

    uuid = "recorded"
    conn_type = "wss"

    def __init__(self, address: str, subscription: dict[str, list[str]]) -> None:
        self.address = address
        self.subscription = subscription

    async def write(self, *_: Any, **__: Any) -> None:
        """Subscriptions go nowhere."""


def make(group: dict[str, Any], callback: Any) -> tuple[Any, Connection]:
    """A fresh exchange object of a group and its connection."""
    instruments = [json.loads(answer) for answer in group["instruments"]]
    answers = iter(instruments)
    HTTPSync.read = lambda *_, **__: next(answers, {"data": [], "result": {"list": []}})
    snapshots = dict(group["snapshots"])

    async def read(_: Any, url: str, **__: Any) -> str:
        return str(snapshots[url.partition("symbol=")[2].partition("&")[0]])

    HTTPAsyncConn.read = read
    channels = CHANNELS[group["exchange"]]
    feed = EXCHANGE_MAP[group["exchange"]](
        symbols=group["symbols"], channels=channels, candle_closed_only=False,
        checksum_validation=True,
        callbacks={channel: callback for channel in channels},
    )  # fmt: skip
    pairs = [feed.std_symbol_to_exchange_symbol(symbol) for symbol in group["symbols"]]
    names = ["tickers", "funding", "index"]
    return feed, Connection(group["address"], dict.fromkeys(names, pairs))


async def drive(group: dict[str, Any], callback: Any) -> float:
    """Seconds of one pass over a group's frames."""
    feed, connection = make(group, callback)
    if group["exchange"] in ("BYBIT", "OKX"):
        connection_subscription, connection.subscription = connection.subscription, {}
        await feed.subscribe(connection)
        connection.subscription = connection_subscription
    handler, frames = feed.message_handler, group["frames"]
    begin = time.process_time()
    for text, received in frames:
        await handler(text, connection, received)
    return time.process_time() - begin


async def main(path: str) -> dict[str, Any]:
    """Frames a second of every group, with the callbacks made and the warnings given."""
    warnings = Warnings()
    logging.getLogger("feedhandler").addHandler(warnings)
    found: dict[str, Any] = {}
    for name, group in json.loads(Path(path).read_text()).items():
        calls = 0

        async def count(*_: Any) -> None:
            nonlocal calls
            calls += 1

        async def nothing(*_: Any) -> None:
            return

        warnings.count = 0
        await drive(group, count)
        seconds = sum([await drive(group, nothing) for _ in range(group["passes"])])
        found[name] = {
            "seconds": seconds,
            "frames": len(group["frames"]) * group["passes"],
            "callbacks": calls,
            "warnings": warnings.count,
        }
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
