"""The catalogue: which topics exist, what they carry, and how Kafka keeps them."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

NAMESPACE = "tape"

# The name of the topic of inputs; every other topic is derived or book-keeping.
TAPE = "tape"

# Key of events that concern every symbol; they are written to every partition of `tape`.
EVERY_SYMBOL = "*"


@dataclass(frozen=True, slots=True)
class Topic:
    """A logical topic; on Kafka its name is preceded by the tape's (`live.bars`).

    `partitions` is "tape" for as many as the tape has (the same symbol has the same
    partition number everywhere) or a fixed count.
    """

    name: str
    records: tuple[str, ...]
    key: str
    kind: Literal["input", "derived", "internal"]
    cleanup: Literal["delete", "compact"] = "delete"
    partitions: Literal["tape"] | int = "tape"
    doc: str = ""


TOPICS: tuple[Topic, ...] = (
    Topic(
        TAPE,
        (
            "Trade",
            "BookSnapshot",
            "BookDelta",
            "Quote",
            "Kline",
            "MarkPrice",
            "Funding",
            "Instrument",
            "FeedStatus",
            "News",
            "SentimentIndex",
            "Clock",
            "OrderReport",
            "Command",
            "ModelPromoted",
            "RiskBudget",
            "Configured",
            "VenueClock",
        ),
        key="symbol, or * for global events (written to every partition)",
        kind="input",
        doc="Everything that came from outside, in one total order per symbol.",
    ),
    Topic(
        "books",
        ("Book",),
        "symbol",
        "derived",
        doc="Top levels and integrity per venue.",
    ),
    Topic("bars", ("Bar",), "symbol", "derived", doc="OHLCV bars of 1 s, 1 m, 5 m, 1 h."),
    Topic(
        "reference",
        ("ReferencePrice",),
        "symbol",
        "derived",
        doc="One price across the venues.",
    ),
    Topic(
        "quality",
        ("Quality",),
        "symbol",
        "derived",
        doc="What is wrong with a venue's data, when it begins and ends; scores.",
    ),
    Topic(
        "features",
        ("FeatureVector",),
        "symbol",
        "derived",
        doc="One vector of features a symbol and decision.",
    ),
    Topic(
        "dead_letters",
        ("DeadLetter",),
        key="topic",
        kind="internal",
        partitions=1,
        doc="Bytes that could not be used, with the reason.",
    ),
    Topic(
        "state",
        ("StateChunk", "StateManifest"),
        key="stage/symbol/slot/part, or manifest",
        kind="internal",
        cleanup="compact",
        doc="Snapshots of the processors, one partition for one of the tape.",
    ),
    Topic(
        "imports",
        ("Import",),
        key="import_id",
        kind="internal",
        cleanup="compact",
        partitions=1,
        doc="Which files have been imported, so that each takes effect once.",
    ),
)

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
DERIVED: tuple[Topic, ...] = tuple(topic for topic in TOPICS if topic.kind == "derived")
RECORDS: tuple[str, ...] = tuple(record for topic in TOPICS for record in topic.records)


def topic_of(record: str) -> Topic:
    """The topic that a record lives on; KeyError if there is none."""
    return next(topic for topic in TOPICS if record in topic.records)


def kafka_name(tape: str, topic: str) -> str:
    """The topic's name on the broker: `live.bars`."""
    return f"{tape}.{topic}"


def subject(tape: str, topic: str, record: str) -> str:
    """The registry's subject of a record on a topic (TopicRecordNameStrategy)."""
    return f"{kafka_name(tape, topic)}-{NAMESPACE}.{record}"


@cache
def schema(record: str) -> dict[str, Any]:
    """The newest Avro schema of a record, as parsed JSON; KeyError for an unknown record."""
    path = files(__package__) / "avro" / f"{record}.avsc"
    if not path.is_file():
        raise KeyError(f"no schema {record}.avsc in schemas/avro")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed
