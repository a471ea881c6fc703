"""`tape worker`: derives books, bars and reference prices from the tape."""

from tape import clients, config
from tape.stack.addresses import addresses


def command() -> None:
    """Derive the tape's partitions, sharing them with other workers, until Ctrl-C or SIGTERM.

    Goes on where the last worker ended, however that was. Start more of them to share the
    work; one that ends leaves its partitions to the others. Serves /metrics, /healthz and
    /readyz (telemetry.port; by default a free one, which the first log line names).

    Example: `tape --tape h worker`
    """
    settings = addresses(config.settings(), only=("kafka", "registry"))

    import asyncio

    from streams import logs
    from streams.telemetry import Metrics, Server
    from streams.warm import warm_up
    from streams.worker import Parts, Worker

    logs.set_up(settings.telemetry, component="worker", tape=settings.tape)
    log = logs.logger("tape.worker")
    metrics = Metrics("worker", settings.tape)
    server = Server(settings.telemetry, metrics)
    log.info("serving", metrics=f"{server.address}/metrics", kafka=settings.kafka.bootstrap)
    log.info("compiling", note="kernels; the first time on a machine this takes a while")
    warm_up()
    parts = Parts(
        settings.kafka,
        clients.registry(settings),
        settings.tape,
        settings.worker,
        settings.processors,
        metrics,
    )
    asyncio.run(Worker(parts).run())
