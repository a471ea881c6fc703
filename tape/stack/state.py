"""The state file of a stack: what its supervisor tells every other process."""

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from tape.stack.process import Identity

Phase = Literal["starting", "ready", "stopping", "stopped", "failed"]


class ServiceState(BaseModel):
    """One service."""

    address: str
    """What clients are given; holds the password of PostgreSQL."""
    port: int
    identity: Identity | None = None
    ready: bool = False
    ready_after_s: float = 0.0
    """From the start of the stack to its first answer."""
    restarts: int = 0
    stop_signal: int = 15


class State(BaseModel):
    """The stack."""

    supervisor: Identity
    phase: Phase = "starting"
    started: float
    """Seconds since the epoch."""
    error: str = ""
    services: dict[str, ServiceState] = {}

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor that wrote it lives."""
        return self.supervisor.process() is not None

    def write(self, path: Path) -> None:
        """Replace the file at once: a reader sees the old or the new one."""
        aside = path.with_suffix(".new")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.model_dump_json(indent=2))
        aside.replace(path)

    @classmethod
    def read(cls, path: Path) -> "State | None":
        """The state, or None where no stack ever ran (or what is there is not of this version)."""
        try:
            return cls.model_validate(json.loads(path.read_text()))
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, ValidationError):
            return None
