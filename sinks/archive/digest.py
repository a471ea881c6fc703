"""The hashes of records that a manifest names and a verification makes again."""

import hashlib

import numpy as np

from streams.canonical import canonical
from streams.records import Records


class Digest:
    """Hashes of records that come in the order of their offsets, in any portions."""

    def __init__(self) -> None:
        self._records, self._offsets = hashlib.sha256(), hashlib.sha256()
        self.count = 0

    def add(self, records: Records) -> None:
        """Take the next records."""
        data, _ = canonical(
            records.buffer, records.key_starts, records.key_ends,
            records.buffer, records.value_starts, records.value_ends,
            records.timestamps_ms,
        )  # fmt: skip
        self._records.update(data.data)
        self._offsets.update(np.ascontiguousarray(records.offsets, "<i8").data)
        self.count += len(records)

    @property
    def records(self) -> str:
        """SHA-256 of the canonical records."""
        return self._records.hexdigest()

    @property
    def offsets(self) -> str:
        """SHA-256 of the offsets, little-endian, 64 bits each."""
        return self._offsets.hexdigest()
