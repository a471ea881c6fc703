"""`tape demo` from start to proof, on real servers."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Stack
from tests.data import shared_data


def _demo(
    stack: Stack, home: Path, *arguments: str, interrupt_after_s: float | None = None
) -> dict[str, object]:
    environment = {**stack.environment, "TAPE_HOME": str(home), "TAPE_TELEMETRY__LOG_LEVEL": "info"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tape", "demo", "--json", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if interrupt_after_s is not None:
        _await_feeding(process)
        time.sleep(interrupt_after_s)
        os.kill(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors[-3000:]
    result: dict[str, object] = json.loads(printed.strip().splitlines()[-1])
    return result


def _await_feeding(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Feeding"):
            return
    raise AssertionError("it ended before it fed")


def test_demo_proves_a_session_of_the_simulated_venues(stack: Stack, tmp_path: Path) -> None:
    result = _demo(stack, tmp_path, "--seconds", "8", "--rate", "800")
    assert result["proved"] is True
    assert result["replay"]["identical"] is True  # type: ignore[index]
    assert result["sinks"]["verified"] is True  # type: ignore[index]
    assert result["dead_letters"] == 0
    events_in, events_out = result["events_in"], result["events_out"]
    assert {"Trade", "BookDelta", "BookSnapshot", "Quote", "Clock"} <= set(events_in)  # type: ignore[call-overload]
    assert all(events_out[name] > 0 for name in ("books", "bars", "reference"))  # type: ignore[index]
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["p99"]  # type: ignore[index]


def test_the_proofs_hold_in_a_storm(stack: Stack, tmp_path: Path) -> None:
    result = _demo(stack, tmp_path, "--seconds", "25", "--rate", "500", "--weather", "storm")
    assert result["proved"] is True
    assert result["weather"], "no fault came"
    assert result["collected"]["published"] > 0  # type: ignore[index]
    assert result["collected"]["missing"] == 0  # type: ignore[index]


def test_unknown_weather_is_refused_with_those_that_are_known(stack: Stack, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tape", "demo", "--weather", "hail"],
        env={**stack.environment, "TAPE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "calm, rough, storm" in done.stderr


def test_ctrl_c_stops_feeding_and_still_proves(stack: Stack, tmp_path: Path) -> None:
    result = _demo(stack, tmp_path, "--seconds", "600", "--rate", "500", interrupt_after_s=6)
    assert result["proved"] is True


def test_demo_proves_a_recorded_capture(stack: Stack, tmp_path: Path) -> None:
    source = shared_data() / "ws" / "binance_spot_btcusdt_20240808.hft.gz"
    part = tmp_path / "btcusdt.hft.gz"
    with gzip.open(source, "rt") as lines, gzip.open(part, "wt") as out:
        out.writelines(line for line, _ in zip(lines, range(8_000), strict=False))
    result = _demo(stack, tmp_path, "--capture", str(part))
    assert result["proved"] is True
    assert result["latency_ms"] == {"p50": None, "p99": None}


def test_missing_capture_is_refused_by_name(stack: Stack, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tape", "demo", "--capture", "nowhere.gz"],
        env={**stack.environment, "TAPE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "nowhere.gz" in done.stderr


@pytest.mark.parametrize("seconds", ["0", "x"])
def test_wrong_seconds_are_refused(seconds: str, stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tape", "demo", "--seconds", seconds],
        env=stack.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
