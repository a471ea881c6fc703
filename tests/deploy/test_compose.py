"""The Docker files, checked as far as goes without an engine."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tape.cli import COMMANDS
from tape.config import load

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "tape:local"]
DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text()


def test_the_whole_system_is_there() -> None:
    assert {"kafka", "registry", "timescaledb", "prometheus", "grafana"} <= set(SERVICES)
    assert {"collector", "worker", "sink"} <= set(OURS)


@pytest.mark.parametrize("name", SERVICES)
def test_every_long_running_service_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    if service.get("restart") == "on-failure":  # runs once and ends
        return
    assert service.get("healthcheck") or (name in OURS and "HEALTHCHECK" in DOCKERFILE)


def test_no_password_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for line in text.splitlines():
        if "PASSWORD" in line and ":" in line:
            assert re.search(r"\$\{[A-Z_]*PASSWORD:\?", line), line
    example = (ROOT / "deploy/docker/env.example").read_text()
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    assert {line.split("=")[0] for line in example.splitlines() if line.endswith("=")} == needed


def test_every_volume_is_declared_and_every_mounted_file_exists() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), (name, source)
            else:
                assert source in COMPOSE["volumes"], (name, source)


@pytest.mark.parametrize("name", OURS)
def test_our_services_call_commands_and_settings_that_exist(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = SERVICES[name]
    assert service["command"][0] in COMMANDS
    for variable, value in service["environment"].items():
        default = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", str(value))
        monkeypatch.setenv(variable, re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "secret", default))
    settings = load()
    assert settings.kafka.bootstrap.split(":")[0] in SERVICES
    assert settings.telemetry.port == 9464


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_image_is_built_in_two_stages_and_runs_as_its_own_user() -> None:
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.M)) == 2
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    user = re.findall(r"^USER (\w+)", final, re.M)
    assert user == ["tape"]


def test_image_copies_what_exists_and_what_the_wheel_needs() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M)
        for source in line.split()[:-1]
    }
    for source in copied:
        assert (ROOT / source).exists(), source
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    allowed = set((ROOT / ".dockerignore").read_text().split())
    assert {f"!{source}" for source in copied} <= allowed


def test_compose_file_is_accepted_by_docker(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("no docker compose here")
    environment = tmp_path / "env"
    environment.write_text(
        "TAPE_DATABASE_PASSWORD=a\nGRAFANA_DATABASE_PASSWORD=b\nGRAFANA_ADMIN_PASSWORD=c\n"
    )
    done = subprocess.run(
        [docker, "compose", "--env-file", str(environment), "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["services"]) == set(SERVICES)
