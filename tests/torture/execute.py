"""Carries out a plan, lets everything heal, and has it judged."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.torture.checker import Judgement, shown
from tests.torture.judge import judge
from tests.torture.measure import FAULTS, Clock
from tests.torture.nursery import Nursery
from tests.torture.plan import Action, Plan
from tests.torture.servers import Cluster, Server
from tests.torture.stage import Stage

_TICK_S = 0.02
_PLANT_EVERY_S = 7.0
# Of undisturbed market at the end: what was missed is asked for again.
_CALM_S = 8.0
_SETTLE_S = 150.0
_SLOW_S = 0.1


@dataclass(slots=True)
class Outcome:
    """What a plan came to."""

    plan: Plan
    kills: Counter[str] = field(default_factory=Counter)
    """By target; of what was up."""
    faults: Counter[str] = field(default_factory=Counter)
    """Others, as `kind target`."""
    ended: dict[str, dict[int, int]] = field(default_factory=dict)
    """Statuses with which processes ended by themselves, while their servers were away."""
    statuses: dict[str, int | None] = field(default_factory=dict)
    """With which they ended in order."""
    skipped: list[str] = field(default_factory=list)
    judgement: Judgement = field(default_factory=Judgement)
    settle_s: float = 0.0
    """From the last fault's end until all was derived and stored."""
    recovery_s: dict[str, list[float]] = field(default_factory=dict)
    """By kind of fault, from its end until events that came after it were through."""
    failure: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not (self.failure or self.judgement.findings)

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        judged = self.judgement
        return {
            "seed": self.plan.seed,
            "seconds": self.plan.seconds,
            "actions": len(self.plan.actions),
            "kills": dict(self.kills),
            "faults": dict(self.faults),
            "ended": self.ended,
            "statuses": self.statuses,
            "skipped": self.skipped,
            "compared": dict(judged.compared),
            "repeats": judged.repeats,
            "settle_s": round(self.settle_s, 1),
            "recovery_s": self.recovery_s,
            "findings": [str(finding) for finding in judged.findings[:200]],
            "shown": shown(judged.findings),
            "failure": self.failure,
        }


def execute(
    cluster: Cluster, nursery: Nursery, plan: Plan, folder: Path, rounds: int = 0
) -> Outcome:
    """One plan on a tape of its own; after its blows the recovery of each fault, in rounds."""
    folder.mkdir(parents=True)
    outcome = Outcome(plan)
    cluster.heal()
    stage = Stage(cluster, nursery, plan, folder)
    if not stage.disk.is_small:
        outcome.skipped.append("full disk: no file system could be mounted")
    try:
        stage.open()
        _Blows(stage, outcome).run()
        _measure(stage, outcome, rounds)
        _settle(stage, outcome)
        # Its ledger is whole when it has ended.
        outcome.statuses["simulator"] = stage.simulator.stop()
        judge(stage, outcome.judgement)
    except Exception as error:  # reported with the plan, and the next one is tried
        outcome.failure = f"{type(error).__name__}: {error}"[-8_000:]
    finally:
        cluster.heal()
        outcome.statuses |= {n: s for n, s in stage.close().items() if s is not None}
    outcome.ended = {n: dict(p.ended) for n, p in stage.players.items() if p.ended}
    for name, status in outcome.statuses.items():
        if status != 0 and not outcome.failure:
            outcome.judgement.find("order", name, f"ended with status {status} when asked to end")
    return outcome


class _Blows:
    """The time of the blows."""

    def __init__(self, stage: Stage, outcome: Outcome) -> None:
        self._stage, self._outcome = stage, outcome
        self._pick = random.Random(stage.plan.seed)
        self._later: list[tuple[float, Callable[[], object]]] = []

    def run(self) -> None:
        """Deal them all, each at its time."""
        begun = time.monotonic()
        waiting = list(self._stage.plan.actions)
        plant_at = 0.0
        while waiting or self._later:
            now = time.monotonic() - begun
            while waiting and waiting[0].at_s <= now:
                self._deal(waiting.pop(0), now)
            for due in [one for one in self._later if one[0] <= now]:
                self._later.remove(due)
                due[1]()
            if now >= plant_at and waiting:
                plant_at = now + _PLANT_EVERY_S
                self._plant()
            self._stage.keep()
            time.sleep(_TICK_S)

    def _deal(self, action: Action, now: float) -> None:
        deal = {"kill": self._kill, "pause": self._pause, "fill": self._fill, "leave": self._leave}
        done, undo = deal.get(action.kind, self._disturb)(action)
        if not done:
            return
        if action.kind == "kill":
            self._outcome.kills[action.target] += 1
        else:
            self._outcome.faults[f"{action.kind} {action.target}"] += 1
        if undo is not None:
            self._later.append((now + action.seconds, undo))

    def _kill(self, action: Action) -> tuple[bool, Callable[[], object] | None]:
        stage = self._stage
        target = stage.cluster.servers.get(action.target) or stage.players[action.target]
        return target.kill(action.seconds), None

    def _pause(self, action: Action) -> tuple[bool, Callable[[], object] | None]:
        target: Any = self._stage.cluster.servers.get(action.target)
        target = target or self._stage.players[action.target]
        stopped = target if isinstance(target, Server) else target.pid
        done = target.signal(signal.SIGSTOP) is not False

        def go_on() -> None:
            # One that was killed meanwhile has a successor, which is not stopped.
            if isinstance(target, Server) or target.pid == stopped:
                target.signal(signal.SIGCONT)

        return done, go_on

    def _leave(self, action: Action) -> tuple[bool, Callable[[], object] | None]:
        player = self._stage.players[action.target]
        if player.pid is None:
            return False, None
        # Killed or not before it has ended in order: it stays away for a while.
        player.leave(action.seconds)
        return True, None

    def _fill(self, action: Action) -> tuple[bool, Callable[[], object] | None]:
        """The spool matters while Kafka is away: cut it off as well."""
        stage = self._stage
        if not stage.disk.is_small:
            return False, None
        stage.disk.fill()
        stage.cluster.broker_proxy.cut()

        def undo() -> None:
            stage.disk.clear()
            stage.cluster.broker_proxy.heal()

        return True, undo

    def _disturb(self, action: Action) -> tuple[bool, Callable[[], object] | None]:
        cluster = self._stage.cluster
        proxy = cluster.broker_proxy if action.target == "broker" else cluster.database_proxy
        if action.kind == "cut":
            proxy.cut()
        elif action.kind == "half_open":
            proxy.hold()
        else:
            proxy.delay(_SLOW_S)
        return True, proxy.heal

    def _plant(self) -> None:
        # Not while Kafka is down: whether it has them must be known.
        if self._stage.cluster.servers["broker"].is_ready():
            payload = b"\x00" + self._pick.randbytes(9)
            self._stage.plant(payload, self._pick.randrange(self._stage.plan.partitions))


def _measure(stage: Stage, outcome: Outcome, rounds: int) -> None:
    clock = Clock(stage)
    for _ in range(rounds):
        for fault in FAULTS:
            took = clock.measure(fault)
            print(f"  {fault.name}: {took:.2f} s", flush=True)
            outcome.recovery_s.setdefault(fault.name, []).append(round(took, 2))
            counts = outcome.kills if fault.name.startswith("kill") else outcome.faults
            counts[fault.name.removeprefix("kill ")] += 1


def _settle(stage: Stage, outcome: Outcome) -> None:
    """Everything up; the market goes on for a while, then stops; all is derived and stored."""
    begun = time.monotonic()
    stage.cluster.heal()
    stage.disk.clear()
    for player in stage.players.values():
        player.signal(signal.SIGCONT)
    stage.await_ready()
    calm = time.monotonic() + _CALM_S
    stage.until(lambda: time.monotonic() > calm, "calm")
    stage.market("/control/pause", post=True)
    calm = time.monotonic() + 2.0
    stage.until(lambda: time.monotonic() > calm, "calm")
    outcome.statuses |= {collector.name: collector.stop() for collector in stage.collectors}
    ends = stage.ends()
    stage.until(lambda: stage.is_derived(ends), f"all is derived up to {ends}", _SETTLE_S)
    outcome.settle_s = time.monotonic() - begun
