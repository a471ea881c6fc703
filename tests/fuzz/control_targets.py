"""What people and their programs give: configuration, the simulator's control, subscriptions."""

import os
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from schemas.errors import TapeError
from tape import config
from tests.fuzz.log_targets import shared_memory
from tests.fuzz.mutation import Case, mutated
from tests.fuzz.target import Plain
from venues.simulator.market import Market
from venues.simulator.server.clock import MarketClock
from venues.simulator.server.fault import parse
from venues.simulator.server.session import Session
from venues.simulator.server.stage import Stage

_TOML = b"""\
tape = "live"
partitions = 16
symbols = ["BTC-USDT", "ETH-USDT"]
venues = ["binance-spot", "okx-swap"]

[kafka]
bootstrap = "127.0.0.1:19092"
security_protocol = "PLAINTEXT"

[processors]
symbols = []

[processors.bars]
intervals = ["1s", "1m"]
grace_ms = 500

[processors.quality]
stale_ms = 10000
stale_factor = 1.5

[collector]
address = "http://127.0.0.1:1"

[collector.spool]
max_bytes = 1000000

[worker]
snapshot_interval_s = 5.0

[telemetry]
port = 0
"""
_SETTINGS = (
    ("kafka.bootstrap", "host:9092"), ("processors.bars.intervals", "1s,5m"), ("partitions", "7"),
    ("processors.bars.intervals", '["1s", "1h"]'), ("venues", "binance-spot"), ("tape", "other"),
    ("worker.snapshot_interval_s", "1.5"), ("telemetry.port", "9100"), ("kafka.ssl_cafile", "x"),
    ("processors.reference.least_score", "0.5"), ("stack.home", "~/x"), ("database.url", "x://"),
    ("collector.spool.folder", "/tmp/x"), ("collector.channels", "[]"), ("stack.heap_mb", "512"),
)  # fmt: skip


class ConfigTarget(Plain):
    """A file, a variable and an option, loaded together; head: what the body is."""

    name = "configuration"

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(dir=shared_memory())

    def seeds(self) -> Sequence[Case]:
        found = [Case(b"toml", _TOML)] * 8
        for key, text in _SETTINGS:
            found.append(Case(b"set", f"{key}={text}".encode()))
            variable = "TAPE_" + key.upper().replace(".", "__")
            found.append(Case(b"variable", f"{variable}={text}".encode()))
        return found

    def case(self, seeds: Sequence[Case], pick: random.Random) -> Case:
        seed = pick.choice(seeds)
        return Case(seed.head, mutated(seed, seeds, pick, True).body)

    def run(self, case: Case) -> None:
        path = Path(self._folder.name) / "development.toml"
        path.write_bytes(case.body if case.head == b"toml" else b"")
        key, _, value = case.body.decode("utf-8", "surrogateescape").partition("=")
        given = {key: value} if case.head == b"set" else {}
        variables = {}
        if case.head == b"variable" and key and "\0" not in case.body.decode("latin-1"):
            variables = {"TAPE_" + key.removeprefix("TAPE_"): value}
        with patch.dict(os.environ, variables):
            try:
                found = config.load(given, "development", Path(self._folder.name))
                dict(config.flatten(found))
                config.to_environment(found)
            except TapeError as error:
                str(error)


class _Transport:
    """A client that takes all and says nothing."""

    def write(self, _: bytes) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


class ControlTarget(Plain):
    """The simulator's control JSON and what clients say on its WebSockets; head: whose."""

    name, block = "control", 256

    def __init__(self) -> None:
        self.reset()

    def seeds(self) -> Sequence[Case]:
        faults = (
            b'{"fault":"disconnect","venue":"binance-spot","seconds":2}', b'{"fault":"429"}',
            b'{"fault":"gap","symbol":"BTC-USDT","channel":"book","count":3,"at":1.5}',
            b'{"fault":"slow","delay_s":0.5,"repeat":true,"status":503,"connections":1}',
        )  # fmt: skip
        binance = (
            b'{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@aggTrade"],"id":1}',
            b'{"method":"UNSUBSCRIBE","params":["btcusdt@depth@100ms"],"id":"a"}',
            b'{"method":"LIST_SUBSCRIPTIONS","id":3}',
        )
        bybit = (
            b'{"op":"subscribe","args":["orderbook.50.BTCUSDT","publicTrade.BTCUSDT"],"req_id":"1"}',
            b'{"op":"unsubscribe","args":["kline.1.BTCUSDT"]}', b'{"op":"ping"}',
        )  # fmt: skip
        okx = (
            b'{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}],"id":"1"}',
            b'{"op":"unsubscribe","args":[{"channel":"candle1m","instId":"BTC-USDT"}]}', b"ping",
        )  # fmt: skip
        found = [Case(b"fault", data) for data in faults]
        for venue, said in (
            ("binance-spot", binance), ("binance-usdm", binance), ("bybit-spot", bybit),
            ("bybit-linear", bybit), ("okx-spot", okx), ("okx-swap", okx),
        ):  # fmt: skip
            found += [Case(venue.encode(), data) for data in said]
        return found

    def reset(self) -> None:
        market = Market(symbols=("BTC-USDT",), events_per_second=100.0)
        self._stage = Stage(market.venues, MarketClock(1.0), {})
        self._stage.open(next(market.seconds(books_at_once=True)), model=True)
        self._sessions = {
            name: Session(1, name, _Transport(), "/ws/v5/public", {})  # type: ignore[arg-type]
            for name in self._stage.venues
        }

    def run(self, case: Case) -> None:
        if case.head == b"fault":
            try:
                fault = parse(case.body)
                fault.venues(self._stage)
                fault.as_dict()
            except TapeError:
                return
            for venue in self._stage.venues.values():
                for channel in venue.channels.values():
                    fault.matches(channel)
            return
        venue = self._stage.venues.get(case.head.decode("utf-8", "replace"))
        if venue is None:
            return
        try:
            text = case.body.decode()
        except UnicodeDecodeError:  # aiohttp closes the connection then
            return
        session = self._sessions[venue.name]
        venue.desk.heard(venue, session, text)
        session.pending.clear()
