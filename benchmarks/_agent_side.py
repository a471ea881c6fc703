"""One side of `agent`: `python -m benchmarks._agent_side ours|stock BOOTSTRAP TOPIC COUNT`."""

import asyncio
import json
import sys
import tempfile
import time
from typing import Any
from uuid import uuid4

import faust

from streams.config import KafkaConfig
from streams.transport import portions_topic, url_of


async def measure(side: str, bootstrap: str, topic: str, count: int) -> float:
    """Events per second from the first message that the agent gets to the last."""
    kafka = KafkaConfig(bootstrap=bootstrap)
    ours = side == "ours"
    app = faust.App(
        f"bench-{side}-{uuid4().hex[:8]}",
        broker=url_of(kafka) if ours else f"kafka://{bootstrap}",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="bench-"),
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        stream_wait_empty=False,
        stream_recovery_delay=0,
        consumer_auto_offset_reset="earliest",
    )
    source: Any
    if ours:
        transport: Any = app.transport
        transport.kafka = kafka
        source = portions_topic(app, topic)
    else:
        raw = {"key_type": bytes, "value_type": bytes}
        source = app.topic(topic, key_serializer="raw", value_serializer="raw", **raw)
    seen, first, began = 0, 0, 0.0
    over: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @app.agent(source)
    async def read(stream: Any) -> None:
        nonlocal seen, first, began
        async for value in stream:
            seen += len(value.records) if ours else 1
            if not began:
                first, began = seen, time.perf_counter()
            if seen >= count and not over.done():
                over.set_result((seen - first) / (time.perf_counter() - began))

    await app.start()
    rate = await over
    await app.stop()
    return rate


def main() -> None:
    """Measure and print the rate."""
    side, bootstrap, topic, count = sys.argv[1:]
    print(json.dumps({"rate": asyncio.run(measure(side, bootstrap, topic, int(count)))}))


if __name__ == "__main__":
    main()
