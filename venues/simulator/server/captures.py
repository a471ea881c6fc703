"""Captures as a source: recorded messages by their own timing, REST out of the recording."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from schemas.errors import ConfigError, VenueError
from venues import symbols
from venues.frames import Frame
from venues.history.files import examine
from venues.history.formats import CRYPTOFEED, HFTBACKTEST, open_stream
from venues.history.merge import merge
from venues.history.names import Hints
from venues.history.reads import STREAMS_A_FILE
from venues.simulator.listings import step_text
from venues.simulator.server.source import SECOND_US, Batch

_STREAM = re.compile(rb'\{"stream":"(\w+)@')
_PRICE = re.compile(rb'"[pba]":"(\d+)\.?(\d*)"')
_QUANTITY = re.compile(rb'"[qBA]":"(\d+)\.?(\d*)"')


class CaptureSource:
    """Captures merged by receive time; the market's clock is the recorder's.

    ConfigError for a file that is no capture or has no message in it.
    """

    model = False
    opening_us = SECOND_US

    def __init__(self, paths: Sequence[Path]) -> None:
        self._frames = _read(paths)
        streamed = [frame for frame in self._frames if not frame.request]
        if not streamed:
            raise ConfigError(f"{paths[0]}: no message of a WebSocket is in it")
        self.start_us = streamed[0].receive_time
        self.venues = tuple(dict.fromkeys(frame.venue for frame in streamed))

    def batches(self) -> Iterator[Batch]:
        """First what is known beforehand, lists and books; then a second at a time."""
        batch = [*_lists(self._frames), *(frame for frame in self._frames if frame.request)]
        end = self.start_us + SECOND_US
        for frame in self._frames:
            if frame.request:
                continue
            while frame.receive_time >= end:
                yield batch
                batch, end = [], end + SECOND_US
            batch.append(frame)
        yield batch


def _read(paths: Sequence[Path]) -> list[Frame]:
    streams = []
    for index, path in enumerate(paths):
        form, stream = open_stream(examine(path), Hints(), index * STREAMS_A_FILE, lambda _: None)
        if form not in (HFTBACKTEST, CRYPTOFEED):
            raise ConfigError(f"{path}: a {form.name} is no capture of messages: `tape import` it")
        streams.append(stream)
    frames = []
    for time_us, _, _, what in merge(streams):
        if isinstance(what, Frame):
            # The merge's time never goes back, as a recorder's clock may.
            frames.append(Frame(what.venue, what.connection, time_us, what.data, what.request))
    return frames


def _lists(frames: Sequence[Frame]) -> list[Frame]:
    """Instrument lists for Binance's captures without one: by what their messages name."""
    listed = {frame.venue for frame in frames if "/exchangeInfo" in frame.request}
    seen: dict[tuple[str, str], list[bytes]] = {}
    for frame in frames:
        found = _STREAM.match(frame.data)
        if found and frame.venue.startswith("binance") and frame.venue not in listed:
            seen.setdefault((frame.venue, found[1].decode().upper()), []).append(frame.data)
    entries: dict[str, list[dict[str, Any]]] = {}
    for (venue, name), messages in seen.items():
        entry = _listing(venue, name, messages)
        if entry is not None:
            entries.setdefault(venue, []).append(entry)
    return [
        Frame(venue, "list", 0, msgspec.json.encode({"symbols": rows}), "/exchangeInfo")
        for venue, rows in entries.items()
    ]


def _listing(venue: str, name: str, messages: list[bytes]) -> dict[str, Any] | None:
    """An instrument by its name, with the steps that its numbers were written in."""
    try:
        known = symbols.infer(venue, name)
    except VenueError:
        return None
    base, _, quote = known.symbol.partition("-")
    tick, lot = _step(_PRICE, messages), _step(_QUANTITY, messages)
    futures = {} if venue.endswith("-spot") else {"contractType": "PERPETUAL"}
    inverse = {"marginAsset": base, "contractSize": int(known.contract_size)}
    return {
        "symbol": name,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        **futures,
        **(inverse if known.inverse else {}),
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "stepSize": lot},
        ],
    }


def _step(pattern: re.Pattern[bytes], messages: list[bytes]) -> str:
    """The step of the most decimals that are not zero."""
    found = (number[2] for data in messages for number in pattern.finditer(data))
    return step_text(max((len(decimals.rstrip(b"0")) for decimals in found), default=0))
