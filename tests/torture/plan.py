"""A seeded plan of torture: what is killed, stopped, cut, slowed or filled, and when."""

import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

# A kill every second or two, of what is quick to come back more often; the least time between
# two of the same target lets it come up at all.
_KILLS = {
    "worker-0": (10, 1.5),
    "worker-1": (10, 1.5),
    "worker-2": (6, 1.5),
    "sink": (10, 1.5),
    "collector": (6, 2.0),
    "database": (5, 4.0),
    "broker": (2, 15.0),
    "registry": (1, 15.0),
}
# (kind, target, least and most seconds, weight)
_FAULTS = (
    ("pause", "worker-0", 8.0, 11.0, 3),
    ("pause", "worker-1", 8.0, 11.0, 3),
    ("pause", "sink", 2.0, 8.0, 1),
    ("pause", "collector", 2.0, 8.0, 1),
    ("pause", "broker", 1.0, 9.0, 1),
    ("cut", "broker", 1.0, 9.0, 2),
    ("half_open", "broker", 2.0, 9.0, 2),
    ("delay", "broker", 4.0, 8.0, 1),
    ("cut", "database", 1.0, 5.0, 1),
    ("half_open", "database", 2.0, 6.0, 1),
    ("delay", "database", 4.0, 8.0, 1),
    ("fill", "disk", 4.0, 8.0, 2),
    ("leave", "worker-2", 2.0, 6.0, 2),
)
_DOWN_S = (0.0, 1.0)
_FAULT_EVERY_S = 9.0


@dataclass(frozen=True, slots=True)
class Action:
    """One blow: `seconds` is how long it lasts, or until what was killed is started again."""

    at_s: float
    kind: str
    target: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run depends on but the machine's own timing."""

    seed: int
    seconds: float
    collectors: int = 1
    partitions: int = 4
    rate: float = 150.0
    venues: tuple[str, ...] = ("binance-spot", "okx-swap", "bybit-linear")
    symbols: tuple[str, ...] = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT")
    actions: tuple[Action, ...] = field(default=())

    def to_json(self) -> str:
        """As a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The plan that `to_json` wrote."""
        found: dict[str, Any] = json.loads(text)
        found["actions"] = tuple(Action(**action) for action in found["actions"])
        for name in ("venues", "symbols"):
            found[name] = tuple(found[name])
        return cls(**found)


def make(seed: int, seconds: float, kill_every_s: float, *, faults: bool = True) -> Plan:
    """The plan of a seed: kills at random instants, other faults between them."""
    pick = random.Random(seed)
    # Every third plan has two collectors of the same venues.
    collectors = 1 if seed % 3 else 2
    kills = _KILLS if collectors == 1 else _KILLS | {"collector-1": _KILLS["collector"]}
    actions = list(_kills(pick, seconds, kill_every_s, kills))
    if faults:
        actions += _others(pick, seconds)
    actions.sort(key=lambda one: one.at_s)
    return Plan(seed, seconds, collectors, actions=tuple(actions))


def _kills(
    pick: random.Random, seconds: float, every_s: float, kills: dict[str, tuple[int, float]]
) -> Iterable[Action]:
    last: dict[str, float] = {}
    now = pick.expovariate(1 / every_s)
    while now < seconds:
        able = [
            target for target, (_, apart_s) in kills.items()
            if now - last.get(target, -apart_s) >= apart_s
        ]  # fmt: skip
        if able:
            (target,) = pick.choices(able, [kills[target][0] for target in able])
            last[target] = now
            yield Action(round(now, 3), "kill", target, round(pick.uniform(*_DOWN_S), 3))
        now += pick.expovariate(1 / every_s)


def _others(pick: random.Random, seconds: float) -> Iterable[Action]:
    """One after the other, each of its own length, so that no two of them overlap."""
    now = pick.uniform(1.0, _FAULT_EVERY_S)
    while now < seconds:
        ((kind, target, least, most, _),) = pick.choices(_FAULTS, [one[-1] for one in _FAULTS])
        lasts = round(pick.uniform(least, most), 3)
        yield Action(round(now, 3), kind, target, lasts)
        now += lasts + pick.uniform(0.0, _FAULT_EVERY_S)
