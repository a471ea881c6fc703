"""The command line with Kafka's address and security from the environment alone."""

import contextvars
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streams.config import KafkaConfig
from tape.cli import main
from tests.conftest import Stack
from tests.security.broker import KEY_PASSWORD, PASSWORD


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    out: str
    error: str
    seconds: float

    @property
    def json(self) -> Any:
        """The object that it printed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """The command line on one tape; whatever it says, no password is in it."""

    stack: Stack
    kafka: KafkaConfig
    tape: str
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Ours without its TAPE_ variables, and then these."""
        own = {name: text for name, text in os.environ.items() if not name.startswith("TAPE_")}
        return {
            **own,
            **_variables(self.kafka),
            "TAPE_REGISTRY__URL": self.stack.registry_url,
            "TAPE_DATABASE__URL": self.stack.database_url,
            "TAPE_TAPE": self.tape,
            **self.more,
        }

    @contextmanager
    def in_environment(self) -> Iterator[pytest.MonkeyPatch]:
        """Within the block this process's environment is this one."""
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("TAPE_")]:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield patch

    def run(self, *words: str, status: int = 0) -> Ended:
        """Run a command that ends, in this process: starting one costs seconds each time."""
        out, error = io.StringIO(), io.StringIO()
        began = time.monotonic()
        with self.in_environment() as patch, redirect_stdout(out), redirect_stderr(error):
            patch.setattr(sys, "argv", ["tape", *words])
            with pytest.raises(SystemExit) as end:
                # The settings that it loads are not to stay.
                contextvars.copy_context().run(main)
        said = out.getvalue(), error.getvalue()
        assert_silent(*said)
        assert (end.value.code or 0) == status, f"{words}: {end.value.code}\n{''.join(said)}"
        return Ended(*said, time.monotonic() - began)

    @contextmanager
    def process(self, command: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """A process that is killed at the block's end if it still runs."""
        argv = [sys.executable, "-m", "tape", command]
        with log.open("wb") as out:
            process = subprocess.Popen(argv, env=self.environment, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            assert_silent(log.read_text())

    @contextmanager
    def running(self, command: str, log: Path) -> Iterator[None]:
        """A process that is asked to end at the block's end, and does so well."""
        with self.process(command, log) as process:
            yield
            process.terminate()
            assert process.wait(30) == 0, log.read_text()


def _variables(kafka: KafkaConfig) -> dict[str, str]:
    """The settings of Kafka that are not the default, as variables."""
    given = kafka.model_dump(exclude_defaults=True)
    return {
        f"TAPE_KAFKA__{name.upper()}": getattr(value, "get_secret_value", lambda v=value: str(v))()
        for name, value in given.items()
    }


def assert_silent(*texts: str) -> None:
    """No password is in them, nor the beginning of one."""
    for text in texts:
        for secret in (PASSWORD, KEY_PASSWORD):
            assert secret[:10] not in text
