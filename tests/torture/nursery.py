"""Starts `tape` processes quickly: a process that has imported everything forks them.

A worker that is killed every other second would spend its life importing. Each child is the
command itself (`tape.cli.main`), in a session and with an environment of its own, and dies with
the nursery.
"""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1


class Nursery:
    """The harness's side: ask for processes, and how they ended."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.nursery"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True,
            )  # fmt: skip
        self.codes: dict[int, int] = {}
        """Status of those that ended, by pid."""
        assert self._ask({}) == {}, "the nursery did not start"

    def start(self, arguments: list[str], environment: dict[str, str], log: Path) -> int:
        """Start `tape ARGUMENTS`; its pid."""
        asked = {"arguments": arguments, "environment": environment, "log": str(log)}
        pid = int(self._ask(asked)["pid"])
        self.codes.pop(pid, None)
        return pid

    def reap(self) -> None:
        """Learn which ended."""
        found = self._ask({"reap": True})
        self.codes.update({int(pid): code for pid, code in found.items()})

    def close(self) -> None:
        """End it and all that it started."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def main() -> None:
    """Import all, then start what is asked for, until nobody asks any more."""
    _load()
    gc.collect()
    gc.freeze()
    parent = os.getpid()
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "reap" in request:
            print(json.dumps(_reap()), flush=True)
        elif "arguments" in request:
            pid = os.fork()
            if pid == 0:
                _become(request, parent)
            print(json.dumps({"pid": pid}), flush=True)
        else:
            print("{}", flush=True)


def _load() -> None:
    from streams.warm import warm_up
    from tape import cli
    from tape.commands import collect, sim, sink, worker
    from venues.live import collector, measures, recorder
    from venues.simulator import market
    from venues.simulator.server import simulator

    for module in (cli, collect, sim, sink, worker, collector, measures, recorder, simulator):
        assert module
    warm_up()
    next(market.Market(symbols=("BTC-USDT",), events_per_second=50.0).seconds())


def _reap() -> dict[int, int]:
    found: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found[pid] = os.waitstatus_to_exitcode(status)


def _become(request: dict[str, Any], parent: int) -> NoReturn:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["tape", *request["arguments"]]
    from tape.cli import main as tape

    tape()
    sys.exit()


if __name__ == "__main__":
    main()
