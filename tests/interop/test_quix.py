"""Quix Streams' Avro deserializer with the registry reads what we write."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.interop.written import Written, as_json

PACKAGE = "quixstreams[avro,schema_registry]==3.28.1"
READER = Path(__file__).with_name("quix_reader.py")


def test_every_record_of_every_topic(written: Written) -> None:
    uv = shutil.which("uv") or Path(__file__).parents[2] / ".uv" / "bin" / "uv"
    if not Path(uv).exists():
        pytest.skip("uv, which makes Quix Streams' own environment, is not here")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(str(uv), "run", "--isolated", "--no-project", "--with", PACKAGE, "python"),
                *(str(READER), written.stack.kafka_bootstrap, written.stack.registry_url),
                *(str(written.count), *written.topics),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    written.assert_equal([(line["topic"], as_json(line["value"])) for line in lines])
