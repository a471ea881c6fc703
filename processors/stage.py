"""The seam between the pipeline and its stages."""

from typing import Protocol

from processors.config import ProcessorsConfig
from processors.work import Work
from schemas.columns import Rows


class Stage(Protocol):
    """A deterministic state machine over the events of one partition.

    Laws, tested over every stage of the pipeline: cutting the input into other batches gives
    the same bytes (batch invariance); snapshot, restore and going on gives the same bytes as
    going on (snapshot invariance); neither depends on the indexes of instruments.
    """

    name: str

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; what it switches off is forgotten."""

    def process(self, work: Work) -> list[Rows]:
        """Advance over a batch; return what it emits, in the order of their ids."""

    def changed(self) -> set[str]:
        """Symbols (`*`: no symbol) whose state changed since the last call."""

    def snapshot(self, symbol: str) -> bytes:
        """One symbol's state."""

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over a symbol's state as `snapshot` gave it; SchemaError for another layout."""

    def forget(self, symbol: str) -> None:
        """Put a symbol back to its start; its totals stay."""

    def counts(self) -> dict[str, int]:
        """Totals since the start of the tape, e.g. late trades, gaps, duplicates."""
