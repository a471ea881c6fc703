"""One side of `scale`: `python -m benchmarks._scale_side SYMBOLS EVENTS RUNS`, on one core."""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any, TypeVar

import numpy as np

from benchmarks.scale import PARTITIONS, events
from processors.config import VERSION, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue, rows
from schemas.decode import Decoder
from schemas.events import Configured
from streams.outputs import outputs_of
from streams.partition import partition_of
from streams.warm import warm_up

_BATCH = 4_096
_IDS = {record: number for number, record in enumerate(catalogue.RECORDS, 1)}
# Instruments, books and the growth of what is remembered: the beginning is not counted.
_WARM = 0.5

Values = list[bytes]


T = TypeVar("T")


class _Timed:
    """CPU seconds by part."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __call__(self, name: str, act: Callable[..., T], *given: Any) -> T:
        began = time.process_time()
        found = act(*given)
        self.seconds[name] += time.process_time() - began
        return found


def tapes(symbols: int, count: int) -> list[Values]:
    """The events of each partition, encoded."""
    config = ProcessorsConfig()
    first = Configured(
        event_time=0, receive_time=0, version=VERSION, hash=config.hash(),
        configuration=config.canonical_json(),
    )  # fmt: skip
    values: list[Values] = [[rows.encode(first, _IDS["Configured"])] for _ in range(PARTITIONS)]
    places: dict[str, int] = {}
    for event in events(symbols, count):
        value = rows.encode(event, _IDS[type(event).__name__])
        symbol = getattr(event, "symbol", "")
        if not symbol:
            for each in values:
                each.append(value)
            continue
        if symbol not in places:
            places[symbol] = partition_of(symbol.encode(), PARTITIONS)
        values[places[symbol]].append(value)
    # With few symbols most partitions hold nothing but pulses.
    return [each for each in values if len(each) > count // 100]


def joined(parts: list[Values], count: int) -> list[Values]:
    """All partitions' events as one partition's, in turn; about their order in time."""
    rounds = max(map(len, parts)) // 16 + 1
    whole: Values = []
    for turn in range(rounds):
        for part in parts:
            share = len(part) / rounds
            whole += part[int(turn * share) : int((turn + 1) * share)]
    return [whole[:count]]


def measure(parts: list[Values]) -> dict[str, Any]:
    """CPU time of an event, from bytes to bytes, of batches of the partitions in turn."""
    decoder = Decoder({number: catalogue.schema(record) for record, number in _IDS.items()})
    timed, counted, out = _Timed(), 0, 0
    pipelines = [Pipeline() for _ in parts]
    for pipeline in pipelines:
        for stage in pipeline.stages:
            setattr(stage, "process", partial(timed, stage.name, stage.process))  # noqa: B010
    whole = sum(map(len, parts))
    done = 0
    for number, offset, part in _batches(parts):
        done += len(part)
        if done < whole * _WARM:
            timed.seconds.clear()
        else:
            counted += len(part)
        batch = timed("decode", decoder.decode, *_arguments(part, offset))
        for each in timed("pipeline", pipelines[number].process, batch):
            outputs = timed("encode", outputs_of, each, _IDS[each.record])
            out += len(outputs) if done >= whole * _WARM else 0
    spent = sum(timed.seconds[name] for name in ("decode", "pipeline", "encode"))
    parts_us = {name: round(s / counted * 1e6, 3) for name, s in timed.seconds.items()}
    return {
        "us_per_event": round(spent / counted * 1e6, 3),
        "parts_us": parts_us,
        "outputs_per_event": round(out / counted, 3),
    }


def _batches(parts: list[Values]) -> Iterator[tuple[int, int, Values]]:
    """Batches of equal numbers of events, the partitions in turn."""
    for begin in range(0, max(map(len, parts)), _BATCH):
        for number, part in enumerate(parts):
            if begin + _BATCH <= len(part):
                yield number, begin, part[begin : begin + _BATCH]


def _arguments(part: Values, first: int) -> tuple[Any, ...]:
    ends = np.cumsum([len(value) for value in part], dtype=np.int64)
    starts = ends - np.array([len(value) for value in part], np.int64)
    offsets = np.arange(first, first + len(part), dtype=np.int64)
    buffer = np.frombuffer(b"".join(part), np.uint8)
    return catalogue.TAPE, 0, buffer, starts, ends, offsets, offsets


def main() -> None:
    """Measure on one core and print."""
    symbols, count, runs = map(int, sys.argv[1:])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    warm_up()
    parts = tapes(symbols, count)
    found = [(measure(parts), measure(joined(parts, count))) for _ in range(runs)]
    spread = [spreads["us_per_event"] for spreads, _ in found]
    print(
        json.dumps(
            {
                "symbols": symbols,
                "us_per_event": median(spread),
                "runs": spread,
                "one_partition_us": median(one["us_per_event"] for _, one in found),
                "partitions_used": len(parts),
                "parts_us": found[-1][0]["parts_us"],
                "one_partition_parts_us": found[-1][1]["parts_us"],
                "outputs_per_event": found[-1][0]["outputs_per_event"],
            }
        )
    )


if __name__ == "__main__":
    main()
