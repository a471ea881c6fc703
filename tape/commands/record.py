"""`tape record`: the raw frames of a session into a capture file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import StoreError
from tape.commands.collect import (
    RECORD_MB,
    Address,
    Seconds,
    Symbols,
    Venues,
    chosen,
    stop_at_signals,
)
from tape.terminal import program

if TYPE_CHECKING:
    from schemas.events import Event


def command(
    file: Annotated[Path, typer.Argument(help="Capture to write, like capture.jsonl.zst.")],
    venues: Venues = "",
    symbols: Symbols = "",
    address: Address = "",
    seconds: Seconds = 0.0,
    max_mb: Annotated[
        int, typer.Option(help="Go on in another file, NAME-0002…, from this size on.", min=1)
    ] = RECORD_MB,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Record what the venues send, message by message, without a tape: no Kafka is needed.

    Connects, subscribes, heals and fetches as `tape collect` does, and keeps every message and
    every answer as it came, with its time and address. The file is readable to its end however
    the recording ended. `tape import` and `tape sim --capture` read it. docs/spool.md tells more.

    Example: `tape record btc.jsonl.zst --venues binance-spot --symbols BTC-USDT --seconds 60`

    Example: `tape import btc.jsonl.zst --tape h`, or `tape sim --capture btc.jsonl.zst`
    """
    settings = chosen(venues, symbols, address)

    import asyncio

    from streams import logs
    from streams.telemetry import Health
    from venues.live.collector import Collector, Parts
    from venues.live.recorder import Recorder
    from venues.live.tail import Tail

    logs.set_up(settings.telemetry, component="recorder")
    recorder = Recorder(file, max_mb << 20)

    async def run() -> None:
        parts = Parts(
            settings.collector, settings.venues, settings.symbols, _Nowhere(), Health(), recorder
        )
        collector = Collector(parts, Tail())
        stop_at_signals(collector.stop)
        if seconds:
            asyncio.get_running_loop().call_later(seconds, collector.stop)
        keeping = asyncio.create_task(recorder.keep())
        keeping.add_done_callback(lambda _: collector.stop())
        try:
            await collector.run()
        finally:
            keeping.cancel()
            problem = recorder.problem
            recorder.close()
        if problem:
            raise StoreError(f"{recorder.path}: the recording ended: {problem}")

    try:
        asyncio.run(run())
    finally:
        sizes = {str(path): path.stat().st_size for path in recorder.files}
        if as_json:
            print(json.dumps({"frames": recorder.frames, "files": sizes}))
    if not as_json:
        named = " ".join(sizes)
        print(f"{recorder.frames:,} frames, {sum(sizes.values()):,} bytes in {named}")
        print(f"read them with `{program()} import {named} --tape NAME`")


class _Nowhere:
    """A writer of events for a session of which only the frames are kept."""

    written = 0

    def write(self, event: "Event") -> None:
        """Let an event go."""

    def write_beside(self, topic: str, key: bytes, event: "Event") -> None:
        """Let an event go."""

    def poll(self) -> None:
        """There is nothing to wait for."""
