"""History: what is there of a topic from before the broker's own beginning."""

from collections.abc import Iterator
from typing import Protocol

from streams.records import Records


class History(Protocol):
    """Old records of a tape's topics; `topic` is the logical name."""

    def span(self, topic: str, partition: int) -> tuple[int, int] | None:
        """The first offset that is there and the first that is not; None: nothing is."""

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Records]:
        """The records from `start` up to `end` (exclusive), which must be there."""
