"""A Java consumer reads what we write, by Apicurio's Confluent-compatible Avro deserializer."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import catalogue
from schemas.compatibility import kind_of
from tests.interop.java import run_reader
from tests.interop.written import Written, as_json

_CONFLUENT_API = "/apis/ccompat/v7"
_OWN_API = "/apis/registry/v3"


def test_every_record_of_every_topic(written: Written, tmp_path: Path) -> None:
    registry = written.stack.registry_url.replace(_CONFLUENT_API, _OWN_API)
    if registry == written.stack.registry_url:
        pytest.skip(f"{registry} is no Apicurio, whose deserializer this is")
    printed = run_reader(
        tmp_path, written.stack.kafka_bootstrap, registry, str(written.count), *written.topics
    )
    lines = [json.loads(line) for line in printed.splitlines()]
    written.assert_equal([(line["topic"], as_json(_fields(line))) for line in lines])


def _fields(line: dict[str, Any]) -> dict[str, Any]:
    """Avro's Java prints bytes as Latin-1 text."""
    fields: dict[str, Any] = line["value"]
    for field in catalogue.schema(line["record"])["fields"]:
        if kind_of(field["type"], {})[0] == "bytes":
            fields[field["name"]] = fields[field["name"]].encode("latin-1").hex()
    return fields
