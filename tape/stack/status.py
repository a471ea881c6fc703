"""What runs and answers now: the local services and the external ones."""

import time
from dataclasses import dataclass

import psutil

from schemas.errors import TapeError
from streams.kafka import connect
from tape.config import Settings
from tape.stack import kafka, postgres, registry
from tape.stack.addresses import PARTS, local_services
from tape.stack.control import running


@dataclass(frozen=True, slots=True)
class Part:
    """One of Kafka, registry and PostgreSQL."""

    name: str
    where: str
    """local or external"""
    address: str
    """Without password; empty where it does not run."""
    answers: bool
    pid: int | None = None
    memory_mb: float = 0.0
    """Resident memory of its processes; shared pages of PostgreSQL's count each time."""
    uptime_s: float = 0.0
    restarts: int = 0
    problem: str = ""
    """Why it does not answer, where more is known than that."""


def parts(settings: Settings) -> list[Part]:
    """The three parts of the system that are servers of others."""
    local = local_services(settings)
    state = running(settings.stack)
    found = []
    for name in PARTS:
        if name not in local:
            found.append(_external(name, settings))
        elif state is None or (service := state.services.get(name)) is None:
            found.append(Part(name, "local", "", False))
        else:
            process = service.identity.process() if service.identity else None
            found.append(
                Part(
                    name,
                    "local",
                    masked(service.address),
                    answers=process is not None
                    and service.ready
                    and _answers(name, service.address),
                    pid=process.pid if process else None,
                    memory_mb=_memory_mb(process),
                    uptime_s=round(time.time() - process.create_time(), 1) if process else 0.0,
                    restarts=service.restarts,
                )
            )
    return found


def _external(name: str, settings: Settings) -> Part:
    address = {
        "kafka": settings.kafka.bootstrap,
        "registry": settings.registry.url,
        "postgres": settings.database.url.get_secret_value(),
    }[name]
    if name != "kafka":
        return Part(name, "external", masked(address), _answers(name, address))
    try:
        connect(settings.kafka)
    except TapeError as error:
        return Part(name, "external", address, answers=False, problem=str(error))
    return Part(name, "external", address, answers=True)


def _answers(name: str, address: str) -> bool:
    checks = {"kafka": kafka.answers, "registry": registry.answers, "postgres": postgres.answers}
    return checks[name](address)


def _memory_mb(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        return round(total / 2**20, 1)
    return round(total / 2**20, 1)


def masked(address: str) -> str:
    """The address without its password."""
    head, at, tail = address.rpartition("@")
    scheme, slashes, credentials = head.rpartition("//")
    user, colon, _password = credentials.partition(":")
    return f"{scheme}{slashes}{user}{':********' if colon else ''}{at}{tail}"
