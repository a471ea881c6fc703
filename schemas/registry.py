"""The schema registry: which id each record's schema has, over Confluent's API."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from schemas import catalogue
from schemas.errors import SchemaError, StoreError

_TIMEOUT_S = 15.0
# Confluent's codes for an unknown subject, version and schema.
_NOT_THERE = {40401, 40402, 40403}


@dataclass(slots=True)
class SchemaIds:
    """The ids of a tape's schemas; kept in memory, so that the registry may go away later."""

    registry: "Registry"
    by_record: dict[tuple[str, str], int] = field(default_factory=dict)
    writers: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Id -> the schema that it stands for."""

    def id(self, topic: str, record: str) -> int:
        """The id under which we write a record to a (logical) topic."""
        return self.by_record[topic, record]

    def fetch(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id that another writer registered; SchemaError if there is none."""
        if schema_id not in self.writers:
            self.writers[schema_id] = self.registry.schema(schema_id)
        return self.writers[schema_id]


class Registry:
    """A registry with Confluent's API (Apicurio's ccompat, or Confluent's own)."""

    def __init__(self, url: str, username: str = "", password: str = "") -> None:
        self._url = url.rstrip("/")
        auth = (username, password) if username else None
        self._client = httpx.Client(timeout=_TIMEOUT_S, auth=auth)

    def register_missing(self, tape: str) -> SchemaIds:
        """Register every record of every topic that is not there yet."""
        return self._collect(tape, register=True)

    def ids(self, tape: str) -> SchemaIds:
        """The ids of a tape's schemas; SchemaError when one is not registered."""
        return self._collect(tape, register=False)

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id; SchemaError when there is none, or none of Avro's."""
        found = self._ask("GET", f"/schemas/ids/{schema_id}")
        if found is None:
            raise SchemaError(f"the registry at {self._url} has no schema with id {schema_id}")
        try:
            parsed: dict[str, Any] = json.loads(found["schema"])
        except (KeyError, ValueError):
            raise SchemaError(f"id {schema_id} in the registry is no Avro schema") from None
        return parsed

    def _collect(self, tape: str, register: bool) -> SchemaIds:
        ids = SchemaIds(self)
        for topic in catalogue.TOPICS:
            for record in topic.records:
                schema = catalogue.schema(record)
                subject = quote(catalogue.subject(tape, topic.name, record), safe="")
                body = {"schema": json.dumps(schema), "schemaType": "AVRO"}
                found = self._ask("POST", f"/subjects/{subject}", body)
                if found is None and register:
                    found = self._ask("POST", f"/subjects/{subject}/versions", body)
                if found is None:
                    raise SchemaError(
                        f"schema {record} is not registered as {subject} at {self._url}: "
                        f"`tape --tape {tape} up` registers what is missing"
                    )
                schema_id = int(found["id"])
                ids.by_record[topic.name, record] = schema_id
                ids.writers[schema_id] = schema
        return ids

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        """The answer's JSON; None when what was asked for is not there.

        StoreError when nobody answers, or something else than a registry.
        """
        try:
            answer = self._client.request(method, self._url + path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StoreError(
                f"the schema registry at {self._url} does not answer ({error}): `tape up` starts "
                "the local one; registry.url names another"
            ) from None
        parsed = _json_of(answer)
        if parsed.get("error_code") in _NOT_THERE:
            return None
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise StoreError(
                f"the schema registry at {self._url} refused us ({answer.status_code}): "
                "registry.username and registry.password must be right"
            )
        if answer.is_server_error:
            raise StoreError(
                f"the schema registry at {self._url} failed with {answer.status_code}: "
                f"{answer.text[:500]}"
            )
        if not parsed or answer.status_code == httpx.codes.NOT_FOUND:
            raise StoreError(
                f"{self._url} is no schema registry with Confluent's API ({answer.status_code} for "
                f"{path}): registry.url must end as its API begins, Apicurio's in /apis/ccompat/v7"
            )
        if answer.is_error:
            raise SchemaError(
                f"the schema registry at {self._url} refused {path}: {answer.status_code} "
                f"{answer.text[:500]}"
            )
        return parsed


def _json_of(answer: httpx.Response) -> dict[str, Any]:
    """The answer's object; empty when it is none."""
    try:
        parsed = answer.json()
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
