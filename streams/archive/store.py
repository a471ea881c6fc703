"""Files of the archive on a store that fsspec knows; each is written whole or not at all."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from schemas.errors import ConfigError, StoreError
from streams.archive.config import ArchiveConfig

TEMPORARY = ".tmp"


class FileStore:
    """A folder of a store; paths are relative to it, with slashes.

    ConfigError when the URL is none that can be used, StoreError when the store fails.
    """

    def __init__(self, config: ArchiveConfig) -> None:
        if not config.url:
            raise ConfigError(
                "there is no archive: archive.url names a folder, or s3://bucket/prefix"
            )
        self.url = config.url
        given = {"endpoint_url": config.endpoint_url} if config.endpoint_url else {}
        try:
            self._fs, self._root = fsspec.core.url_to_fs(config.url, **given)
        except ImportError as error:
            raise ConfigError(
                f"archive.url {config.url}: {error}; for S3 install tape's extra `archive`"
            ) from None
        except (ValueError, TypeError) as error:
            raise ConfigError(f"archive.url {config.url} cannot be used: {error}") from None
        self._root = str(self._root).rstrip("/")
        self.is_local = isinstance(self._fs, LocalFileSystem)

    def read(self, path: str) -> bytes:
        """A file's bytes; FileNotFoundError when it is not there."""
        with self._failing(path, "read"):
            data: bytes = self._fs.cat_file(self._at(path))
            return data

    def write(self, path: str, data: bytes) -> None:
        """Write a file, in the place of one that is there; it is on the disk afterwards."""
        with self._failing(path, "written"):
            if self.is_local:
                temporary = self._temporary(path, data)
                os.replace(temporary, self._at(path))
                _sync_folder(temporary.parent)
            else:
                self._fs.pipe_file(self._at(path), data)

    def create(self, path: str, data: bytes) -> bool:
        """Write a file unless it is there; whether this call wrote it."""
        with self._failing(path, "written"):
            try:
                if self.is_local:
                    temporary = self._temporary(path, data)
                    try:
                        os.link(temporary, self._at(path))
                    finally:
                        temporary.unlink()
                    _sync_folder(temporary.parent)
                else:
                    self._fs.pipe_file(self._at(path), data, mode="create")
            except FileExistsError:
                return False
            return True

    def files(self, folder: str) -> dict[str, int]:
        """Sizes of all files below a folder, by path; read anew from the store."""
        with self._failing(folder, "listed"):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
            return {
                name.removeprefix(f"{self._root}/"): int(info["size"])
                for name, info in found.items()
            }

    def names(self, folder: str) -> list[str]:
        """Names of what lies in a folder, sorted; none where there is no such folder."""
        with self._failing(folder, "listed"):
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._at(folder), detail=False)
            except FileNotFoundError:
                return []
            return sorted(str(name).rstrip("/").rsplit("/", 1)[-1] for name in found)

    def age_s(self, path: str) -> float:
        """Seconds since a file was written; 0 where the store does not tell."""
        try:
            age = datetime.now(UTC) - self._fs.modified(self._at(path))
            return float(age.total_seconds())
        except (NotImplementedError, OSError):
            return 0.0

    def remove(self, path: str) -> None:
        """Remove a file; nothing when it is not there."""
        with self._failing(path, "removed"), suppress(FileNotFoundError):
            self._fs.rm_file(self._at(path))

    @contextmanager
    def alone(self, folder: str) -> Iterator[None]:
        """Be the only process that writes to a folder; StoreError when another one does.

        Only a local folder can be locked. Elsewhere `create` lets one of two win.
        """
        if not self.is_local:
            yield
            return
        path = Path(self._at(folder))
        path.mkdir(parents=True, exist_ok=True)
        with (path / "_lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreError(f"another process archives to {path}; wait for it") from None
            yield

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _temporary(self, path: str, data: bytes) -> Path:
        target = Path(self._at(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{uuid4().hex}{TEMPORARY}")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return temporary

    @contextmanager
    def _failing(self, path: str, done: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, StoreError):
            raise
        # Each store has errors of its own: of the network, of its library, of permissions.
        except Exception as error:
            raise StoreError(
                f"{path} of the archive {self.url} could not be {done}: {error!r}"
            ) from error


def _sync_folder(folder: Path) -> None:
    handle: Any = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
