"""`python -m tape.stack.pin`: resolves the pinned versions anew and writes `artifacts.toml`."""

import hashlib
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

KAFKA = "4.3.1"
# Kafka's own slf4j is 1.7; its simplest binding writes to standard error, our log file.
SLF4J = "1.7.36"
REGISTRY = "3.3.3"


def main() -> None:
    """Write the lock file beside this module."""
    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch), timeout=120)
        wanted = [
            context.create_dependency(coordinate)
            for coordinate in (
                f"org.apache.kafka:kafka_2.13:{KAFKA}",
                f"org.slf4j:slf4j-simple:{SLF4J}",
            )
        ]
        roots, transitive = context.resolver.resolve(wanted)
        jars = [_entry(dependency.artifact) for dependency in [*roots, *transitive]]
        registry = context.project("io.apicurio", "apicurio-registry-app").at_version(REGISTRY)
        archive = _entry(registry.artifact("all", "tar.gz"))
    text = "# Made by `python -m tape.stack.pin`; checked at every start.\n"
    text += _section("kafka", KAFKA, sorted(jars)) + _section("registry", REGISTRY, [archive])
    Path(__file__).with_name("artifacts.toml").write_text(text)


def _entry(artifact: object) -> str:
    path = Path(artifact.resolve())  # type: ignore[attr-defined] # jgo has no types here
    parts = [getattr(artifact, name) for name in ("groupId", "artifactId", "version")]
    if path.suffix != ".jar":
        parts += [getattr(artifact, name) for name in ("classifier", "packaging")]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return (
        f'  {{ coordinate = "{":".join(parts)}", '
        f'sha256 = "{digest}", size = {path.stat().st_size} }},\n'
    )


def _section(name: str, version: str, entries: list[str]) -> str:
    return f'\n[{name}]\nversion = "{version}"\nfiles = [\n{"".join(entries)}]\n'


if __name__ == "__main__":
    main()
