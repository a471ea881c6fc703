"""`tape demo`: all of Tape in a minute on this machine, with the proof at its end."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from schemas.errors import ConfigError, DivergenceError, StoreError
from tape import config
from tape.commands import up
from tape.config import Settings
from tape.stack.addresses import addresses, local_services
from tape.terminal import doing, program

if TYPE_CHECKING:
    from tape.demo.run import Options, Outcome

_PARTITIONS = 4


def command(
    seconds: Annotated[float, typer.Option(min=5, help="How long to feed.")] = 60.0,
    capture: Annotated[
        list[Path] | None,
        typer.Option(help="Recorded capture to run on, repeatable; default: simulated venues."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the market and its weather.")] = 1,
    rate: Annotated[
        float, typer.Option(min=1, help="Messages a second of the venues, together.")
    ] = 2000,
    weather: Annotated[
        str, typer.Option(help="Faults of venues and connections: calm, rough or storm.")
    ] = "calm",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the local stack running at the end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Run all of it: simulated venues, collector, Kafka, worker, sink, tables; then prove it.

    Binance, Bybit and OKX are servers on this machine that speak their own protocols; in rough
    weather they disconnect, go silent, leave messages out, send them twice. Feeds a tape of its
    own, shows what comes out, and after the time (or Ctrl-C) checks that each trade is there
    once, replays the session and compares every derived byte, and every row of the tables. Ends
    with status 1 if a proof fails. A second Ctrl-C ends all without proof. What the demo started
    ends with it.

    Example: `tape demo --seconds 20 --weather storm`; `tape demo --capture capture.jsonl.zst`
    """
    from venues.simulator.server.weather import WEATHERS

    if weather not in WEATHERS:
        raise ConfigError(f"--weather {weather}: known are {', '.join(WEATHERS)}")
    captures = tuple(capture or ())
    for path in captures:
        if not path.is_file():
            raise ConfigError(f"--capture {path}: there is no such file")
    console = Console(stderr=as_json)
    with doing(console, "Loading"):
        from tape.demo import tapes
        from tape.demo.run import Options

    settings = config.settings().model_copy(
        update={"tape": tapes.new_name(), "partitions": _PARTITIONS}
    )
    folder = settings.stack.home / "demo"
    with _alone(folder):
        outcome, running = _run(
            settings, Options(seconds, captures, seed, rate, weather), console, keep
        )
    if as_json:
        print(json.dumps(outcome.as_dict()))
    else:
        _print(outcome, settings, console, running)
    if not outcome.proved:
        raise DivergenceError(_why(outcome))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the demo's lock: the end of one would take the stack from under another."""
    from tape.stack.layout import Layout
    from tape.stack.supervisor import locked

    Layout(folder.parent).create()
    folder.mkdir(exist_ok=True)
    with ExitStack() as exits:
        try:
            exits.enter_context(locked(folder / "lock"))
        except BlockingIOError:
            raise StoreError(
                f"another demo runs in {folder.parent}: wait for its end, or choose another "
                "folder (and ports, if it runs the local stack) with TAPE_HOME"
            ) from None
        yield


def _run(
    settings: Settings, options: "Options", console: Console, keep: bool
) -> tuple["Outcome", bool]:
    """Run the demo, with the local stack where none runs; also whether that runs on."""
    from tape.demo.run import Demo
    from tape.stack import control
    from tape.stack.supervisor import Plan

    services = local_services(settings)
    was_running = control.running(settings.stack) is not None
    if services and not was_running:
        up.fetch(settings)
        up.start(Plan(config=settings.stack, services=services), bound=not keep)
    try:
        demo = Demo(addresses(settings), options, settings.stack.home / "demo", console)
        return demo.run(), not services or was_running or keep
    except KeyboardInterrupt:
        console.print("ended without a proof")
        raise
    finally:
        if services and not was_running and not keep:
            with doing(console, "Stopping the local stack"):
                control.stop(settings.stack)


def _why(outcome: "Outcome") -> str:
    if outcome.failure:
        return f"the demo failed: {outcome.failure}"
    if outcome.replay.divergence:
        return f"the replay diverged: {outcome.replay.divergence}"
    if outcome.collected is not None and not outcome.collected.complete:
        return f"the tape is not what the venues published: {outcome.collected.as_dict()}"
    if not outcome.letters_explained:
        return (
            f"{outcome.dead_letters} dead letters: `tape --tape {outcome.tape} tail dead_letters`"
        )
    if not (outcome.sinks and outcome.sinks.equal):
        behind = outcome.sinks.behind if outcome.sinks else 0
        what = f"the sink had not stored {behind} events" if behind else "the tables differ"
        return f"{what}: `tape --tape {outcome.tape} verify` looks again"
    return "nothing came out: see the logs"


def _print(outcome: "Outcome", settings: Settings, console: Console, running: bool) -> None:
    table = Table(title="Replay: derived again, compared byte for byte", box=None)
    table.add_column("topic", no_wrap=True)
    table.add_column("events", justify="right")
    table.add_column("SHA-256", overflow="fold", min_width=32)
    table.add_column("", no_wrap=True)
    for proof in (proof for proof in outcome.replay.proofs if proof.records):
        table.add_row(
            f"{proof.topic}[{proof.partition}]",
            f"{proof.records:,}",
            proof.sha256,
            "[green]identical" if proof.identical else "[red]differs",
        )
    console.print(table)
    rows = sum(proof.rows for proof in outcome.sinks.tables) if outcome.sinks else 0
    out = sum(count for name, count in outcome.events.items() if name != "tape")
    p50, p99 = outcome.latency_ms.get("p50"), outcome.latency_ms.get("p99")
    latency = f"{p50} ms p50, {p99} ms p99" if p50 is not None else "not of recorded input"
    lines = [
        f"events in     {outcome.events.get('tape', 0):,} ({outcome.input})",
        f"events out    {out:,}",
        f"latency       {latency} (frame in → event read)",
        f"replay        {outcome.replay.events:,} events in {outcome.replay_seconds:.1f} s: "
        + ("identical" if outcome.replay.identical else "DIVERGED"),
        f"tables        {rows:,} rows: "
        + ("equal to their topics" if outcome.sinks and outcome.sinks.equal else "DIFFERENT"),
        f"dead letters  {outcome.dead_letters}",
    ]
    if (collected := outcome.collected) is not None:
        fate = "each once" if collected.complete else "NOT each once"
        lines.insert(
            1,
            f"collected     {collected.published:,} trades published, {fate} on the tape "
            f"({collected.backfilled} fetched after a loss, {collected.repeated} repeats dropped)",
        )
    if outcome.planted:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.planted.items()))
        lines.insert(1, f"weather       {kinds}")
    style = "green" if outcome.proved else "red"
    title = "proved" if outcome.proved else "NOT proved"
    console.print(Panel("\n".join(lines), title=title, border_style=style, expand=False))
    first = "" if running else f"`{program()} up`, then "
    console.print(
        f"look around: {first}`{program()} --tape {settings.tape} tail bars`\n"
        f"logs of worker, sink and input: {settings.stack.home / 'demo'}",
        style="dim",
        soft_wrap=True,
        highlight=False,
    )
