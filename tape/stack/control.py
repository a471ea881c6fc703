"""Start and stop of the stack from another process than its supervisor's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from schemas.errors import StoreError
from tape.config import StackConfig
from tape.stack.layout import Layout
from tape.stack.process import Command, spawn
from tape.stack.state import State
from tape.stack.supervisor import (
    START_LIMIT_S,
    STOP_LIMIT_S,
    STOP_ORDER,
    Plan,
    end_leftovers,
    is_locked,
)

_POLL_S = 0.05
Report = Callable[[State], None]


def running(config: StackConfig) -> State | None:
    """The state of the stack that runs (or starts, or stops) in this folder."""
    layout = Layout(config.home)
    state = State.read(layout.state)
    return state if state is not None and state.is_alive and is_locked(layout.lock) else None


def start(plan: Plan, report: Report = lambda _: None, *, bound: bool = False) -> State:
    """Start a detached supervisor and wait until all answers; StoreError when it does not.

    `bound`: the stack ends with this process, whatever ends it. Where a stack already
    runs or starts, waits for that one.
    """
    layout = Layout(plan.config.home)
    layout.create()
    _wait_while_ending(layout)
    if is_locked(layout.lock):
        return _wait(layout, None, report)
    process = _spawn(plan, layout, bound)
    try:
        return _wait(layout, process, report)
    except BaseException:
        # Ctrl-C while it starts ends what has been started.
        process.terminate()
        process.wait()
        raise


def _wait_while_ending(layout: Layout) -> None:
    deadline = time.monotonic() + STOP_LIMIT_S * len(STOP_ORDER)
    while is_locked(layout.lock) and time.monotonic() < deadline:
        state = State.read(layout.state)
        if state is None or not state.is_alive or state.phase in ("starting", "ready"):
            return
        time.sleep(_POLL_S)


def _spawn(plan: Plan, layout: Layout, bound: bool) -> "subprocess.Popen[Any]":
    argv = [sys.executable, "-P", "-m", "tape.stack.supervisor", plan.model_dump_json()]
    log = layout.log("stack")
    if bound:
        return spawn(Command(argv), log)
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def _wait(layout: Layout, process: "subprocess.Popen[Any] | None", report: Report) -> State:
    deadline = time.monotonic() + START_LIMIT_S + 2 * STOP_LIMIT_S
    while time.monotonic() < deadline:
        # Asked before the state is read, which is written last thing before the end.
        ended = process.poll() is not None if process else not is_locked(layout.lock)
        state = State.read(layout.state)
        mine = state is not None and (process is None or state.supervisor.pid == process.pid)
        if state is not None and mine:
            report(state)
            if state.phase == "ready" and state.is_alive:
                return state
        if ended:
            if state is not None and mine and state.error:
                raise StoreError(state.error)
            log = layout.log("stack")
            last = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            raise StoreError(f"the stack ended while it started; {log} ends:\n" + "\n".join(last))
        time.sleep(_POLL_S)
    raise StoreError("the stack did not start in time: `tape logs` tells more")


def stop(config: StackConfig) -> bool:
    """End the stack and wait for its end; False where none was running."""
    layout = Layout(config.home)
    state = State.read(layout.state)
    if state is None:
        return False
    supervisor = state.supervisor.process()
    if supervisor is None or not is_locked(layout.lock):
        return bool(end_leftovers(state))
    supervisor.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_LIMIT_S * (len(STOP_ORDER) + 0.5)
    while time.monotonic() < deadline:
        if state.supervisor.process() is None:
            return True
        time.sleep(_POLL_S)
    raise StoreError(
        f"the supervisor (process {supervisor.pid}) did not end: "
        f"`kill -9 {supervisor.pid}` ends it and with it the services"
    )
