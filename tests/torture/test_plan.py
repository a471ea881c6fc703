"""Plans: of a seed always the same, and written down they can be carried out again."""

from collections import Counter
from itertools import pairwise

from tests.torture.plan import Plan, make


def test_a_seed_gives_one_plan() -> None:
    assert make(3, 60, 1.0) == make(3, 60, 1.0)
    assert make(3, 60, 1.0) != make(4, 60, 1.0)


def test_a_plan_is_written_and_read() -> None:
    plan = make(5, 60, 1.0)
    assert Plan.from_json(plan.to_json()) == plan


def test_everything_is_hurt_and_a_target_is_left_time_to_come_up() -> None:
    plans = [make(seed, 100, 1.0) for seed in range(10)]
    kills = Counter(one.target for plan in plans for one in plan.actions if one.kind == "kill")
    assert kills.keys() == {
        "worker-0", "worker-1", "worker-2", "sink", "collector", "collector-1", "broker",
        "registry", "database",
    }  # fmt: skip
    assert 800 < kills.total() < 1_200
    for plan in plans:
        times = [one.at_s for one in plan.actions if (one.kind, one.target) == ("kill", "broker")]
        assert all(b - a >= 15 for a, b in pairwise(times))
    others = {(one.kind, one.target) for plan in plans for one in plan.actions} - {
        ("kill", target) for target in kills
    }
    assert {"pause", "cut", "half_open", "delay", "fill", "leave"} == {kind for kind, _ in others}
