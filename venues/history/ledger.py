"""The topic `imports`: which files were imported, and which import was interrupted."""

import hashlib
from collections.abc import Sequence

from schemas import rows
from schemas.events import Import
from schemas.registry import SchemaIds
from streams import log
from streams.config import KafkaConfig
from venues.history.files import SourceFile
from venues.history.names import Hints


def import_id(files: Sequence[SourceFile], hints: Hints) -> str:
    """The id of importing these files in this order under these options, lower-case hex."""
    parts = [*(file.sha256 for file in files), hints.venue, hints.symbol, hints.interval]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Ledger:
    """Imports of one tape, newest record of each."""

    def __init__(self, kafka: KafkaConfig, ids: SchemaIds, tape: str) -> None:
        self._newest: dict[str, Import] = {}
        for batch in log.read(kafka, tape, "imports", 0, 0, None):
            for index in range(len(batch)):
                record = rows.decode(batch.value(index), ids.writers)
                if isinstance(record, Import):
                    self._newest[record.import_id] = record

    def completed(self, sha256: str) -> Import | None:
        """The completed import that a file of this hash was part of."""
        for record in self._newest.values():
            if record.status == "COMPLETED" and any(sha == sha256 for _, sha in record.files):
                return record
        return None

    def interrupted(self) -> Import | None:
        """The import that was started and not completed, if there is one."""
        return next((r for r in self._newest.values() if r.status == "STARTED"), None)
