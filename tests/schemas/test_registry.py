"""The registry client, on a real registry; and what it says when the address is none."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from schemas import catalogue, rows
from schemas.decode import Decoder
from schemas.errors import SchemaError, StoreError
from schemas.events import Clock
from schemas.registry import Registry
from tests.conftest import Stack
from tests.schemas.records import decoded, framed


@pytest.fixture
def registry(stack: Stack) -> Registry:
    return Registry(stack.registry_url)


def register(stack: Stack, subject: str, schema: object, kind: str = "AVRO") -> int:
    """Register a schema as another program would."""
    text = schema if isinstance(schema, str) else json.dumps(schema)
    answer = httpx.post(
        f"{stack.registry_url}/subjects/{subject}/versions",
        json={"schema": text, "schemaType": kind},
    )
    return int(answer.raise_for_status().json()["id"])


def test_every_record_of_the_catalogue_gets_an_id_that_stays(
    registry: Registry, tape_name: str
) -> None:
    made = registry.register_missing(tape_name)
    pairs = {(topic.name, record) for topic in catalogue.TOPICS for record in topic.records}
    assert made.by_record.keys() == pairs
    for topic, record in pairs:
        assert made.writers[made.id(topic, record)] == catalogue.schema(record)
    assert registry.register_missing(tape_name).by_record == made.by_record
    assert registry.ids(tape_name).by_record == made.by_record


def test_ids_of_a_tape_that_was_not_made_are_refused_with_advice(
    registry: Registry, tape_name: str
) -> None:
    with pytest.raises(SchemaError, match=f"not registered.*`tape --tape {tape_name} up`"):
        registry.ids(tape_name)


def test_a_schema_that_another_program_registered_is_fetched_and_decodes(
    stack: Stack, registry: Registry, tape_name: str
) -> None:
    ids = registry.register_missing(tape_name)
    clock = catalogue.schema("Clock")
    newer = {**clock, "fields": [*clock["fields"], {"name": "zone", "type": "string", "doc": "d"}]}
    schema_id = register(stack, catalogue.subject(tape_name, "tape", "Clock"), newer)
    frame = framed(schema_id, b"\x02\x04\x06UTC")
    decoder = Decoder(ids.writers)
    assert decoded([frame], decoder, "tape").refused == [(0, f"unknown schema id {schema_id}")]
    decoder.add(schema_id, ids.fetch(schema_id))
    assert decoded([frame], decoder, "tape").refused == []
    assert rows.decode(frame, ids.writers) == Clock(event_time=1, receive_time=2)
    # Ours is still the one that we write under.
    assert registry.ids(tape_name).by_record == ids.by_record


def test_an_id_that_nobody_registered_is_refused(registry: Registry) -> None:
    with pytest.raises(SchemaError, match="has no schema with id 4294967295"):
        registry.schema((1 << 32) - 1)


def test_a_schema_of_another_kind_is_refused(
    stack: Stack, registry: Registry, tape_name: str
) -> None:
    schema_id = register(
        stack, f"{tape_name}-other", 'syntax = "proto3"; message A { int32 b = 1; }', "PROTOBUF"
    )
    with pytest.raises(SchemaError, match=f"id {schema_id} in the registry is no Avro schema"):
        registry.schema(schema_id)


@pytest.fixture
def answers() -> Iterator[tuple[str, dict[str, object]]]:
    """A web server that answers as it is told: its address, and what it says."""
    said: dict[str, object] = {"status": 200, "body": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(str(said["status"])))
            self.end_headers()
            self.wfile.write(str(said["body"]).encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", said
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, "<html>hello</html>", "is no schema registry with Confluent's API"),
        (200, "[1, 2]", "is no schema registry with Confluent's API"),
        (404, "not found", "is no schema registry with Confluent's API"),
        (404, '{"detail": "Not Found"}', "is no schema registry with Confluent's API"),
        (401, "", "registry.username and registry.password"),
        (503, "busy", "failed with 503: busy"),
    ],
)
def test_an_address_that_is_no_registry_is_named(
    answers: tuple[str, dict[str, object]], status: int, body: str, says: str
) -> None:
    url, said = answers
    said |= {"status": status, "body": body}
    with pytest.raises(StoreError, match=f"{url}.*{says}"):
        Registry(url).schema(1)


def test_what_is_no_address_is_named() -> None:
    with pytest.raises(StoreError, match="nonsense does not answer"):
        Registry("nonsense").schema(1)
