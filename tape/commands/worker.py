"""`tape worker`: derives books, bars and reference prices from the tape."""

import asyncio

from schemas.registry import Registry
from streams import logs
from streams.telemetry import Metrics, Server
from streams.warm import warm_up
from streams.worker import Parts, Worker
from tape import config, stack


def command() -> None:
    """Derive the tape's partitions, sharing them with other workers, until Ctrl-C or SIGTERM.

    Goes on where the last worker ended, however that was. Serves /metrics, /healthz and
    /readyz (telemetry.port; the log names a free one).
    """
    settings = stack.addresses(config.settings(), only=("kafka", "registry"))
    logs.set_up(settings.telemetry, component="worker", tape=settings.tape)
    log = logs.logger("tape.worker")
    metrics = Metrics("worker", settings.tape)
    server = Server(settings.telemetry, metrics)
    log.info("serving", metrics=f"{server.address}/metrics", kafka=settings.kafka.bootstrap)
    log.info("compiling", note="kernels; the first time on a machine this takes a while")
    warm_up()
    registry = settings.registry
    parts = Parts(
        settings.kafka,
        Registry(registry.url, registry.username, registry.password.get_secret_value()),
        settings.tape,
        settings.worker,
        settings.processors,
        metrics,
    )
    asyncio.run(Worker(parts).run())
