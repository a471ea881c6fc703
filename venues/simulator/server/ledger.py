"""The ledger of what was published: every trade's id, and where each book is."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from schemas.errors import StoreError
from venues.simulator.server.binance_rest import AGGREGATES_BEHIND
from venues.simulator.server.channel import Channel
from venues.simulator.server.clock import wall_us

if TYPE_CHECKING:
    from venues.simulator.server.stage import Stage


class Ledger:
    """A file of JSON lines: `trades` as they are written to sockets, `book` at the end.

    `{"trades": ["1", "2"], "venue": …, "symbol": …, "written_us": …}`: ids as the venue's streams
    have them, whether or not anybody listened; `written_us` is the wall clock, microseconds UTC.
    Binance's lines have `aggregates` too, the same trades' ids on `aggTrade`.
    `{"book": 17, "venue": …, "symbol": …}`: the sequence that each book ended with.
    """

    def __init__(self, path: Path, stage: "Stage") -> None:
        self._stage = stage
        self._noted: dict[tuple[str, str], list[bytes]] = {}
        try:
            self._file: TextIO = path.open("w", encoding="utf-8", buffering=1 << 16)
        except OSError as error:
            raise StoreError(f"the ledger {path} cannot be written: {error.strerror}") from None

    def note(self, channel: Channel, data: bytes) -> None:
        """Remember a message of trades until the next flush."""
        if channel.kind == "trades":
            self._noted.setdefault((channel.venue, channel.symbol), []).append(data)

    def flush(self, written_us: int) -> None:
        """Write the lines of what was noted, with when its writing to sockets began."""
        for (venue, symbol), messages in self._noted.items():
            reader = self._stage.venues[venue].desk.reader
            ids = [row.id for data in messages for row in reader.trades(data)]
            line: dict[str, Any] = {"trades": ids, "venue": venue, "symbol": symbol}
            if venue.startswith("binance"):
                line["aggregates"] = [str(int(identity) - AGGREGATES_BEHIND) for identity in ids]
            line["written_us"] = written_us
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._noted = {}

    def close(self) -> None:
        """Write where the books are, and end."""
        self.flush(wall_us())
        for venue in self._stage.venues.values():
            for symbol, instrument in venue.instruments.items():
                book = instrument.book()
                if book is not None:
                    line = {"book": book.sequence, "venue": venue.name, "symbol": symbol}
                    self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.close()
