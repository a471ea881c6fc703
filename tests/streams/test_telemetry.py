"""Metrics, health and logs as an operator sees them."""

import json
import logging
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from schemas.errors import ConfigError
from streams import logs
from streams.config import TelemetryConfig
from streams.telemetry import Metrics, Server


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("worker", "live")


@pytest.fixture
def server(metrics: Metrics) -> Iterator[Server]:
    server = Server(TelemetryConfig(), metrics)
    yield server
    server.close()


def get(server: Server, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(server.address + path, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_tell_events_lag_latency_and_age(metrics: Metrics, server: Server) -> None:
    metrics.events_in.labels("tape", "Trade").inc(7)
    metrics.lag.labels("tape", "3").set(12)
    metrics.snapshot_age.labels("3").set(1.5)
    metrics.latency.observe("bars", np.array([0.0004, 0.004, 1000.0]))
    _, text = get(server, "/metrics")
    assert 'tape_events_in_total{record="Trade",topic="tape"} 7.0' in text
    assert 'tape_lag_events{partition="3",topic="tape"} 12.0' in text
    assert 'tape_snapshot_age_seconds{partition="3"} 1.5' in text
    assert 'tape_latency_seconds_bucket{le="0.0005",topic="bars"} 1.0' in text
    assert 'tape_latency_seconds_bucket{le="0.005",topic="bars"} 2.0' in text
    assert 'tape_latency_seconds_bucket{le="+Inf",topic="bars"} 3.0' in text
    assert 'tape_events_per_second{direction="in",topic="tape"}' in text


def test_ready_once_every_reason_is_taken_away(metrics: Metrics, server: Server) -> None:
    assert get(server, "/readyz") == (503, "starting\n")
    metrics.health.ready()
    assert get(server, "/readyz") == (200, "ready\n")
    metrics.health.unready("configuration", "run `tape configure`")
    assert get(server, "/readyz") == (503, "run `tape configure`\n")
    assert "tape_ready 0.0" in get(server, "/metrics")[1]
    assert get(server, "/healthz")[0] == 200
    assert get(server, "/else")[0] == 404


def test_a_port_in_use_is_named(server: Server, metrics: Metrics) -> None:
    with pytest.raises(ConfigError, match=str(server.port)):
        Server(TelemetryConfig(port=server.port), metrics)


@pytest.fixture
def plain_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("plain_logging")
def test_logs_are_json_lines_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(TelemetryConfig(log_format="json"), component="worker")
    logs.logger("streams.worker").info(
        "connected", password="hidden", url="postgresql://ada:hidden@host/db", kafka={"token": "x"}
    )
    logging.getLogger("another").warning("of a library, %s", "http://ada:hidden@host")
    logging.getLogger("another").warning("GET https://host/?auth_token=hidden&page=2")
    first, second, third = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["event"] == "connected"
    assert first["component"] == "worker"
    assert first["level"] == "info"
    assert first["password"] == first["kafka"]["token"] == logs.MASK
    assert first["url"] == f"postgresql://ada:{logs.MASK}@host/db"
    assert second["event"] == f"of a library, http://ada:{logs.MASK}@host"
    assert third["event"] == f"GET https://host/?auth_token={logs.MASK}&page=2"


@pytest.mark.usefixtures("plain_logging")
def test_logs_are_readable_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(TelemetryConfig(log_format="console"))
    logs.logger("streams.worker").info("snapshot_written", partition=3)
    line = capsys.readouterr().err
    assert "snapshot_written" in line
    assert "partition=3" in line


def test_what_a_library_repeats_is_told_once_and_ours_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up(TelemetryConfig(log_format="json"), component="worker")
    for attempt in range(3):
        logging.getLogger("librdkafka").error("FAIL: refused (after %dms in state)", attempt)
        logging.getLogger("aiokafka.client").error("Unable connect")
        logging.getLogger("streams.transport").info("[^-Producer]: Starting...")
        logs.logger("streams.worker").info("assigned")
    told = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    once = {"FAIL: refused (after 0ms in state)": 1, "Unable connect": 1}
    assert Counter(told) == {**once, "assigned": 3}


@pytest.mark.usefixtures("plain_logging")
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_logged_traceback_tells_no_local_variables(
    log_format: Literal["json", "console"], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(config: dict[str, str]) -> None:
        raise RuntimeError(f"a client of {len(config)} settings broke")

    secret = "hid" + "den"
    logs.set_up(TelemetryConfig(log_format=log_format))
    try:
        fail({"sasl.password": secret})
    except RuntimeError:
        logs.logger("streams.worker").exception("failed")
        logging.getLogger("aiokafka").exception("of a library")
    said = capsys.readouterr().err
    assert said.count("a client of 1 settings broke") == 2
    assert "in fail" in said or '"name": "fail"' in said
    assert secret not in said
