"""Prints the cost of the stages over the Binance captures: python -m tests.processors.speed."""

import sys
from time import process_time

from processors.config import ProcessorsConfig
from processors.pipeline import Pipeline
from processors.work import open_work
from schemas.columns import Batch
from schemas.events import BookDelta
from tests.processors.batches import batch, configured
from tests.processors.captures import BINANCE, capture


def main(size: int, rounds: int = 5) -> None:
    """Best of several rounds, CPU seconds of this process, in batches of `size` decoded events."""
    events = capture(*BINANCE)
    levels = sum(len(e.bids) + len(e.asks) for e in events if isinstance(e, BookDelta))
    batches = [batch(events[at : at + size], at + 1) for at in range(0, len(events), size)]
    best: dict[str, float] = {}
    for _ in range(rounds):
        for part, seconds in {**_whole(batches), **_parts(batches)}.items():
            best[part] = min(best.get(part, seconds), seconds)
    print(f"{len(events)} events, {levels} level changes, batches of {size}")
    for part, seconds in best.items():
        print(f"{part:10} {seconds / len(events) * 1e9:6.0f} ns/event")
    print(f"{len(events) / best['pipeline'] / 1e6:.2f} million events/s through the pipeline")


def _started() -> Pipeline:
    pipeline = Pipeline()
    pipeline.process(batch([configured(ProcessorsConfig())]))
    return pipeline


def _whole(batches: list[Batch]) -> dict[str, float]:
    pipeline, begin = _started(), process_time()
    for one in batches:
        pipeline.process(one)
    return {"pipeline": process_time() - begin}


def _parts(batches: list[Batch]) -> dict[str, float]:
    pipeline = _started()
    spent = dict.fromkeys(("open", *(stage.name for stage in pipeline.stages)), 0.0)
    for one in batches:
        begin = process_time()
        work = open_work(one, pipeline.instruments)
        spent["open"] += process_time() - begin
        for stage in pipeline.stages:
            begin = process_time()
            stage.process(work)
            spent[stage.name] += process_time() - begin
    return spent


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
