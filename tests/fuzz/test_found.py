"""What fuzzing found, in its smallest form, and what made sure that it stays mended."""

import gzip
import io

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from tests.fuzz.mutation import Case
from tests.fuzz.targets import TARGETS

BINANCE, OKX = b"https://api.binance.com/api/v3/", b"https://www.okx.com/api/v5/"
DEEP = b"[" * 2_000


def feather() -> bytes:
    table = pa.table({"date": ["2024-01-01"], "open": [1.0], "high": [1.0], "low": [1.0],
                      "close": [1.0], "volume": [1.0]})  # fmt: skip
    out = io.BytesIO()
    pyarrow.feather.write_feather(table, out, "uncompressed")
    return out.getvalue()


def parquet() -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"time": [1], "price": [1.0], "quantity": [1.0]}), out)
    return out.getvalue()


FOUND = {
    "request that is no URL": ("feed-binance", b"binance-spot https://[", b"[]"),
    "request with a bad host": ("feed-okx", b"okx-spot https://a]b", b"{}"),
    "level without a quantity": (
        "feed-binance", b"binance-spot " + BINANCE + b"depth?symbol=BTCUSDT",
        b'{"lastUpdateId":7,"bids":[["1"]],"asks":[["2","1"]]}'),
    "limit of a request in other digits": (
        "feed-binance", b"binance-spot " + BINANCE + "depth?symbol=BTCUSDT&limit=²".encode(),
        b'{"lastUpdateId":7,"bids":[["1","1"]],"asks":[["2","1"]]}'),
    "time that no 64 bits hold": (
        "feed-binance", b"binance-usdm ",
        b'{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1","r":"0","T":"9223376854775808"}'),
    "integer that no float holds": (
        "feed-binance", b"binance-usdm ",
        b'{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1","r":"0","T":1' + b"1" * 400 + b"}"),
    "count of fills that no event holds": (
        "feed-okx", b"okx-spot ",
        b'{"arg":{"channel":"trades","instId":"A-B"},"data":[{"instId":"A-B","tradeId":"1",'
        b'"px":"1","sz":"3","side":"buy","ts":"4","count":9223372036854775808}]}'),
    "ids of an aggregate that are far apart": (
        "feed-binance", b"binance-spot ",
        b'{"e":"aggTrade","E":1,"s":"BTCUSDT","a":1,"p":"1","q":"1","f":0,"l":4611686018427387904,'
        b'"T":1,"m":true}'),
    "candle that begins after all time": (
        "feed-okx", b"okx-spot ",
        b'{"arg":{"channel":"candle1m","instId":"A-B"},"data":[[1e18,8,9,1,5,5,0]]}'),
    "number of trades of a candle": (
        "feed-binance", b"binance-spot " + BINANCE + b"klines?symbol=BTCUSDT&interval=1m",
        b'[[0,"1","1","1","1","1",9,"1",9223372036854775808,"1","1",""]]'),
    "index of a day after all days": (
        "news", b"alternative ",
        b'{"data":[{"value":"0","value_classification":"","timestamp":"53402300800000"}]}'),
    "acknowledgement that is not UTF-8": ("dialects", b"- ", b'{"event":"\xff"}'),
    "refusal that is not UTF-8": ("dialects", b"- ", b'{"code":"1","msg":"\xfe"}'),
    "message nested too deep": ("dialects", b"- ", b'{"a":' + DEEP),
    "frame nested too deep": ("feed-bybit", b"bybit-spot ", b'{"topic":' + DEEP),
    "fault that is not UTF-8": ("control", b"fault", b'"\x80"'),
    "configuration that is not UTF-8": ("configuration", b"toml", b"\xbc"),
    "schema without a name": ("schemas", b"", b'{"type":"record"}'),
    "schema whose fields are none": (
        "schemas", b"", b'{"type":"record","name":"Trade","fields":[7]}'),
    "schema of an unknown kind": (
        "schemas", b"", b'{"type":"record","name":"Trade","fields":[{"name":"venue","type":{}}]}'),
    "header of a capture that is not UTF-8": (
        "import", b"x.jsonl", b'{"t":"header","order":"\xff"}\n'),
    "line of a capture that is not UTF-8": (
        "import", b"x.jsonl", b'{"t":"recv","conn":"1","ts":1.0,"data":"\xff"}\n'),
    "line of a capture at an endless time": (
        "import", b"x.jsonl", b'{"t":"recv","conn":"1","ts":1e308,"data":"{}"}\n'),
    "address of a capture that is no URL": (
        "import", b"x.jsonl", b'{"t":"recv","conn":"1","ts":1.0,"url":"http://[","data":"{}"}\n'),
    "line with a return in it": ("import", b"x.csv", b"\r\x86"),
    "row that is not UTF-8": ("import", b"binance_ETH_BTC-5m.json", b'[[1,"\xff",3,4,5,6]]'),
    "row with a number out of range": ("import", b"binance_ETH_BTC-5m.json", b"[[1,1e395]]"),
    "price that no float holds": (
        "import", b"binance_XRPETH_aggTrades.json",
        b'[{"timestamp":1723161254000,"price":1' + b"1" * 400 + b',"amount":1}]'),
    "fills of a row that no event holds": (
        "import", b"binance_XRPETH_aggTrades.json",
        b'[{"timestamp":1723161254000,"price":1,"amount":1,"info":{"f":0,"l":9223372036854775807}}]'),
    "archive that begins before its file": (
        "import", b"x.zip",
        b"PK\x03\x04PK\x01\x02" + b"\0" * 26 + b"\xff" * 16 + b"PK\x05\x06" + b"\0" * 6 + b"\1\0"
        + b"\x2e\0\0\0\xff\xff\xff\x7f\0\0"),
    "feather with damaged columns": (
        "import", b"binance_BTCUSDT-1m.feather", feather().replace(b"volume", b"\xff" * 6)),
    "feather with a damaged length": (
        "import", b"binance_BTCUSDT-1m.feather", feather()[:-40] + b"\x7f" * 20 + feather()[-20:]),
    "parquet with damaged pages": (
        "import", b"binance_BTCUSDT-trades.parquet", b"PAR1" + b"\xff" * 40 + parquet()[44:]),
    "gzip of zeros": ("import", b"x.csv.gz", gzip.compress(b"\0" * 4_000_000, mtime=0)),
}  # fmt: skip


@pytest.mark.parametrize(("target", "head", "body"), FOUND.values(), ids=FOUND)
def test_what_fuzzing_found_is_taken_or_refused_in_order(
    target: str, head: bytes, body: bytes
) -> None:
    TARGETS[target]().run(Case(head, body))
