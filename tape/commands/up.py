"""`tape up`: starts the local stack, and makes the tape's topics and schemas."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from schemas.errors import StoreError
from tape import clients, config
from tape.config import Settings
from tape.stack.addresses import addresses, local_services
from tape.terminal import doing, program

if TYPE_CHECKING:
    from tape.stack.state import State
    from tape.stack.supervisor import Plan

_console = Console(stderr=True)


def command(
    detach: Annotated[
        bool, typer.Option("--detach/--foreground", help="Go on in the background, or stay here.")
    ] = True,
    topics: Annotated[
        bool, typer.Option(help="Make the tape's topics and register its schemas.")
    ] = True,
) -> None:
    """Start Kafka, the schema registry and PostgreSQL on this machine, and wait until they answer.

    Their data stays over restarts. A part with an external address (kafka.bootstrap,
    registry.url, database.url) is not started. The first time, Kafka and the registry are
    fetched (about 200 MB). `tape down` ends them; `tape doctor` tells what is in the way.

    Example: `tape up --set stack.kafka_port=29092`
    """
    from tape.stack import control
    from tape.stack.supervisor import Plan

    settings = config.settings()
    services = local_services(settings)
    if not services:
        _console.print("every address is external: nothing is started here")
        _make_tape(settings, topics)
        return
    if (state := control.running(settings.stack)) is not None and state.phase == "ready":
        missing = set(services) - set(state.services)
        if missing:
            raise StoreError(
                f"the stack runs without {', '.join(sorted(missing))}: `tape down`, then `tape up`"
            )
        _console.print("the local stack is already running")
        _show(state)
        _make_tape(settings, topics)
        return
    fetch(settings)
    plan = Plan(config=settings.stack, services=services)
    if not detach:
        _stay(plan, settings, topics)
        return
    start(plan)
    _make_tape(settings, topics)
    _console.print(
        f"next: `{program()} import FILE --tape NAME`, `{program()} demo`; "
        f"`{program()} down` ends it",
        style="dim",
        soft_wrap=True,
        highlight=False,
    )


def fetch(settings: Settings) -> None:
    """Download what the local services need and is not in the cache, with a progress bar."""
    services = local_services(settings)
    if not {"kafka", "registry"} & set(services):
        return
    from tape.stack.artifacts import Cache

    cache = Cache(settings.stack.cache)
    wanted = cache.missing()
    if not wanted:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    # Not the bar of `terminal.progress`: this one stays, as a download should be seen.
    with Progress(*columns, TransferSpeedColumn(), console=_console) as progress:
        total = sum(artifact.size for artifact in wanted)
        task = progress.add_task(f"Fetching {len(wanted)} files", total=total)
        cache.fetch(wanted, lambda count: progress.advance(task, count))


def start(plan: "Plan", *, bound: bool = False) -> None:
    """Start the stack in the background, telling on the terminal how far it is.

    `bound`: it ends with this process, whatever ends that.
    """
    from tape.stack import control

    began = time.monotonic()
    with doing(_console, "Starting Kafka, registry and PostgreSQL") as tell:
        state = control.start(plan, lambda state: tell(_progress(state)), bound=bound)
    _show(state)
    _console.print(f"up in {time.monotonic() - began:.1f} s")


def _stay(plan: "Plan", settings: Settings, topics: bool) -> None:
    from tape.stack.supervisor import Supervisor

    supervisor = Supervisor(plan)
    shown = False

    def report(state: "State") -> None:
        nonlocal shown
        if state.phase == "ready" and not shown:
            shown = True
            _show(state)
            _make_tape(settings, topics)
            _console.print("Ctrl-C ends it")

    try:
        supervisor.run(report)
    except BlockingIOError:
        raise StoreError(
            f"another supervisor starts or ends in {plan.config.home}: try again in a moment"
        ) from None


def _progress(state: "State") -> str:
    parts = [
        f"{name} {'ready' if service.ready else '…'}" for name, service in state.services.items()
    ]
    return "Starting: " + ", ".join(parts)


def _show(state: "State") -> None:
    from tape.stack.status import masked

    for name, service in state.services.items():
        _console.print(f"  {name:9} {masked(service.address)}", soft_wrap=True)


def _make_tape(settings: Settings, topics: bool) -> None:
    if not topics:
        return
    from streams.topics import create_tape

    final = addresses(settings, only=("kafka", "registry"))
    registry = clients.registry(final)
    made = create_tape(final.kafka, registry, final.tape, final.partitions, final.processors)
    new = f"{len(made.topics)} topics made" if made.topics else "all topics are there"
    _console.print(f"tape [bold]{final.tape}[/bold]: {made.partitions} partitions, {new}")
