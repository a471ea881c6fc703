"""How long each fault is felt: one at a time, until what came after it is through."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from streams import recovery
from streams.partition import partition_of
from tests.torture.stage import Stage

_POLL_S = 0.05
_REST_S = 2.0
_UNDER_WAY_S = 0.1
_ZOMBIE_S = 9.0
_CUT_S = 4.0
_SLOW_S = 0.1

Ends = dict[int, int]
Blow = Callable[[Stage], float]
"""Deals it, and gives its own length in seconds; from its end on the recovery counts."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault, and when it is over: `derived`, `stored` or `collected`."""

    name: str
    blow: Blow
    until: str


def _kill(target: str) -> Blow:
    def blow(stage: Stage) -> float:
        server = stage.cluster.servers.get(target)
        if server is None:
            stage.players[target].kill(0.0)
        else:
            server.kill()
        return 0.0

    return blow


def _lasting(
    seconds: float, begin: Callable[[Stage], object], end: Callable[[Stage], object]
) -> Blow:
    def blow(stage: Stage) -> float:
        begin(stage)
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            stage.keep()
            time.sleep(_POLL_S)
        end(stage)
        return seconds

    return blow


def _stop_full(stage: Stage) -> None:
    stage.disk.fill()
    stage.cluster.broker_proxy.cut()


def _end_full(stage: Stage) -> None:
    stage.disk.clear()
    stage.cluster.broker_proxy.heal()


FAULTS = (
    Fault("kill worker", _kill("worker-1"), "derived"),
    Fault("kill sink", _kill("sink"), "stored"),
    Fault("kill collector", _kill("collector"), "collected"),
    Fault("kill broker", _kill("broker"), "derived"),
    Fault("kill registry", _kill("registry"), "derived"),
    Fault("kill database", _kill("database"), "stored"),
    Fault(
        f"worker stopped for {_ZOMBIE_S:.0f} s",
        _lasting(
            _ZOMBIE_S,
            lambda stage: stage.players["worker-1"].signal(signal.SIGSTOP),
            lambda stage: stage.players["worker-1"].signal(signal.SIGCONT),
        ),
        "derived",
    ),
    Fault(
        f"broker cut off for {_CUT_S:.0f} s",
        _lasting(
            _CUT_S,
            lambda stage: stage.cluster.broker_proxy.cut(),
            lambda stage: stage.cluster.broker_proxy.heal(),
        ),
        "derived",
    ),
    Fault(
        f"broker half open for {_CUT_S:.0f} s",
        _lasting(
            _CUT_S,
            lambda stage: stage.cluster.broker_proxy.hold(),
            lambda stage: stage.cluster.broker_proxy.heal(),
        ),
        "derived",
    ),
    Fault(
        f"broker slow for {_CUT_S:.0f} s",
        _lasting(
            _CUT_S,
            lambda stage: stage.cluster.broker_proxy.delay(_SLOW_S),
            lambda stage: stage.cluster.broker_proxy.heal(),
        ),
        "derived",
    ),
    Fault(
        f"database cut off for {_CUT_S:.0f} s",
        _lasting(
            _CUT_S,
            lambda stage: stage.cluster.database_proxy.cut(),
            lambda stage: stage.cluster.database_proxy.heal(),
        ),
        "stored",
    ),
    Fault(f"disk full, broker cut off for {_CUT_S:.0f} s",
          _lasting(_CUT_S, _stop_full, _end_full), "collected"),
    Fault("worker leaves and comes back",
          _lasting(0.0, lambda stage: stage.players["worker-1"].leave(0.5), lambda _: None),
          "derived"),
)  # fmt: skip


class Clock:
    """Takes the times on a stage on which all runs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def measure(self, fault: Fault) -> float:
        """Deal a fault; seconds from its end until an event of after it is through everywhere."""
        stage = self._stage
        self._rest()
        busy, ends = self._busy(), self._ends()
        begun = time.monotonic()
        lasted = fault.blow(stage)
        if lasted or fault.until == "collected":
            # What the collector had under way counts for nothing.
            time.sleep(_UNDER_WAY_S)
            ends = self._ends()
        wanted = {partition: ends[partition] for partition in busy}
        passed = getattr(self, f"_{fault.until}")
        stage.until(lambda: _quietly(lambda: passed(wanted)), f"after {fault.name}")
        return time.monotonic() - begun - lasted

    def _busy(self) -> list[int]:
        """The partitions of the symbols: on others something is derived only now and then."""
        plan = self._stage.plan
        return sorted({partition_of(symbol.encode(), plan.partitions) for symbol in plan.symbols})

    def _ends(self) -> Ends:
        """The tape's ends, once Kafka tells: just started, it says that it does not know."""
        found: Ends = {}

        def look() -> bool:
            found.update(self._stage.ends())
            return True

        self._stage.until(lambda: _quietly(look), "ends")
        return found

    def _rest(self) -> None:
        """Everything is as before."""
        stage = self._stage
        servers = stage.cluster.servers.values()
        stage.until(lambda: all(server.is_ready() for server in servers), "servers are up")
        stage.await_ready()
        rested = time.monotonic() + _REST_S
        stage.until(lambda: time.monotonic() > rested, "a rest")

    def _origins(self) -> Ends:
        stage = self._stage
        found = {
            partition: max(
                offset for offset, _ in
                recovery.last_ids(stage.kafka, stage.ids, stage.tape, partition).values()
            )
            for partition in range(stage.plan.partitions)
        }  # fmt: skip
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def _derived(self, wanted: Ends) -> bool:
        found = self._origins()
        return all(found[partition] >= end for partition, end in wanted.items())

    def _collected(self, wanted: Ends) -> bool:
        ends = self._stage.ends()
        return all(ends[partition] > end for partition, end in wanted.items())

    def _stored(self, wanted: Ends) -> bool:
        url = self._stage.cluster.near["TAPE_DATABASE__URL"]
        with psycopg.connect(url, connect_timeout=2) as connection:
            found: dict[int, int] = dict(
                connection.execute(
                    f"SELECT partition, next_offset FROM {self._stage.tape}.offsets "
                    "WHERE topic = 'tape'"
                ).fetchall()
            )
        return all(int(found[partition]) > end for partition, end in wanted.items())


def _quietly(condition: Callable[[], bool]) -> bool:
    """False while what is asked does not answer."""
    try:
        return condition()
    except Exception:  # whatever the clients say while their servers are away
        return False
