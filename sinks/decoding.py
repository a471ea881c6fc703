"""Decoding what was fetched, also where a newer producer registered a schema meanwhile."""

from schemas.columns import Batch
from schemas.decode import Decoder
from schemas.errors import SchemaError, StoreError
from schemas.registry import Registry, SchemaIds
from sinks.reading import Fetched


class BatchDecoder:
    """Decodes fetched records; asks the registry, once an id, for schemas it does not know.

    SchemaError when the tape's schemas are not registered, StoreError when the registry is
    away, both only at the start: later, records whose schema nobody can tell are refused.
    """

    def __init__(self, registry: Registry, tape: str) -> None:
        self.ids: SchemaIds = registry.ids(tape)
        self._decoder = Decoder(self.ids.writers)
        self._asked = set(self.ids.writers)

    def decode(self, fetched: Fetched) -> Batch:
        """The batch; records that cannot be decoded are in its `refused`."""
        batch = self._decode(fetched)
        unknown = {_schema_id(fetched, index) for index, _ in batch.refused} - self._asked - {-1}
        # A list, since all of them are to be learnt, not one.
        if any([self._learn(schema_id) for schema_id in unknown]):
            return self._decode(fetched)
        return batch

    def _learn(self, schema_id: int) -> bool:
        try:
            self._decoder.add(schema_id, self.ids.fetch(schema_id))
        except SchemaError:
            # Foreign bytes: there is no such schema, or it is none of ours.
            self._asked.add(schema_id)
            return False
        except StoreError:
            return False
        self._asked.add(schema_id)
        return True

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


def _schema_id(fetched: Fetched, index: int) -> int:
    """The id that a record's frame names; -1 where it is no frame."""
    head = fetched.payload(index)[:5]
    return int.from_bytes(head[1:], "big") if len(head) == 5 and not head[0] else -1
