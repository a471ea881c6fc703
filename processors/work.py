"""A batch on its way through the stages: the events, and what earlier stages found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.instruments import Instruments
from schemas.columns import Batch


@dataclass(slots=True)
class Work:
    """One batch with the columns that stages hand on, aligned with its events.

    `instrument[i]` is the index in `instruments` of event i's venue and symbol, -1 for global
    events and for symbols that are not processed. The `books` stage fills `best_bid` and
    `best_ask` (NaN: unknown) with its instrument's state after event i.
    """

    batch: Batch
    instruments: Instruments
    instrument: NDArray[np.int64]
    best_bid: NDArray[np.float64]
    best_ask: NDArray[np.float64]
