"""What every capture and sample is parsed to: the table, and the command that makes it.

`python -m tests.venues.samples` writes `samples.json` beside this file anew.
"""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.data import shared_data
from tests.venues import captures
from venues.feed import Feed
from venues.frames import Frame

TABLE = Path(__file__).with_name("samples.json")
NOW = 1_790_000_000_000_000
BINANCE, FUTURES = "https://api.binance.com/api/v3/", "https://fapi.binance.com/fapi/v1/"
BYBIT, OKX = "https://api.bybit.com/v5/market/", "https://www.okx.com/api/v5/"

# The URL that an answer among the samples was asked for by; the venues' documents have them.
# What is not here and not of a stream is asked for by its own name, which no parser takes.
REQUESTS = {
    "binance/spot/http_json/depth_response.json": BINANCE + "depth?symbol=BTCUSDT",
    "binance/spot/http_json/trades_response.json": BINANCE + "trades?symbol=BTCUSDT",
    "binance/spot/http_json/klines_response.json": BINANCE + "klines?symbol=BTCUSDT&interval=1m",
    "binance/spot/http_json/exchange_info_response.json": BINANCE + "exchangeInfo",
    "binance/spot/http_json/book_ticker_response.json": BINANCE + "ticker/bookTicker",
    "binance/py_http_responses/http_spot_market_trades.json": BINANCE + "trades?symbol=BTCUSDT",
    "binance/py_http_responses/http_spot_market_agg_trades.json":
        BINANCE + "aggTrades?symbol=BTCUSDT",
    "binance/py_http_responses/http_spot_market_klines.json":
        BINANCE + "klines?symbol=BTCUSDT&interval=1m",
    "binance/py_http_responses/http_spot_market_exchange_info.json": BINANCE + "exchangeInfo",
    "binance/py_http_responses/http_spot_market_book_ticker.json":
        BINANCE + "ticker/bookTicker?symbol=BTCUSDT",
    "binance/py_http_responses/http_futures_market_trades.json": FUTURES + "trades?symbol=BTCUSDT",
    "binance/py_http_responses/http_futures_market_agg_trades.json":
        FUTURES + "aggTrades?symbol=BTCUSDT",
    "binance/py_http_responses/http_futures_market_klines.json":
        FUTURES + "klines?symbol=BTCUSDT&interval=1w",
    "binance/py_http_responses/http_futures_market_continuous_klines.json":
        FUTURES + "continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m",
    "binance/py_http_responses/http_futures_market_exchange_info.json": FUTURES + "exchangeInfo",
    "binance/py_http_responses/http_futures_market_premium_index.json":
        FUTURES + "premiumIndex?symbol=BTCUSDT",
    "bybit/http_get_funding_history.json": BYBIT + "funding/history?category=linear&symbol=BTCUSDT",
    "bybit/http_get_instruments_inverse.json": BYBIT + "instruments-info?category=inverse",
    "bybit/http_get_instruments_linear.json": BYBIT + "instruments-info?category=linear",
    "bybit/http_get_instruments_option.json": BYBIT + "instruments-info?category=option",
    "bybit/http_get_instruments_spot.json": BYBIT + "instruments-info?category=spot",
    "bybit/http_get_orderbook.json": BYBIT + "orderbook?category=linear&symbol=BTCUSDT",
    "bybit/http_get_trades_recent.json": BYBIT + "recent-trade?category=linear&symbol=BTCUSDT",
    "okx/http_get_candlesticks.json": OKX + "market/candles?instId=BTC-USDT&bar=1m",
    "okx/http_get_funding_rate_history.json":
        OKX + "public/funding-rate-history?instId=BTC-USDT-SWAP",
    "okx/http_get_index_price.json": OKX + "market/index-tickers?instId=BTC-USDT",
    "okx/http_get_instruments_futures.json": OKX + "public/instruments?instType=FUTURES",
    "okx/http_get_instruments_option.json": OKX + "public/instruments?instType=OPTION",
    "okx/http_get_instruments_swap.json": OKX + "public/instruments?instType=SWAP",
    "okx/http_get_mark_price.json": OKX + "public/mark-price?instType=SWAP",
    "okx/http_get_option_summary.json": OKX + "public/opt-summary?uly=BTC-USD",
    "okx/http_get_order_book.json": OKX + "market/books?instId=BTC-USDT",
    "okx/http_get_trades.json": OKX + "market/trades?instId=BTC-USDT",
    "binance rest-api.md 4": BINANCE + "depth?symbol=BTCUSDT",
    "binance rest-api.md 6": BINANCE + "trades?symbol=BTCUSDT",
    "binance rest-api.md 8": BINANCE + "klines?symbol=BTCUSDT&interval=1w",
    "binance rest-api.md 21": BINANCE + "ticker/bookTicker",
    "bybit docs/v5/market/instrument.mdx 0": BYBIT + "instruments-info?category=option",
    "bybit docs/v5/market/kline.mdx 0": BYBIT + "kline?category=inverse&symbol=BTCUSD&interval=60",
    "bybit docs/v5/market/orderbook.mdx 0": BYBIT + "orderbook?category=spot&symbol=BTCUSDT",
    "bybit docs/v5/market/tickers.mdx 0": BYBIT + "tickers?category=inverse&symbol=BTCUSD",
    "bybit docs/v5/market/tickers.mdx 1": BYBIT + "tickers?category=option",
    "okx docs/okx/order/book/trading-market-data.md 0": OKX + "market/tickers?instType=SWAP",
    "okx docs/okx/order/book/trading-market-data.md 2": OKX + "market/books?instId=BTC-USDT",
    "okx docs/okx/order/book/trading-market-data.md 3": OKX + "market/books-full?instId=BTC-USDT",
    "okx docs/okx/order/book/trading-market-data.md 5": OKX + "market/candles?instId=BTC-USDT",
    "okx docs/okx/order/book/trading-market-data.md 35":
        OKX + "market/ticker?instId=BTC-USD-SWAP",
    "okx docs/okx/order/book/trading-market-data-get-candlesticks.md 0":
        OKX + "market/candles?instId=BTC-USDT",
    "okx docs/okx/order/book/trading-market-data-get-ticker.md 0":
        OKX + "market/ticker?instId=BTC-USD-SWAP",
    "okx docs/okx/order/book/trading-market-data-get-tickers.md 0":
        OKX + "market/tickers?instType=SWAP",
    "okx docs/okx/order/book/trading-market-data-get-trades-history.md 0":
        OKX + "market/history-trades?instId=BTC-USDT",
    "okx docs/okx/public/data/rest-api-get-funding-rate-history.md 0":
        OKX + "public/funding-rate-history?instId=BTC-USD-SWAP",
    "okx docs/okx/public/data/rest-api-get-funding-rate.md 0":
        OKX + "public/funding-rate?instId=BTC-USDT-SWAP",
}  # fmt: skip


def examples() -> Iterator[tuple[str, str, bytes]]:
    """(name, exchange, bytes) of every sample and every example of the documents."""
    root = shared_data()
    for exchange in ("binance", "bybit", "okx"):
        for file in sorted((root / "samples" / exchange).rglob("*.json")):
            yield str(file.relative_to(root / "samples")), exchange, file.read_bytes()
        with gzip.open(root / "docs_examples" / f"{exchange}_docs_json_examples.json.gz") as file:
            for item in json.load(file):
                name = f"{exchange} {item['file']} {item['n']}"
                yield name, exchange, json.dumps(item["example"]).encode()


def frame(name: str, exchange: str, data: bytes) -> Frame:
    """An example as it would be received."""
    request = REQUESTS.get(name, "")
    if not request and not _streamed(name, data):
        request = f"https://example.org/{name.replace(' ', '/')}"
    return Frame(_venue(name, exchange, request), name, NOW, data, request)


def _streamed(name: str, data: bytes) -> bool:
    """Whether an example came by WebSocket, by its name; the venues wrap REST's in a code."""
    answer = data.lstrip().startswith((b'{"code"', b'{"retCode"')) or b'"retCode"' in data[:40]
    rest = ("http_", "/http_json/", "rest-api", "errors.md", "-get-", "-post-", ".mdx", "sbe/")
    if any(part in name for part in rest):
        return ".mdx" in name and not answer
    return not answer


def _venue(name: str, exchange: str, request: str) -> str:
    if exchange == "binance":
        return "binance-usdm" if "futures" in name else "binance-spot"
    if exchange == "okx":
        return "okx-spot"
    return "bybit-spot" if "category=spot" in request else "bybit-linear"


def okx_instruments() -> list[Frame]:
    """OKX's instrument lists of the capture: without one, the size of a contract is unknown."""
    frames = captures.frames(captures.path("okx_v5_2022-05-13.jsonl.zst"))
    return [frame for frame in frames if frame.request]


def parsed(frames: list[Frame], before: list[Frame]) -> dict[str, int]:
    """What frames become: records, `ignored: KIND` and `refused: REASON`, with their numbers."""
    feed = Feed()
    for each in before:
        feed.receive(each)
    feed.ignored.clear()
    known = feed.counts
    for each in frames:
        feed.receive(each)
    feed.finish()
    found: Counter[str] = Counter()
    for (venue, _, record), number in (feed.counts - known).items():
        found[f"{venue} {record}"] += number
    for (venue, kind), number in feed.ignored.items():
        found[f"{venue} ignored: {kind}"] += number
    for letter in feed.refused:
        found[f"{letter.topic} refused: {letter.reason}"] += 1
    return dict(sorted(found.items()))


def table() -> dict[str, dict[str, int]]:
    """Every capture and example with what it is parsed to."""
    found = {path.name: parsed(captures.frames(path), []) for path in captures.paths()}
    instruments = okx_instruments()
    for name, exchange, data in examples():
        before = instruments if exchange == "okx" else []
        found[name] = parsed([frame(name, exchange, data)], before)
    return found


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), indent=0, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{TABLE} written\n")
