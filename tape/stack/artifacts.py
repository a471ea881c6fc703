"""Downloads of the local stack: pinned, checked against `artifacts.toml`, kept in the cache."""

import fcntl
import hashlib
import os
import shutil
import tarfile
import threading
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from schemas.errors import StoreError

# Called with the bytes that arrived since the last call.
Advance = Callable[[int], None]

_CHUNK = 1 << 20
_TIMEOUT_S = 120
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of Maven Central; `coordinate` is group:artifact:version[:classifier:packaging]."""

    coordinate: str
    sha256: str
    size: int
    """Bytes."""

    @property
    def parts(self) -> tuple[str, str, str, str, str]:
        """Group, artifact, version, classifier and packaging."""
        group, name, version, *rest = self.coordinate.split(":")
        classifier, packaging = rest or ("", "jar")
        return group, name, version, classifier, packaging

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        _, name, version, classifier, packaging = self.parts
        return f"{name}-{version}{'-' + classifier if classifier else ''}.{packaging}"


@dataclass(frozen=True, slots=True)
class Lock:
    """What the stack is made of: versions and files, as pinned in the package."""

    kafka_version: str
    kafka: tuple[Artifact, ...]
    registry_version: str
    registry: Artifact

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Every file that is downloaded."""
        return (*self.kafka, self.registry)


@cache
def lock() -> Lock:
    """The lock file of the package."""
    table = tomllib.loads(files("tape.stack").joinpath("artifacts.toml").read_text())
    kafka, registry = table["kafka"], table["registry"]
    return Lock(
        kafka_version=kafka["version"],
        kafka=tuple(Artifact(**jar) for jar in kafka["files"]),
        registry_version=registry["version"],
        registry=Artifact(**registry["files"][0]),
    )


class Cache:
    """The folder of downloads, shared by all stacks of this user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def jar(self, artifact: Artifact) -> Path:
        """Where this file is kept."""
        return self.folder / "jars" / artifact.file_name

    @property
    def kafka_classpath(self) -> str:
        """Java class path of Kafka."""
        return os.pathsep.join(str(self.jar(artifact)) for artifact in lock().kafka)

    @property
    def registry_folder(self) -> Path:
        """The unpacked registry; its name holds the checksum of what it was unpacked from."""
        registry = lock().registry
        return self.folder / f"registry-{lock().registry_version}-{registry.sha256[:12]}"

    def missing(self) -> list[Artifact]:
        """The files that are absent or whose checksum is not the pinned one."""
        absent = [artifact for artifact in lock().kafka if not self._is_good(artifact)]
        return absent if self.registry_folder.is_dir() else [*absent, lock().registry]

    def _is_good(self, artifact: Artifact) -> bool:
        path = self.jar(artifact)
        return (
            path.is_file()
            and path.stat().st_size == artifact.size
            and _sha256(path) == artifact.sha256
        )

    def fetch(self, wanted: list[Artifact], advance: Advance = lambda _: None) -> None:
        """Download what is wanted; StoreError names the file that could not be had or was wrong."""
        with self._locked():
            still = {artifact.coordinate for artifact in self.missing()}
            work = [artifact for artifact in wanted if artifact.coordinate in still]
            for artifact in wanted:
                if artifact not in work:
                    advance(artifact.size)
            self._fetch_all(work, advance)

    def _fetch_all(self, work: list[Artifact], advance: Advance) -> None:
        stopped = threading.Event()

        def step(count: int) -> None:
            if stopped.is_set():
                raise StoreError("the download was stopped")
            advance(count)

        pool = ThreadPoolExecutor(4)
        try:
            list(pool.map(lambda artifact: self._fetch_one(artifact, step), work))
        except BaseException:
            # Ctrl-C, or one that failed: do not wait for the others' hundred megabytes.
            stopped.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _fetch_one(self, artifact: Artifact, advance: Advance) -> None:
        partial = self.folder / "partial" / artifact.file_name
        shutil.rmtree(partial, ignore_errors=True)
        try:
            path = _download(artifact, partial, advance)
            if (was := _sha256(path)) != artifact.sha256:
                raise StoreError(
                    f"{artifact.coordinate} came with SHA-256 {was}, pinned is {artifact.sha256}: "
                    "what answered is not the repository that it should be; it was not used"
                )
            if artifact == lock().registry:
                _unpack(path, partial / "unpacked", self.registry_folder)
            else:
                self.jar(artifact).parent.mkdir(parents=True, exist_ok=True)
                path.replace(self.jar(artifact))
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two stacks that start at once fetch one after the other."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _download(artifact: Artifact, folder: Path, advance: Advance) -> Path:
    # Imported here: jgo and requests cost 0.2 s that a start with a full cache need not pay.
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    @contextmanager
    def progress(_name: str, _total: int) -> Iterator[Advance]:
        yield advance

    group, name, version, classifier, packaging = artifact.parts
    for left in reversed(range(_TRIES)):
        # A repository folder of its own: an interrupted download leaves half a file in it.
        shutil.rmtree(folder, ignore_errors=True)
        context = MavenContext(
            resolver=PythonResolver(progress_callback=progress),
            repo_cache=folder,
            timeout=_TIMEOUT_S,
        )
        component = context.project(group, name).at_version(version)
        try:
            return Path(component.artifact(classifier, packaging).resolve())
        except (RequestException, RuntimeError, OSError) as error:
            if not left:
                raise StoreError(
                    f"{artifact.coordinate} could not be downloaded from Maven Central: {error}. "
                    "Check the network (HTTPS_PROXY is honoured), then run it again"
                ) from error
    raise AssertionError("unreachable")


def _unpack(archive: Path, scratch: Path, target: Path) -> None:
    """Unpack aside, then rename: a folder under the final name is always whole."""
    with tarfile.open(archive) as tar:
        # An attribute, since Python before 3.11.4 has no filters (the archive's checksum is known).
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(scratch)
    shutil.rmtree(target, ignore_errors=True)
    scratch.replace(target)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
