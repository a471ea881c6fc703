"""`tape logs`: what the local services wrote."""

import time
from collections import deque
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import StoreError
from tape import config
from tape.stack.layout import Layout

_POLL_S = 0.2


class Log(StrEnum):
    """Logs that there are; stack is the supervisor's."""

    KAFKA = "kafka"
    REGISTRY = "registry"
    POSTGRES = "postgres"
    STACK = "stack"


def command(
    service: Annotated[Log | None, typer.Argument(help="Default: all of them.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines of each.")] = 50,
) -> None:
    """Print the last lines of the local services' logs."""
    layout = Layout(config.settings().stack.home)
    names = [service.value] if service else [log.value for log in Log]
    files = {name: layout.log(name) for name in names if layout.log(name).is_file()}
    if not files:
        raise StoreError(f"no log in {layout.logs}: the local stack never ran here (`tape up`)")
    prefix = len(names) > 1
    ends = {name: _print_tail(name, path, lines, prefix) for name, path in files.items()}
    while follow:
        for name, path in files.items():
            ends[name] = _print_from(name, path, ends[name], prefix)
        time.sleep(_POLL_S)


def _print_tail(name: str, path: Path, lines: int, prefix: bool) -> int:
    """Print the last lines; the position after them, bytes."""
    with path.open("rb") as file:
        for line in deque(file, maxlen=lines):
            _print(name, line, prefix)
        return file.tell()


def _print_from(name: str, path: Path, position: int, prefix: bool) -> int:
    """Print whole lines after a position; the position after them."""
    if path.stat().st_size < position:
        # Put aside and begun anew.
        position = 0
    with path.open("rb") as file:
        file.seek(position)
        for line in file:
            if not line.endswith(b"\n"):
                break
            _print(name, line, prefix)
            position += len(line)
    return position


def _print(name: str, line: bytes, prefix: bool) -> None:
    text = line.decode(errors="replace").rstrip("\n")
    print(f"{name:8} | {text}" if prefix else text, flush=True)
