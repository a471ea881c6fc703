"""Ports: free ones, and who holds those that are not."""

import socket

import psutil

from schemas.errors import StoreError

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def require_free(port: int, setting: str) -> None:
    """StoreError names the process that holds the port, and the setting that changes it."""
    if is_free(port):
        return
    variable = f"TAPE_{setting.upper().replace('.', '__')}"
    raise StoreError(
        f"port {port} ({setting}) is held by {holder(port)}: end that, or choose another port "
        f"with --set {setting}=PORT or {variable}=PORT"
    )


def is_free(port: int) -> bool:
    """Whether we could listen on it."""
    with socket.socket() as probe:
        # As servers do: connections of an ended server that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """The process that listens on a port, in words."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or connection.laddr.port != port:
                continue
            if connection.pid is None:
                break
            process = psutil.Process(connection.pid)
            # The end tells Java programs apart, whose beginning is a class path.
            words = " ".join([process.name(), "…", *process.cmdline()[-2:]])
            return f"process {process.pid} of {process.username()} ({words[:120]})"
    except psutil.Error:
        pass
    return "a process of another user"


def accepts(port: int, timeout_s: float = 0.3) -> bool:
    """Whether something on loopback takes connections there."""
    try:
        with socket.create_connection((HOST, port), timeout=timeout_s):
            return True
    except OSError:
        return False
