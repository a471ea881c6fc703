"""Faults on the way: frames lost and frames delivered twice, from a seed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from schemas.errors import ConfigError
from venues.frames import Frame

BLOCK = 4_096


@dataclass(slots=True)
class Faults:
    """Drops and duplicates WebSocket frames; REST responses pass.

    The same `seed` harms the same frames of the same stream. `drop_share` and `duplicate_share` are
    shares of the frames; ConfigError outside 0 to 1.
    """

    seed: int
    drop_share: float = 0.0
    duplicate_share: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    """How many frames were `dropped` and `duplicated` so far."""

    def __post_init__(self) -> None:
        for name in ("drop_share", "duplicate_share"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"{name} was {share}; give a share from 0 to 1")

    def apply(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames as a poor connection delivers them."""
        random = np.random.Generator(np.random.PCG64(self.seed))
        draws: list[float] = []
        for frame in frames:
            if frame.request:
                yield frame
                continue
            if not draws:
                draws = random.random(BLOCK).tolist()
            draw = draws.pop()
            if draw < self.drop_share:
                self.counts["dropped"] += 1
                continue
            yield frame
            if draw >= 1.0 - self.duplicate_share:
                self.counts["duplicated"] += 1
                yield frame
