"""`tape collect`: the venues' markets and the news onto the tape, kept true."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import ConfigError
from tape import config
from tape.stack.addresses import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.drops import ByInstrument
    from tape.config import Settings
    from venues.live.measures import Summary

# On a terminal and elsewhere, seconds between lines that say how it goes.
_LINE_S, _LOG_LINE_S = 10.0, 60.0
# A recording goes on in another file from here on.
RECORD_MB = 1024

# What `tape record` has too.
Venues = Annotated[str, typer.Option(help="Venues, e.g. binance-spot,okx-swap (setting `venues`).")]
Symbols = Annotated[str, typer.Option(help="Canonical symbols, e.g. BTC-USDT (setting `symbols`).")]
Address = Annotated[
    str, typer.Option(help="One address for all venues: a simulator's (`tape sim`).")
]
Seconds = Annotated[
    float, typer.Option(help="End after so long; 0: at Ctrl-C or SIGTERM.", min=0.0)
]


def command(
    venues: Venues = "",
    symbols: Symbols = "",
    address: Address = "",
    seconds: Seconds = 0.0,
    name: Annotated[
        str, typer.Option(help="This collector's name in metrics, logs and spool.")
    ] = "collector",
    record: Annotated[
        Path | None, typer.Option(help="Keep the raw frames, too, in this file (`tape record`).")
    ] = None,
) -> None:
    """Collect the venues' markets, news and index onto the tape, until Ctrl-C or SIGTERM.

    Connections are kept and replaced before a venue cuts them; books are healed, missed trades
    and candles are fetched, duplicates left out. While Kafka is away all waits on disk. After a
    crash it goes on where the tape ends. Two collectors of the same venues may run at once, each
    with a --name of its own: every event takes effect once. docs/collect.md tells more.

    Serves /metrics, /healthz and /readyz (telemetry.port; by default a free one, which the first
    log line names). The settings are `collector.*`: `tape config show`.

    Example: `tape sim` in one terminal, `tape collect --address http://127.0.0.1:19443` in another
    """
    settings = addresses(chosen(venues, symbols, address), only=("kafka", "registry"))

    import asyncio
    import gc

    from streams import logs
    from streams.telemetry import Metrics, Server
    from tape.landing import land
    from venues.live.collector import Collector, Parts
    from venues.live.measures import CollectorMetrics, Summary
    from venues.live.recorder import Recorder

    logs.set_up(settings.telemetry, component="collector", collector=name, tape=settings.tape)
    log = logs.logger("tape.collect")
    metrics = Metrics("collector", settings.tape)
    server = Server(settings.telemetry, metrics)
    log.info("serving", metrics=f"{server.address}/metrics", kafka=settings.kafka.bootstrap)

    async def run() -> None:
        running: list[Collector] = []

        def on_dropped(counts: "ByInstrument") -> None:
            landing.incomplete = True
            for collector in running:
                collector.dropped(counts)

        recorder = Recorder(record, RECORD_MB << 20) if record else None
        landing = land(settings, name, on_dropped)
        writer = landing.writer
        parts = Parts(
            settings.collector, settings.venues, settings.symbols, writer, metrics.health, recorder
        )
        collector = Collector(parts, landing.tail)
        running.append(collector)
        CollectorMetrics(metrics.registry, collector, writer, name)
        beside = [
            asyncio.create_task(_tell(Summary(collector, writer))),
            asyncio.create_task(landing.recall(collector.recall)),
        ]
        if recorder:
            beside.append(asyncio.create_task(recorder.keep()))
        stop_at_signals(collector.stop)
        if seconds:
            asyncio.get_running_loop().call_later(seconds, collector.stop)
        # What is there by now stays: looking through it again would cost pauses.
        gc.freeze()
        try:
            await collector.run()
        finally:
            for task in beside:
                task.cancel()
            if recorder:
                recorder.close()
            unacknowledged = writer.flush()
            log.info(
                "ended", written=writer.written, spooled=writer.spooled.records,
                unacknowledged=unacknowledged, dropped=writer.dropped,
            )  # fmt: skip
            writer.close()
            server.close()

    asyncio.run(run())


def chosen(venues: str, symbols: str, address: str) -> "Settings":
    """The settings with the options in; ConfigError, with the nearest names, for wrong ones."""
    from venues.live.endpoints import base_address, require_venue

    settings = config.settings()
    update: dict[str, object] = {}
    if venues:
        update["venues"] = _listed(venues)
    if symbols:
        update["symbols"] = tuple(symbol.upper() for symbol in _listed(symbols))
    if address:
        update["collector"] = settings.collector.model_copy(
            update={"address": base_address(address)}
        )
    settings = settings.model_copy(update=update)
    for venue in settings.venues:
        require_venue(venue)
    if not settings.venues or not settings.symbols:
        raise ConfigError("nothing to collect: set `venues` and `symbols`")
    return settings


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


async def _tell(summary: "Summary") -> None:
    """Say now and then how it goes: often where a person looks."""
    import asyncio
    import sys

    from streams.logs import logger

    log = logger("tape.collect")
    while True:
        await asyncio.sleep(_LINE_S if sys.stderr.isatty() else _LOG_LINE_S)
        log.info("collected", **summary.take())


def stop_at_signals(stop: "Callable[[], None]") -> None:
    """End in order at Ctrl-C and SIGTERM."""
    import asyncio
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
