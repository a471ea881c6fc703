"""An archive on S3: moto's server in an environment of its own, reached by s3fs."""

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import log
from streams.archive.config import ArchiveConfig
from streams.archive.store import FileStore
from tests.sinks.archive.archives import Archived, plain

pytest.importorskip("s3fs", reason="the extra `archive` is not installed")
# Its server is fetched while it runs.
pytestmark = pytest.mark.slow
_START_S = 90.0


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an S3 server with an empty bucket `tape`."""
    if shutil.which("uv") is None:
        pytest.skip("uv makes the S3 server's environment; it is not there")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    run = ["uv", "run", "--quiet", "--isolated", "--no-project", "--with", "moto[server]==5.2.5"]
    output = tmp_path_factory.mktemp("s3") / "log"
    with output.open("wb") as out:
        server = subprocess.Popen(
            [*run, "moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=out, stderr=out
        )
    address = f"http://127.0.0.1:{port}"
    try:
        if not _answers(address, server):
            pytest.skip(f"the S3 server did not start: {output.read_text()[-500:]}")
        with pytest.MonkeyPatch.context() as environment:
            for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
                environment.setenv(f"AWS_{name}", "test")
            environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
            _make_bucket(address)
            yield address
    finally:
        server.terminate()
        server.wait(10)


def _answers(address: str, server: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/moto-api/", timeout=2):
                return True
        except OSError:
            time.sleep(0.2)
    return False


def _make_bucket(address: str) -> None:
    import s3fs

    s3fs.S3FileSystem(endpoint_url=address).mkdir("tape")


def test_archived_on_s3_it_comes_back_and_is_verified(s3: str, archived: Archived) -> None:
    config = ArchiveConfig(url="s3://tape/old", endpoint_url=s3, topics=("tape",))
    on_s3 = Archived(archived.tape, Path(), config)
    assert on_s3.write().segments
    assert on_s3.write().segments == []
    assert on_s3.problems() == []
    tape, archive = on_s3.tape, on_s3.open()
    for partition, end in tape.ends().items():
        wanted = plain(log.read(tape.kafka, tape.name, "tape", partition, 0, None))
        assert plain(archive.read("tape", partition, 0, end)) == wanted
    path = next(path for path in archive.store.files("") if path.endswith(".parquet"))
    archive.store.remove(path)
    assert on_s3.problems() == [f"{path} is missing in s3://tape/old; {_REPAIR}"]


_REPAIR = "`tape archive verify` tells all that is wrong"


def test_a_manifest_on_s3_is_never_written_over(s3: str) -> None:
    store = FileStore(ArchiveConfig(url="s3://tape/once", endpoint_url=s3))
    assert store.create("t/_manifest/0.json", b"first")
    assert not store.create("t/_manifest/0.json", b"second")
    assert store.read("t/_manifest/0.json") == b"first"
