"""Started as a script before each child: binds it to its parent's life, drops root, then execs.

A separate program rather than `preexec_fn`, which is unsafe beside the threads of the Kafka client.
Standard library only: it runs with `python -I -S`.
"""

import argparse
import ctypes
import os
import pwd
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def main() -> None:
    """Run `launch.py --parent PID --signal N [--user NAME [--read-all]] -- COMMAND …`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--read-all", action="store_true")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    if given.user:
        _become(given.user, given.read_all)
    # After the change of user, which clears it.
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, given.signal)
    if os.getppid() != given.parent:
        sys.exit("the parent ended before this child began")
    os.execvp(given.command[0], given.command)


def _become(name: str, read_all: bool) -> None:
    """Become this user; with `read_all` keep the right to pass folders closed to it (/root)."""
    user = pwd.getpwnam(name)
    if read_all:
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if read_all:
        _keep_only(_CAP_DAC_READ_SEARCH)


def _keep_only(capability: int) -> None:
    mask = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable; the second triple is for capabilities above 31.
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *values: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


if __name__ == "__main__":
    main()
