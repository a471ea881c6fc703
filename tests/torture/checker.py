"""The judge: what must hold after a plan, by comparing plain records. It reads nothing itself.

Independent of what it judges: no columns, no code of streams or sinks. `reading.py` fetches.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = tuple[bytes, bytes, int]
"""Key, value, timestamp in ms."""
Id = tuple[int, int]
"""(origin offset, seq) of a derived event."""
Instrument = tuple[str, str]
Row = Mapping[str, Any]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    kind: str
    """missing, additional, altered, order, doubled, unknown, letters."""
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.what}"


@dataclass(slots=True)
class Judgement:
    """What was compared and what was found."""

    findings: list[Finding] = field(default_factory=list)
    repeats: int = 0
    """Derived events that are there again with the same bytes."""
    compared: Counter[str] = field(default_factory=Counter)
    """Records by topic, rows by table, trades."""

    def find(self, kind: str, where: str, what: object) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, where, str(what)))


def derived(
    result: Judgement,
    where: str,
    wanted: Sequence[Record],
    found: Iterable[Record],
    id_of: Callable[[bytes], Id],
) -> None:
    """A derived topic's partition: each id once, in order, none missing, bytes as undisturbed.

    A repeat of an id with the same bytes is counted, since consumers drop it; with others it is
    a finding.
    """
    expected = {id_of(record[1]): record for record in wanted}
    if len(expected) != len(wanted):
        result.find("doubled", where, "the undisturbed run has an id twice")
    seen: set[Id] = set()
    newest = (-1, -1)
    for place, record in enumerate(found):
        result.compared[where.partition("[")[0]] += 1
        try:
            identity = id_of(record[1])
        except ValueError as error:
            result.find("altered", where, f"record {place} has no id: {error}")
            continue
        if identity not in expected:
            result.find("additional", where, f"{identity} at record {place}")
        elif record != expected[identity]:
            result.find("altered", where, f"{identity}: {_part(record, expected[identity])}")
        if identity in seen:
            result.repeats += 1
            continue
        if identity < newest:
            result.find("order", where, f"{identity} after {newest}")
        newest = max(newest, identity)
        seen.add(identity)
    for identity in expected.keys() - seen:
        result.find("missing", where, identity)


def _part(record: Record, wanted: Record) -> str:
    names = ("key", "value", "timestamp")
    return ", ".join(
        f"{name} is {a!r}, not {b!r}"[:300]
        for name, a, b in zip(names, record, wanted, strict=True)
        if a != b
    )


def trades(
    result: Judgement,
    published: Mapping[Instrument, Sequence[str]],
    found: Mapping[Instrument, Sequence[str]],
    window: int,
) -> None:
    """Every trade that was published since the first on the tape is there, and no other.

    `published` ends where the market was stopped. A repeat within `window` of its instrument's
    trades is dropped by the first stage, and no finding.
    """
    for instrument in published.keys() | found.keys():
        where = "tape " + " ".join(instrument)
        there, known = found.get(instrument, ()), published.get(instrument, ())
        place: dict[str, int] = {}
        for number, trade_id in enumerate(there):
            if number - place.get(trade_id, number) > window:
                result.find("doubled", where, f"trade {trade_id}")
            place[trade_id] = number
        names = set(known)
        for trade_id in place.keys() - names:
            result.find("unknown", where, f"trade {trade_id}")
        first = next((at for at, trade_id in enumerate(known) if trade_id in place), None)
        if first is None:
            if known:
                result.find("missing", where, f"all {len(known)} trades")
            continue
        wanted = known[first:]
        result.compared["trades"] += len(wanted)
        for trade_id in wanted:
            if trade_id not in place:
                result.find("missing", where, f"trade {trade_id}")


def effect(
    result: Judgement, counted: Mapping[Instrument, int], barred: Mapping[Instrument, int]
) -> None:
    """No trade is in two bars: bars count at most what the trades on the tape, each once, do.

    They may count less, since a trade that was fetched later than its bar closed is left out.
    """
    for instrument, count in barred.items():
        result.compared["trades in bars"] += count
        if count > counted.get(instrument, 0):
            where = "bars " + " ".join(instrument)
            result.find("doubled", where, f"{count} trades of {counted.get(instrument, 0)}")


def letters(
    result: Judgement,
    planted: Mapping[tuple[int, int], bytes],
    found: Iterable[tuple[str, int, int, bytes]],
) -> None:
    """Each planted (partition, offset) was announced once by worker and by sink, with its bytes."""
    count: Counter[tuple[str, int, int]] = Counter()
    for source, partition, offset, payload in found:
        count[source, partition, offset] += 1
        if planted.get((partition, offset)) != payload:
            result.find("letters", source, f"{partition}@{offset} was not planted so: {payload!r}")
    for source in ("worker", "sink"):
        for partition, offset in planted:
            result.compared["letters"] += 1
            times = count[source, partition, offset]
            if times != 1:
                result.find("letters", source, f"{partition}@{offset} was announced {times} times")


def table(result: Judgement, name: str, wanted: Mapping[Any, Row], found: Iterable[Row],
          key: Sequence[str]) -> None:  # fmt: skip
    """A table has exactly the rows that its topic gives, every column of them."""
    left = dict(wanted)
    for row in found:
        result.compared[f"table {name}"] += 1
        identity = tuple(row[column] for column in key)
        expected = left.pop(identity, None)
        if expected is None:
            kind = "doubled" if identity in wanted else "additional"
            result.find(kind, f"table {name}", identity)
            continue
        for column in expected.keys() | row.keys():
            if not _same(row.get(column), expected.get(column)):
                result.find(
                    "altered", f"table {name}",
                    f"{identity}: {column} is {row.get(column)!r}, not {expected.get(column)!r}",
                )  # fmt: skip
    for identity in left:
        result.find("missing", f"table {name}", identity)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def shown(findings: Sequence[Finding]) -> str:
    """How many of each kind and place, with examples."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.where, finding.kind), []).append(finding)
    return "\n".join(
        f"{where}: {kind} × {len(some)}: " + "; ".join(one.what for one in some[:_SHOWN])
        for (where, kind), some in groups.items()
    )
