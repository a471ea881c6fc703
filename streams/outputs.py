"""A stage's rows as Kafka records: key, value, timestamp and id of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.columns import Rows
from schemas.encode import encode


@dataclass(frozen=True, slots=True)
class Outputs:
    """Records for one topic in the order of their ids.

    `keys` and `values` are buffers; starts and ends are positions in them. The pair
    (`origin_offsets[i]`, `seqs[i]`) is record i's id.
    """

    topic: str
    keys: NDArray[np.uint8]
    key_starts: NDArray[np.int64]
    key_ends: NDArray[np.int64]
    values: NDArray[np.uint8]
    value_starts: NDArray[np.int64]
    value_ends: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]
    origin_offsets: NDArray[np.int64]
    seqs: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.timestamps_ms)


def outputs_of(rows: Rows, schema_id: int) -> Outputs:
    """Encode rows: keyed by symbol, at their event time, under a writer's schema id."""
    table = rows.table
    values, starts, ends = encode(rows, schema_id)
    key_starts = np.ascontiguousarray(table["symbol_start"])
    return Outputs(
        topic=rows.topic,
        keys=rows.text,
        key_starts=key_starts,
        key_ends=key_starts + table["symbol_length"],
        values=values,
        value_starts=starts,
        value_ends=ends,
        timestamps_ms=table["event_time"] // 1000,
        origin_offsets=np.ascontiguousarray(table["origin_offset"]),
        seqs=np.ascontiguousarray(table["seq"]),
    )
