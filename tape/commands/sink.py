"""`tape sink`: stores topics in the database, exactly once, until it is stopped."""

import signal
import threading
from typing import Annotated

import typer

from tape import clients, config
from tape.stack.addresses import addresses


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="timescale, or topics of it, like bars; none: all."),
    ] = None,
) -> None:
    """Store the tape and all that is derived from it in TimescaleDB or PostgreSQL.

    Starts from the database's own offsets, waits while the database is away, and ends in
    order at SIGTERM or Ctrl-C. A second one of the same topics stands by. Serves /metrics,
    /healthz and /readyz (telemetry.port; by default a free one, which the first log line names).

    Example: `tape --tape h sink`; `tape --tape h sink bars reference` stores only these
    """
    settings = config.settings()

    from sinks.telemetry import Telemetry
    from sinks.timescale import NAME, TimescaleSink, topics_of
    from streams import logs
    from streams.telemetry import Metrics, Server

    topics = topics_of(names or [])
    settings = addresses(settings)
    logs.set_up(settings.telemetry, component="sink", tape=settings.tape)
    metrics = Metrics("sink", settings.tape)
    server = Server(settings.telemetry, metrics)
    log = logs.logger("sink")
    log.info("telemetry", address=server.address, topics=list(topics))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sink = TimescaleSink(
        settings.kafka,
        clients.registry(settings),
        settings.database,
        settings.database.url.get_secret_value(),
        settings.tape,
        topics,
        Telemetry(metrics, NAME),
    )
    try:
        sink.run(stop)
        log.info("ended")
    finally:
        server.close()
