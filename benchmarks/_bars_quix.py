"""The peer of `bars`: Quix Streams makes one-second bars of the same topic, on one core.

Runs in an environment that holds Quix Streams and nothing of ours.
"""

import argparse
import json
import os
import tempfile
import time
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows import Count, First, Last, Max, Min, Sum
from quixstreams.models.serializers.avro import AvroDeserializer
from quixstreams.models.serializers.schema_registry import SchemaRegistryClientConfig


def main() -> None:
    """Make bars of the first N records and print how fast that was."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "registry", "topic", "output", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    state = tempfile.mkdtemp(prefix="quix-")
    app = Application(
        broker_address=given.bootstrap,
        consumer_group=given.group,
        auto_offset_reset="earliest",
        state_dir=state,
        loglevel="WARNING",
    )
    source = app.topic(
        given.topic,
        value_deserializer=AvroDeserializer(
            schema_registry_client_config=SchemaRegistryClientConfig(url=given.registry)
        ),
    )
    seen: list[float] = []
    outputs: list[int] = []

    def note(_value: Any) -> None:
        seen.append(time.perf_counter())
        if len(seen) == given.count:
            app.stop()

    frame = app.dataframe(source).update(note)
    frame = frame[frame.apply(lambda value: "trade_id" in value)]
    bars = (
        frame.tumbling_window(duration_ms=1_000, grace_ms=1_000)
        .agg(
            open=First("price"),
            high=Max("price"),
            low=Min("price"),
            close=Last("price"),
            volume=Sum("quantity"),
            count=Count(),
        )
        .final()
    )
    bars.update(lambda _value: outputs.append(1)).to_topic(
        app.topic(given.output, value_serializer="json")
    )
    app.run()
    rate = (len(seen) - 1) / (seen[-1] - seen[0])
    print(json.dumps({"rate": rate, "events": len(seen), "bars": len(outputs)}))


if __name__ == "__main__":
    main()
