"""Decodes records; asks the registry, once for each, for schemas that newer writers registered."""

import numpy as np

from schemas.columns import Batch
from schemas.decode import Decoder
from schemas.errors import SchemaError
from schemas.registry import SchemaIds
from streams.records import Records


class BatchDecoder:
    """Turns records of one topic into batches.

    StoreError when an unknown schema is met while the registry is away: what becomes of a
    record must not depend on that.
    """

    def __init__(self, topic: str, ids: SchemaIds) -> None:
        self._topic, self._ids = topic, ids
        self._decoder = Decoder(ids.writers)
        self._foreign: set[int] = set()

    def decode(self, partition: int, records: Records) -> Batch:
        """The batch; records that cannot be decoded are in its `refused`."""
        batch = self._decode(partition, records)
        unknown = {self._schema_id(records, index) for index, _ in batch.refused}
        unknown -= self._foreign | self._ids.writers.keys() | {-1}
        if not unknown:
            return batch
        for schema_id in sorted(unknown):
            try:
                self._decoder.add(schema_id, self._ids.fetch(schema_id))
            except SchemaError:
                self._foreign.add(schema_id)
        return self._decode(partition, records)

    def _decode(self, partition: int, records: Records) -> Batch:
        return self._decoder.decode(
            self._topic,
            partition,
            records.buffer,
            np.ascontiguousarray(records.value_starts),
            np.ascontiguousarray(records.value_ends),
            np.ascontiguousarray(records.offsets),
            np.ascontiguousarray(records.timestamps_ms),
        )

    @staticmethod
    def _schema_id(records: Records, index: int) -> int:
        frame = records.value(index)[:5]
        return int.from_bytes(frame[1:], "big") if len(frame) == 5 and not frame[0] else -1
