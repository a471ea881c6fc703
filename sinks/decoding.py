"""Decoding what was fetched, also where a newer producer registered a schema meanwhile."""

from schemas.columns import Batch
from schemas.decode import Decoder
from schemas.errors import StoreError, TapeError
from schemas.registry import Registry, SchemaIds
from sinks.reading import Fetched


class BatchDecoder:
    """Decodes fetched records; asks the registry again, once an id, for ids it does not know."""

    def __init__(self, registry: Registry, tape: str) -> None:
        self._registry, self._tape = registry, tape
        self.ids: SchemaIds = registry.ids(tape)
        self._decoder = Decoder(self.ids.writers)
        self._foreign: set[int] = set()

    def decode(self, fetched: Fetched) -> Batch:
        """The batch; records that cannot be decoded are in its `refused`."""
        batch = self._decode(fetched)
        unknown = {self._schema_id(fetched, index) for index, _ in batch.refused}
        unknown -= {None} | self._foreign | self.ids.writers.keys()
        if not unknown:
            return batch
        try:
            self.ids = self._registry.ids(self._tape)
        except (StoreError, TapeError):
            # The registry is away: that stops nothing; the records are refused for good.
            return batch
        self._foreign |= {one for one in unknown if one is not None} - self.ids.writers.keys()
        self._decoder = Decoder(self.ids.writers)
        return self._decode(fetched)

    def _decode(self, fetched: Fetched) -> Batch:
        return self._decoder.decode(
            fetched.topic,
            fetched.partition,
            fetched.buffer,
            fetched.starts,
            fetched.ends,
            fetched.offsets,
            fetched.timestamps_ms,
        )

    @staticmethod
    def _schema_id(fetched: Fetched, index: int) -> int | None:
        payload = fetched.payload(index)[:5]
        if len(payload) < 5 or payload[0]:
            return None
        return int.from_bytes(payload[1:], "big")
