"""What a sink does is seen in its metrics and its health."""

import time

from prometheus_client import generate_latest

from sinks.rows import PartitionRows
from sinks.sampling import Sampler
from sinks.store import State, Update
from sinks.telemetry import Telemetry
from streams.telemetry import Metrics
from tests.sinks.batches import batch
from tests.sinks.test_encoding import trade


def lines(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def test_rows_events_latency_lag_and_dead_letters_are_counted() -> None:
    metrics = Metrics("sink", "t")
    telemetry = Telemetry(metrics, "timescale")
    state = PartitionRows("tape", 3, Sampler(0))
    now_us = time.time_ns() // 1000
    found = [("Trade", trade(receive_time=now_us - 1_500_000)) for _ in range(4)]
    rows, _ = state.process(batch("tape", 3, found))
    telemetry.stored([Update(State(state, 0, ""), rows, 4, {"Trade": 4})], 0.1)
    telemetry.lag("tape", 3, 17)
    telemetry.refused("tape", 2)
    seen = lines(metrics)
    assert 'tape_sink_rows_total{sink="timescale",table="trades"} 4.0' in seen
    assert 'tape_events_in_total{record="Trade",topic="tape"} 4.0' in seen
    assert 'tape_lag_events{partition="3",topic="tape"} 17.0' in seen
    assert 'tape_dead_letters_total{source="sink",topic="tape"} 2.0' in seen
    assert 'tape_latency_seconds_bucket{le="1.0",topic="tape"} 0.0' in seen
    assert 'tape_latency_seconds_bucket{le="30.0",topic="tape"} 4.0' in seen


def test_sink_is_ready_while_the_database_is_there() -> None:
    metrics = Metrics("sink", "t")
    telemetry = Telemetry(metrics, "timescale")
    assert metrics.health.not_ready
    telemetry.started({})
    assert not metrics.health.not_ready
    telemetry.waiting("the database could not be reached", 0.5)
    assert metrics.health.not_ready == ("the database could not be reached",)
    telemetry.started({})
    assert not metrics.health.not_ready
