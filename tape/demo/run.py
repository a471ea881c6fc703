"""The demo from start to proof: input, worker, sink, live view, replay, verification."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from processors.config import VERSION
from schemas import catalogue, rows
from schemas.errors import StoreError
from schemas.registry import SchemaIds
from sinks import verify
from sinks.timescale import topics_of
from streams import log, topics
from streams.config import KafkaConfig
from streams.replay import Report, replay
from streams.snapshots import processed_offset
from tape.clients import registry
from tape.config import Settings
from tape.demo import children, market, tapes, truth, view
from tape.demo.observe import Observer, Rate, percentile
from tape.terminal import doing

# Derived topics on which something comes from any input.
_ALWAYS = ("books", "bars", "reference")
_REFRESH_S = 0.5
_READY_LIMIT_S = 180.0
_SETTLE_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for."""

    seconds: float
    captures: tuple[Path, ...]
    seed: int
    rate: float
    weather: str = "calm"


@dataclass(slots=True)
class Outcome:
    """What the demo came to; every proof must hold."""

    tape: str
    input: str
    events: dict[str, int] = field(default_factory=dict)
    """Records by topic."""
    written: dict[str, int] = field(default_factory=dict)
    """Input events by record type."""
    latency_ms: dict[str, float | None] = field(default_factory=dict)
    replay: Report = field(default_factory=Report)
    replay_seconds: float = 0.0
    sinks: verify.Report | None = None
    dead_letters: int = 0
    refused_frames: int = 0
    """Those dead letters that are messages of the venues, which bad weather garbles."""
    planted: Counter[str] = field(default_factory=Counter)
    """Faults that the weather brought, by kind."""
    collected: truth.Account | None = None
    """Trades on the tape against those that the simulator published; None of captures."""
    failure: str = ""

    @property
    def proved(self) -> bool:
        """Whether something was fed and all proofs hold."""
        return bool(
            not self.failure
            and self.events.get(catalogue.TAPE)
            and all(self.events.get(name) for name in _ALWAYS)
            and self.replay.identical
            and self.sinks
            and self.sinks.equal
            and (self.collected is None or self.collected.complete)
            and self.letters_explained
        )

    @property
    def letters_explained(self) -> bool:
        """Whether all dead letters are messages that the weather garbled."""
        planted = bool(self.planted.keys() & market.PLANTED)
        return self.dead_letters == (self.refused_frames if planted else 0)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON-able data."""
        return {
            "tape": self.tape,
            "input": self.input,
            "proved": self.proved,
            "failure": self.failure or None,
            "events_in": {"total": self.events.get(catalogue.TAPE, 0), **self.written},
            "events_out": {
                topic.name: self.events.get(topic.name, 0) for topic in catalogue.DERIVED
            },
            "latency_ms": self.latency_ms,
            "replay": {
                "identical": self.replay.identical,
                "events": self.replay.events,
                "seconds": round(self.replay_seconds, 2),
                "version": VERSION,
                "hashes": {
                    f"{proof.topic}[{proof.partition}]": proof.sha256
                    for proof in self.replay.proofs
                },
                "divergence": str(self.replay.divergence) if self.replay.divergence else None,
            },
            "sinks": {
                "verified": bool(self.sinks and self.sinks.equal),
                "tables": {proof.table: proof.rows for proof in self.sinks.tables}
                if self.sinks
                else {},
            },
            "dead_letters": self.dead_letters,
            "weather": dict(self.planted),
            "collected": self.collected.as_dict() if self.collected else None,
        }


class Demo:
    """One run on a tape of its own."""

    def __init__(self, settings: Settings, options: Options, folder: Path, console: Console):
        self._settings, self._options, self._folder = settings, options, folder
        self._console = console
        self._registry = registry(settings)
        self.outcome = Outcome(
            settings.tape,
            "capture"
            if options.captures
            else f"simulated venues, seed {options.seed}, {options.weather}",
        )
        self._market: market.Market | None = None

    def run(self) -> Outcome:
        """Feed, watch, settle, prove."""
        settings = self._settings
        with doing(self._console, f"Making tape {settings.tape}, removing those of earlier demos"):
            tapes.remove_old(settings)
            topics.create_tape(
                settings.kafka,
                self._registry,
                settings.tape,
                settings.partitions,
                settings.processors,
            )
            ids = self._registry.ids(settings.tape)
        with ExitStack() as exits:
            worker = self._start(exits, "worker", ["-m", "tape", "worker"])
            sink = self._start(exits, "sink", ["-m", "tape", "sink"])
            if not self._options.captures:
                self._market = self._open_market(exits)
            self._await_ready(worker, sink)
            observer = Observer(settings.kafka, ids.writers, settings.tape, settings.partitions)
            observer.start()
            exits.callback(observer.stop)
            running = [worker, sink]
            if self._market is not None:
                self._market.await_open()
                running.append(self._market.simulator)
            feeder = self._start_input(exits)
            self._await_input(feeder, running, sum(log.ends(*self._tape_topic).values()))
            asked = False
            try:
                self._watch(feeder, running, observer)
            except KeyboardInterrupt:
                asked = True
                self._console.print("stopped feeding; now the proof (Ctrl-C again ends all)")
            self._end_input(feeder, asked)
            with doing(self._console, "Letting worker and sink catch up"):
                self._settle(ids, running)
            self._measure(observer, ids)
            self._prove(ids)
        return self.outcome

    def _start(self, exits: ExitStack, name: str, arguments: list[str]) -> children.Child:
        child = children.start(name, arguments, self._settings, self._folder)
        exits.callback(child.stop)
        return child

    def _await_ready(self, *started: children.Child) -> None:
        deadline = time.monotonic() + _READY_LIMIT_S
        with doing(
            self._console,
            "Starting worker and sink (the first time, kernels are compiled: a minute or two)",
        ):
            for child in started:
                while not child.is_ready():
                    child.check()
                    if time.monotonic() > deadline:
                        raise StoreError(f"{child.name} was not ready in time: see {child.log}")
                    time.sleep(0.2)

    def _starter(self, exits: ExitStack) -> market.Start:
        return lambda name, arguments: self._start(exits, name, arguments)

    def _open_market(self, exits: ExitStack) -> market.Market:
        options, start = self._options, self._starter(exits)
        return market.open_market(
            start, self._settings, self._folder, options.seed, options.rate, options.weather
        )

    def _start_input(self, exits: ExitStack) -> children.Child:
        if self._market is not None:
            return market.collect(self._starter(exits), self._market)
        files = [str(path.resolve()) for path in self._options.captures]
        return self._start(exits, "import", ["-m", "tape", "import", "--json", *files])

    @property
    def _tape_topic(self) -> tuple[KafkaConfig, str, str]:
        return self._settings.kafka, self._settings.tape, catalogue.TAPE

    def _await_input(
        self, feeder: children.Child, running: list[children.Child], before: int
    ) -> None:
        """Wait for the first event: the time of the demo begins with it."""
        deadline = time.monotonic() + _READY_LIMIT_S
        with doing(self._console, "Starting the input"):
            while feeder.process.poll() is None and time.monotonic() < deadline:
                if sum(log.ends(*self._tape_topic).values()) > before:
                    return
                for child in running:
                    child.check()
                time.sleep(0.2)

    def _watch(
        self, feeder: children.Child, running: list[children.Child], observer: Observer
    ) -> None:
        progress = view.Progress(
            title=f"Tape {self._settings.tape}: {self.outcome.input}",
            seconds=0.0 if self._options.captures else self._options.seconds,
            latency_is_live=not self._options.captures,
        )
        rates = {name: Rate() for name in self._names()}
        began = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"Feeding: {self.outcome.input}", soft_wrap=True)
        # An import ends by itself; the limit is for one that does not.
        limit = self._options.seconds + (_SETTLE_LIMIT_S if self._options.captures else 0.0)
        with self._live(progress, observer) as live:
            while feeder.process.poll() is None and time.monotonic() - began < limit:
                for child in running:
                    child.check()
                progress.elapsed_s = time.monotonic() - began
                progress.totals = self._totals()
                progress.rates = {
                    name: rates[name].update(total) for name, total in progress.totals.items()
                }
                tape_end = progress.totals[catalogue.TAPE]
                progress.worker_lag = max(0, tape_end - observer.processed)
                progress.sink_rows = tapes.row_counts(self._settings)
                if live:
                    live.update(
                        view.render(progress, observer.seen, self._console.size), refresh=True
                    )
                time.sleep(_REFRESH_S)

    @contextmanager
    def _live(self, progress: view.Progress, observer: Observer) -> Iterator[Live | None]:
        """The view on a screen of its own, which may change its size; the last state stays."""
        if not self._console.is_terminal:
            yield None
            return
        try:
            with Live(console=self._console, screen=True, auto_refresh=False) as live:
                yield live
        finally:
            progress.over = True
            self._console.print(view.render(progress, observer.seen, self._console.size))

    def _names(self) -> list[str]:
        return [catalogue.TAPE, *(topic.name for topic in catalogue.DERIVED)]

    def _totals(self) -> dict[str, int]:
        return {
            name: sum(log.ends(self._settings.kafka, self._settings.tape, name).values())
            for name in self._names()
        }

    def _end_input(self, feeder: children.Child, asked: bool) -> None:
        """End the input in its order; take what an import says that it wrote."""
        if self._market is not None:
            feeder.check()
            self.outcome.planted = Counter(str(fault["fault"]) for fault in self._market.faults())
        printed = feeder.stop().strip().splitlines()
        ended = feeder.process.returncode
        if ended and not (asked and ended == -signal.SIGTERM):
            lines = feeder.log.read_text(errors="replace").splitlines()[-10:]
            raise StoreError(
                f"the input failed with status {ended}; {feeder.log} ends:\n" + "\n".join(lines)
            )
        if self._market is None and printed:
            self.outcome.written = _by_record(json.loads(printed[-1])["counts"])

    def _settle(self, ids: SchemaIds, running: list[children.Child]) -> None:
        settings = self._settings
        deadline = time.monotonic() + _SETTLE_LIMIT_S
        ends = log.ends(settings.kafka, settings.tape, catalogue.TAPE)
        waiting = set(ends)
        while waiting:
            for child in running:
                child.check()
            waiting = {
                partition
                for partition in waiting
                if (processed_offset(settings.kafka, ids, settings.tape, partition) or 0)
                < ends[partition]
            }
            if time.monotonic() > deadline:
                raise StoreError(f"the worker did not finish partitions {sorted(waiting)}")
            time.sleep(_REFRESH_S)

    def _measure(self, observer: Observer, ids: SchemaIds) -> None:
        outcome = self.outcome
        outcome.events = self._totals()
        outcome.failure = observer.failure or ""
        live = not self._options.captures
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            value = percentile(observer.seen.latencies_ms, share) if live else None
            outcome.latency_ms[name] = None if value is None else round(value, 2)
        letters = self._letters(ids)
        outcome.dead_letters = len(letters)
        outcome.refused_frames = sum(letter.source == "collector" for letter in letters)

    def _letters(self, ids: SchemaIds) -> list[Any]:
        kafka, tape = self._settings.kafka, self._settings.tape
        return [
            rows.decode(records.value(index), ids.writers)
            for records in log.read(kafka, tape, "dead_letters", 0, 0, None)
            for index in range(len(records))
        ]

    def _prove(self, ids: SchemaIds) -> None:
        settings = self._settings
        if self._market is not None:
            with doing(self._console, "Comparing the tape with what the venues published"):
                self._market.simulator.stop()
                self.outcome.collected = truth.account(
                    self._market.ledger,
                    settings.kafka,
                    ids,
                    settings.tape,
                    settings.partitions,
                    settings.processors.seen.trades,
                )
                self.outcome.written = dict(self.outcome.collected.records)
        began = time.monotonic()
        with doing(self._console, "Replaying the session"):
            self.outcome.replay = replay(settings.kafka, ids, settings.tape, settings.partitions)
        self.outcome.replay_seconds = time.monotonic() - began
        with doing(self._console, "Verifying the tables"):
            self.outcome.sinks = verify.Verification(
                settings.kafka,
                self._registry,
                settings.database,
                settings.database.url.get_secret_value(),
                settings.tape,
                topics_of([]),
            ).run()


def _by_record(counts: dict[str, dict[str, dict[str, int]]]) -> dict[str, int]:
    """An import's counts by venue, symbol and record, summed to the record."""
    total: dict[str, int] = {}
    for symbols in counts.values():
        for records in symbols.values():
            for record, count in records.items():
                total[record] = total.get(record, 0) + count
    return total
