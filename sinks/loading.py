"""From fetched records to updates: decoded, made rows, encoded, cut to fit a transaction."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sinks.decoding import BatchDecoder
from sinks.reading import Fetched
from sinks.rows import Position, Refused, counts
from sinks.store import MOST_CHUNKS, State, Update


def _ignore(fetched: Fetched, refused: Sequence[Refused]) -> None:
    """What cannot be a row has been announced by the sink."""


@dataclass(frozen=True, slots=True)
class Loader:
    """Makes the updates of some partitions, whose states go forward with every one made."""

    decoder: BatchDecoder
    states: Mapping[Position, State]
    chunk_width_ms: int
    refuse: Callable[[Fetched, Sequence[Refused]], None] = _ignore
    """Is told the records that cannot be rows, before their update is given."""

    def updates(self, fetches: Iterable[Sequence[Fetched]]) -> Iterator[list[Update]]:
        """The updates of each fetch, in lists that one transaction can store.

        An empty list for a fetch that brought nothing: whoever makes them ahead may end there.
        """
        for fetched in fetches:
            pieces = [one.pieces(self.chunk_width_ms, MOST_CHUNKS) for one in fetched]
            for number in range(max(map(len, pieces), default=1)):
                yield [self._update(of[number]) for of in pieces if number < len(of)]

    def _update(self, fetched: Fetched) -> Update:
        state = self.states[fetched.topic, fetched.partition]
        batch = self.decoder.decode(fetched)
        rows, refused = state.rows.process(batch)
        if refused:
            self.refuse(fetched, refused)
        return Update(state, rows, int(fetched.offsets[-1]) + 1, counts(batch))
