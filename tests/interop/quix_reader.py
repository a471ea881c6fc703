"""Reads topics with Quix Streams, in an environment of its own: BOOTSTRAP REGISTRY COUNT TOPIC...

Prints one line of JSON a record: its topic and its fields, times as microseconds.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from quixstreams import Application
from quixstreams.models.serializers.avro import AvroDeserializer
from quixstreams.models.serializers.schema_registry import SchemaRegistryClientConfig

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return value.hex()


def main(bootstrap: str, registry: str, count: str, *topics: str) -> None:
    """Read so many records from the beginning of the topics."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"{topics[0]}.quix",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="ERROR",
    )
    registry_config = SchemaRegistryClientConfig(url=registry)

    def show(topic: str) -> Any:
        return lambda value: print(
            json.dumps({"topic": topic, "value": value}, default=_default), flush=True
        )

    for name in topics:
        avro = AvroDeserializer(schema_registry_client_config=registry_config)
        app.dataframe(app.topic(name, value_deserializer=avro)).update(show(name))
    app.run(count=int(count), timeout=40.0, collect=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
