"""Downloads: pinned, checked, fetched again when damaged."""

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.errors import StoreError
from tape.stack.artifacts import Artifact, Cache, lock


@pytest.fixture
def small() -> Artifact:
    """The smallest file of the lock."""
    return min(lock().kafka, key=lambda artifact: artifact.size)


def test_every_file_is_pinned_by_version_and_checksum() -> None:
    for artifact in lock().artifacts:
        assert len(artifact.sha256) == 64
        assert artifact.parts[2][0].isdigit()
    names = [artifact.file_name for artifact in lock().artifacts]
    assert len(set(names)) == len(names)


def test_damaged_file_is_missing_and_fetched_again(tmp_path: Path, small: Artifact) -> None:
    cache = Cache(tmp_path)
    arrived: list[int] = []
    cache.fetch([small], arrived.append)
    assert small not in cache.missing()
    assert sum(arrived) == small.size
    path = cache.jar(small)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert small in cache.missing()
    cache.fetch([small])
    assert small not in cache.missing()


def test_file_with_another_checksum_than_pinned_is_refused(tmp_path: Path, small: Artifact) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(StoreError, match="pinned is 0000"):
        cache.fetch([replace(small, sha256="0" * 64)])
    assert not cache.jar(small).exists()


def test_file_that_is_not_there_is_named(tmp_path: Path, small: Artifact) -> None:
    absent = replace(small, coordinate=small.coordinate.rsplit(":", 1)[0] + ":0.0.0-absent")
    cache = Cache(tmp_path)
    with pytest.raises(StoreError, match="absent could not be downloaded"):
        cache._fetch_one(absent, lambda _: None)
