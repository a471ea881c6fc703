"""What an interrupted import left on the tape, record by record, to be compared with."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from schemas.catalogue import TAPE
from schemas.errors import StoreError
from schemas.registry import SchemaIds
from streams import log
from streams.config import KafkaConfig

# (key, value, timestamp in ms)
Record = tuple[bytes, bytes, int]

# Written by others at any time, so that they may stand after an interrupted import.
_OF_OTHERS = ("Configured", "Command", "ModelPromoted", "RiskBudget", "OrderReport")


class Existing:
    """Records between an import's start offsets and the ends at its resumption.

    An import writes each partition in order, so what it wrote is a beginning of what it
    derives. Records of others may stand between; they are counted in `foreign`.
    """

    def __init__(
        self,
        kafka: KafkaConfig,
        ids: SchemaIds,
        tape: str,
        starts: Sequence[int],
        ends: Sequence[int],
    ) -> None:
        self._others = {ids.id(TAPE, record).to_bytes(4, "big") for record in _OF_OTHERS}
        self._partitions = [
            _records(kafka, tape, partition, start, end)
            for partition, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]
        self._starts = starts
        self.foreign = 0

    def take(self, partition: int, record: Record) -> bool:
        """Whether this record, the next that the import derives, is there already.

        StoreError when others' events stand where it should be and it is not after them: what
        is on the tape is then not what this import wrote.
        """
        skipped: list[Record] = []
        for found in self._partitions[partition]:
            if found == record:
                self.foreign += len(skipped)
                return True
            skipped.append(found)
        if any(value[1:5] not in self._others for _, value, _ in skipped):
            raise StoreError(
                f"the interrupted import cannot be completed: partition {partition} of the tape "
                f"holds {len(skipped)} records after offset {self._starts[partition]} that it "
                "did not write. Others wrote to this tape, or the file or this program changed: "
                "import to another tape (--tape NAME)"
            )
        self.foreign += len(skipped)
        return False


def _records(
    kafka: KafkaConfig, tape: str, partition: int, start: int, end: int
) -> Iterator[Record]:
    for batch in log.read(kafka, tape, TAPE, partition, start, end):
        buffer = batch.buffer
        for key_start, key_end, value_start, value_end, timestamp in zip(
            batch.key_starts.tolist(),
            batch.key_ends.tolist(),
            batch.value_starts.tolist(),
            batch.value_ends.tolist(),
            batch.timestamps_ms.tolist(),
            strict=True,
        ):
            yield (
                buffer[key_start:key_end].tobytes(),
                buffer[value_start:value_end].tobytes(),
                timestamp,
            )


def dead_letters(kafka: KafkaConfig, tape: str) -> Counter[bytes]:
    """The dead letters that are there, by their bytes."""
    found: Counter[bytes] = Counter()
    for batch in log.read(kafka, tape, "dead_letters", 0, 0, None):
        for start, end in zip(batch.value_starts.tolist(), batch.value_ends.tolist(), strict=True):
            found[batch.buffer[start:end].tobytes()] += 1
    return found


def newest_event_time(kafka: KafkaConfig, ids: SchemaIds, tape: str, ends: Sequence[int]) -> int:
    """The newest event time on the tape by its Kafka timestamps, microseconds; 0: no events.

    Looked for in each partition's last records: Clock pulses and the order of arrival keep the
    newest near the end. What operators write carries their own time and does not count.
    """
    others = [ids.id(TAPE, record) for record in _OF_OTHERS]
    newest = 0
    for partition, end in enumerate(ends):
        for batch in log.read(kafka, tape, TAPE, partition, max(0, end - _TAIL), end):
            places = batch.value_starts[:, None] + np.arange(1, 5)
            schema_ids = batch.buffer[places].astype(np.int64) @ (256 ** np.arange(3, -1, -1))
            market = batch.timestamps_ms[~np.isin(schema_ids, others)]
            newest = max(newest, int(market.max(initial=0)) * 1000)
    return newest


_TAIL = 5_000
