"""The peer of `collect`: cryptofeed's Binance feed and Kafka backend, at a simulator's address.

Runs in an environment of its own, until it is killed: what came onto Kafka is read by the
benchmark. Every callback writes with acks from all replicas, as ours does.
"""

import argparse
import asyncio
import json

from cryptofeed import FeedHandler, connection
from cryptofeed.backends.kafka import BookKafka, TickerKafka, TradeKafka
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance


def main() -> None:
    """Collect until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("address", "bootstrap", "symbols"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    host = given.address.rstrip("/").removeprefix("http://")
    Binance.websocket_endpoints = [WebsocketEndpoint(f"wss://{host}/binance-spot")]
    Binance.rest_endpoints = [
        RestEndpoint(
            f"http://{host}/binance-spot",
            routes=Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}"),
        )
    ]
    # It refuses addresses without TLS; both sides are measured without.
    original = connection.connect
    connection.connect = lambda address, **more: original(address.replace("wss:", "ws:"), **more)
    settings = {"bootstrap_servers": given.bootstrap, "acks": "all"}
    callbacks = {
        TRADES: TradeKafka(**settings),
        L2_BOOK: BookKafka(**settings),
        TICKER: TickerKafka(**settings),
    }
    handler = FeedHandler(config={"log": {"disabled": True}, "uvloop": True})
    # It asks for a loop that newer versions of Python and uvloop no longer make by themselves.
    asyncio.set_event_loop(asyncio.new_event_loop())
    handler.add_feed(
        Binance(symbols=json.loads(given.symbols), channels=list(callbacks), callbacks=callbacks)
    )
    handler.run()


if __name__ == "__main__":
    main()
