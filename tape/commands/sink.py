"""`tape sink`: stores topics in the database, exactly once, until it is stopped."""

import signal
import threading
from typing import Annotated

import typer

from schemas.registry import Registry
from sinks.telemetry import Telemetry
from sinks.timescale import NAME, TimescaleSink, topics_of
from streams import logs
from streams.telemetry import Metrics, Server
from tape import config
from tape.stack.addresses import addresses


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="timescale, or topics of it, like bars; none: all."),
    ] = None,
) -> None:
    """Store the tape and all that is derived from it in TimescaleDB or PostgreSQL.

    Starts from the database's own offsets, waits while the database is away, and ends in
    order at SIGTERM or Ctrl-C. A second one of the same topics stands by.
    """
    topics = topics_of(names or [])
    settings = addresses(config.settings())
    logs.set_up(settings.telemetry, component="sink", tape=settings.tape)
    metrics = Metrics("sink", settings.tape)
    server = Server(settings.telemetry, metrics)
    logs.logger("sink").info("telemetry", address=server.address, topics=list(topics))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    registry = settings.registry
    sink = TimescaleSink(
        settings.kafka,
        Registry(registry.url, registry.username, registry.password.get_secret_value()),
        settings.database,
        settings.database.url.get_secret_value(),
        settings.tape,
        topics,
        Telemetry(metrics, NAME),
    )
    try:
        sink.run(stop)
    finally:
        server.close()
