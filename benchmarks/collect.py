"""`collect`: a simulator at full speed → tape, one collector process, in frames a second.

The peer is cryptofeed with its Kafka backend on the same simulator, symbols and channels (Binance
spot: trades, books, best bid and ask). A frame gives one record on both sides, so the figure is
the rate at which records reach Kafka. At full speed the peer reads without end and writes next to
nothing, so it is also offered lower rates, and its best counts.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks._simulated import collector_environment, simulator
from benchmarks._tapes import BenchTape, bench_tape
from benchmarks.harness import Result, compare, isolated_command, versions
from processors.config import ProcessorsConfig
from schemas.errors import StoreError
from streams.kafka import client_config, connect
from streams.topics import end_offsets

_PEER = "cryptofeed==2.4.1"
_RUNS = 3
_SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
_FULL_SPEED = ["--speed", "max", "--prepare", "400000"]
_OFFERED = {f"{rate}/s": ["--rate", str(rate)] for rate in (2_000, 4_000, 8_000)}
_SECONDS = 8.0
_WARM_UP_S = 4.0
_LIMIT_S = 120.0
_CHANNELS = '["trades", "book", "quote"]'


def run() -> Result:
    """Measure both sides, alternately."""
    ours: list[float] = []
    peer: list[float] = []
    offered: dict[str, list[int]] = {}
    for number in range(_RUNS):
        ours.append(_side(_ours, number, _FULL_SPEED))
        rates = {}
        for name, speed in {"full speed": _FULL_SPEED, **_OFFERED}.items():
            rates[name] = _side(_peer, number, speed)
            offered.setdefault(name, []).append(round(rates[name]))
        peer.append(max(rates.values()))
    return compare(
        "collect", "frames/s", ours, peer,
        {**versions("picows", "aiohttp", "confluent-kafka"), "peer": _PEER},
        symbols=_SYMBOLS, seconds=_SECONDS, peer_by_offered_rate=offered,
    )  # fmt: skip


def _side(side: Callable[[BenchTape, str, Path], float], number: int, speed: list[str]) -> float:
    arguments = [*speed, "--venue", "binance-spot", "--seed", str(number + 1)]
    for symbol in _SYMBOLS:
        arguments += ["--symbol", symbol]
    with (
        bench_tape(ProcessorsConfig()) as tape,
        TemporaryDirectory() as folder,
        simulator(arguments, Path(folder)) as address,
    ):
        return side(tape, address, Path(folder))


def _ours(tape: BenchTape, address: str, folder: Path) -> float:
    environment = collector_environment(tape, folder, CHANNELS=_CHANNELS)
    command = [sys.executable, "-m", "tape", "collect", "--address", address]
    command += ["--venues", "binance-spot", "--symbols", ",".join(_SYMBOLS)]
    with _running(command, environment, folder):
        return _rate(tape, [f"{tape.name}.tape"])


def _peer(tape: BenchTape, address: str, folder: Path) -> float:
    kinds = ("trades", "book", "ticker")
    names = [f"{kind}-BINANCE-{symbol}" for kind in kinds for symbol in _SYMBOLS]
    admin = AdminClient(client_config(tape.kafka))
    left = [name for name in names if name in admin.list_topics(timeout=10).topics]
    if left:  # of a run that was killed
        _wait(admin.delete_topics(left))
        time.sleep(1)
    _wait(admin.create_topics([NewTopic(name, 1, 1) for name in names]))
    try:
        script = Path(__file__).with_name("_collect_cryptofeed.py")
        command = isolated_command(
            script, _PEER, "--with", "aiokafka", "--with", "uvloop", arguments=(
                "--address", address, "--bootstrap", tape.kafka.bootstrap,
                "--symbols", '["' + '", "'.join(_SYMBOLS) + '"]',
            ),
        )  # fmt: skip
        with _running(command, dict(os.environ), folder):
            return _rate(tape, names)
    finally:
        _wait(admin.delete_topics(names))


def _wait(futures: dict[str, "Callable[[], None]"]) -> None:
    for future in futures.values():
        future.result(30)  # type: ignore[attr-defined]  # confluent-kafka's futures


@contextmanager
def _running(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
            if process.poll() is not None:
                raise StoreError(f"a side ended:\n{(folder / 'log').read_text()[-2000:]}")
        finally:
            os.killpg(process.pid, 9)
            process.wait(30)


def _rate(tape: BenchTape, names: list[str]) -> float:
    """Records a second on these topics, after the first ones."""
    admin = connect(tape.kafka)

    def total() -> int:
        return sum(sum(end_offsets(admin, name, 1)) for name in names)

    deadline = time.monotonic() + _LIMIT_S
    while not total():
        if time.monotonic() > deadline:
            raise StoreError(f"nothing came in {_LIMIT_S:.0f} s")
        time.sleep(0.1)
    time.sleep(_WARM_UP_S)
    began, before = time.monotonic(), total()
    time.sleep(_SECONDS)
    return (total() - before) / (time.monotonic() - began)
