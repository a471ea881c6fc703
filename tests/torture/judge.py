"""What the checker is given after a plan: topics and tables as they are, and as they should be."""

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from processors.config import ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue
from sinks.config import DatabaseConfig
from sinks.tables import NOT_STORED, Table, tables, topics
from sinks.verify import Verification
from streams import log
from streams.decoding import BatchDecoder
from streams.outputs import outputs_of
from streams.replay import replay
from tests.torture import checker, reading
from tests.torture.checker import Instrument, Judgement, Record
from tests.torture.stage import Stage

_WAIT_S = 90.0
_QUOTES_US = 1_000_000

Decoded = dict[str, list[tuple[int, int, str, dict[str, Any]]]]
"""(partition, offset, record type, fields) by topic; the tape's without what is garbage."""


def judge(stage: Stage, result: Judgement) -> None:
    """Everything that is to hold."""
    url = stage.cluster.near["TAPE_REGISTRY__URL"]
    schemas = reading.Schemas(url)
    source = reading.Topics(stage.kafka.bootstrap, stage.tape)
    try:
        decoded = _read(stage, source, schemas, result)
        _letters(stage, source, schemas, result)
    finally:
        source.close()
    checker.trades(
        result, reading.ledger(stage.ledger, stage.plan.symbols), _trades(decoded["tape"]),
        ProcessorsConfig().seen.trades,
    )  # fmt: skip
    _effect(decoded, result)
    _verified(stage, result)
    _tables(stage, decoded, result)


def _read(
    stage: Stage, source: reading.Topics, schemas: reading.Schemas, result: Judgement
) -> Decoded:
    decoded: Decoded = {"tape": []}
    for topic in (topic.name for topic in catalogue.DERIVED):
        decoded[topic] = []
    for partition in range(stage.plan.partitions):
        for offset, (_, value, _) in source.read("tape", partition):
            result.compared["tape"] += 1
            if (partition, offset) in stage.planted:
                continue
            try:
                decoded["tape"].append((partition, offset, *schemas.decode(value)))
            except ValueError as error:
                result.find("altered", f"tape[{partition}]", f"{offset}: {error}")
        for topic, wanted in undisturbed(stage, partition, source.end("tape", partition)).items():
            found = list(source.read(topic, partition))
            where = f"{topic}[{partition}]"
            checker.derived(result, where, wanted, (one for _, one in found), schemas.id_of)
            for offset, (_, value, _) in found:
                decoded[topic].append((partition, offset, *schemas.decode(value)))
    return decoded


def undisturbed(stage: Stage, partition: int, end: int) -> dict[str, list[Record]]:
    """What a pipeline that nobody disturbs makes of a partition, by topic."""
    pipeline, decoder = Pipeline(), BatchDecoder(catalogue.TAPE, stage.ids)
    found: dict[str, list[Record]] = {topic.name: [] for topic in catalogue.DERIVED}
    for records in log.read(stage.kafka, stage.tape, catalogue.TAPE, partition, 0, end):
        for made in pipeline.process(decoder.decode(partition, records)):
            outputs = outputs_of(made, stage.ids.id(made.topic, made.record))
            keys, values = outputs.keys.tobytes(), outputs.values.tobytes()
            columns = (
                outputs.key_starts, outputs.key_ends, outputs.value_starts, outputs.value_ends,
                outputs.timestamps_ms,
            )  # fmt: skip
            found[made.topic] += [
                (keys[a:b], values[c:d], t)
                for a, b, c, d, t in zip(*(one.tolist() for one in columns), strict=True)
            ]
    return found


def _trades(tape: list[tuple[int, int, str, dict[str, Any]]]) -> dict[Instrument, list[str]]:
    found: dict[Instrument, list[str]] = {}
    for _, _, record, fields in tape:
        if record == "Trade":
            found.setdefault((fields["venue"], fields["symbol"]), []).append(fields["trade_id"])
    return found


def _effect(decoded: Decoded, result: Judgement) -> None:
    counts: dict[Instrument, dict[str, int]] = {}
    for _, _, record, fields in decoded["tape"]:
        if record == "Trade":
            instrument = fields["venue"], fields["symbol"]
            counts.setdefault(instrument, {})[fields["trade_id"]] = fields["count"]
    bars = {
        (offset, fields["seq"]): fields
        for partition, _, _, fields in decoded["bars"]
        if fields["interval"] == "1s" and fields["source"] == "TRADES"
        for offset in [(partition, fields["origin"]["offset"])]
    }
    barred: dict[Instrument, int] = {}
    for fields in bars.values():
        instrument = fields["venue"], fields["symbol"]
        barred[instrument] = barred.get(instrument, 0) + fields["trade_count"]
    checker.effect(result, {name: sum(n.values()) for name, n in counts.items()}, barred)


def _letters(
    stage: Stage, source: reading.Topics, schemas: reading.Schemas, result: Judgement
) -> None:
    found = []
    for _, (_, value, _) in source.read("dead_letters", 0):
        _, letter = schemas.decode(value)
        if letter["topic"] == "tape":
            found.append(
                (letter["source"], letter["partition"], letter["offset"], letter["payload"])
            )
        else:
            result.find("letters", letter["source"], f"{letter['topic']}: {letter['reason']}")
    checker.letters(result, stage.planted, found)


def _verified(stage: Stage, result: Judgement) -> None:
    """`tape replay` and `tape verify`, which must say the same as the checker."""
    report = replay(stage.kafka, stage.ids, stage.tape, stage.plan.partitions)
    if not report.identical:
        result.find("altered", "tape replay", report.divergence)
    url = stage.cluster.near["TAPE_DATABASE__URL"]
    config = DatabaseConfig(url=SecretStr(url))
    verified = Verification(
        stage.kafka, stage.registry, config, url, stage.tape, list(topics())
    ).run(_WAIT_S)
    if verified.behind:
        result.find("missing", "tape verify", f"{verified.behind} events are not stored in time")
    for proof in verified.tables:
        if proof.difference:
            result.find("altered", "tape verify", proof.difference)


def _tables(stage: Stage, decoded: Decoded, result: Judgement) -> None:
    url = stage.cluster.near["TAPE_DATABASE__URL"]
    there = reading.columns_of(url, stage.tape)
    for table in tables():
        names = there[table.name]
        wanted = {
            tuple(row[column] for column in table.id_columns): row
            for row in _wanted(table, decoded[table.topic], names)
        }
        checker.table(
            result, table.name, wanted, reading.rows(url, stage.tape, table.name, names),
            table.id_columns,
        )  # fmt: skip


def _wanted(
    table: Table, events: list[tuple[int, int, str, dict[str, Any]]], names: list[str]
) -> Iterator[dict[str, Any]]:
    rules: dict[int, reading.Quotes] = {}
    for partition, offset, record, fields in events:
        if record != table.record or record in NOT_STORED:
            continue
        if table.derived:
            row = reading.flat(fields)
        elif "symbol" not in fields and partition:
            continue
        else:
            rule = rules.setdefault(partition, reading.Quotes(_QUOTES_US))
            if table.sampled and not rule.is_stored(fields):
                continue
            row = {"tape_partition": partition, "tape_offset": offset, **reading.flat(fields)}
        yield {name: row.get(name, _none_of(name, fields)) for name in names}


def _none_of(name: str, fields: dict[str, Any]) -> list[Any] | None:
    """A column that no field gave: of an empty array, or of nothing."""
    is_empty = any(value == [] and name.startswith(f"{key}_") for key, value in fields.items())
    return [] if is_empty else None
