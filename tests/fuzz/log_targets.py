"""What comes from Kafka and from the spool's files: batches, values, schemas, records on disk."""

import json
import random
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas import catalogue, rows
from schemas.columns import Batch
from schemas.decode import Decoder
from schemas.errors import SchemaError, TapeError
from schemas.row_decoder import compile_decoder
from streams.record_batch import parse
from streams.record_batch_kernel import crc32c
from streams.spool import Spool
from streams.spool_folder import SpoolFolder
from streams.spool_records import packed, unpacked, whole
from tests.fuzz import samples
from tests.fuzz.events import made, some_of_each
from tests.fuzz.mutation import Case, mutated
from tests.fuzz.target import Plain
from tests.processors.batches import IDS, WRITERS


@cache
def values() -> list[bytes]:
    """Encoded events, some of each record."""
    pick = random.Random(5)
    found = some_of_each(samples.model_events(), pick)
    found += [made(record, pick) for record in catalogue.RECORDS for _ in range(3)]
    return [rows.encode(event, IDS[type(event).__name__]) for event in found]


def batch_of(decoder: Decoder, topic: str, given: Sequence[bytes], first_offset: int = 0) -> Batch:
    """Values decoded as one batch of a topic."""
    ends = np.cumsum([len(value) for value in given], dtype=np.int64)
    return decoder.decode(
        topic,
        3,
        np.frombuffer(b"".join(given), np.uint8),
        ends - np.array([len(value) for value in given], np.int64),
        ends,
        np.arange(first_offset, first_offset + len(given), dtype=np.int64),
        np.zeros(len(given), np.int64),
    )


class RecordBatchTarget(Plain):
    """Record batches as a broker sends them, in every compression, with a right CRC or not."""

    name, text = "record-batch", False

    def seeds(self) -> Sequence[Case]:
        found = []
        for compression in range(5):
            for transactional in (False, True):
                builder = DefaultRecordBatchBuilder(
                    2, compression, transactional, 77 if transactional else -1, 0, 0, 1 << 20
                )
                for number, value in enumerate(values()[:30]):
                    key = None if number == 3 else b"BTC-USDT"
                    builder.append(number, 1_700_000_000_000 + number, key, value, [("h", b"x")])
                found.append(Case(b"crc", bytes(builder.build())))
        return found

    def run(self, case: Case) -> None:
        data = bytearray(case.body)
        if case.head == b"crc" and len(data) > 21:
            self._right(data)
        for aborted in (None, [(77, 0), (1, 2**63 - 1)]):
            try:
                records, next_offset = parse(bytes(data), 0, aborted)
            except TapeError:
                continue
            next_offset + 1
            for index in range(min(len(records), 50)):
                records.key(index)
                records.value(index)

    @staticmethod
    def _right(data: bytearray) -> None:
        """Put the CRC right, as a broken producer would, so that the records are read."""
        end = min(len(data), max(21, 12 + int.from_bytes(data[8:12], "big", signed=True)))
        crc = int(crc32c(np.frombuffer(bytes(data), np.uint8), 21, end)) & 0xFFFFFFFF
        data[17:21] = crc.to_bytes(4, "big")


class DecodeTarget(Plain):
    """A value, decoded to columns and as a row: both take it and say the same, or both refuse."""

    name, text = "decode", False

    def __init__(self) -> None:
        self._decoder = Decoder(WRITERS)

    def seeds(self) -> Sequence[Case]:
        return [Case(b"any", value) for value in values()]

    def run(self, case: Case) -> None:
        good = values()[0]
        batch = batch_of(self._decoder, case.head.decode("utf-8", "replace"), [case.body, good])
        refused = dict(batch.refused)
        assert 1 not in refused, f"a sound value was refused: {refused[1]}"
        event, reason = None, ""
        try:
            event = rows.decode(case.body, WRITERS)
        except SchemaError as error:
            reason = str(error)
        if event is None:
            assert refused.get(0) == reason, f"row: {reason}; columns: {refused.get(0)}"
            return
        kind = catalogue.RECORDS.index(type(event).__name__)
        assert 0 in refused or batch.kind[0] == kind
        assert 0 not in refused or "belong" in refused[0], refused
        again = rows.encode(event, IDS[type(event).__name__])
        rows.decode(again, WRITERS)


class SchemaTarget(Plain):
    """Schemas of other writers, as a registry may give them: usable or refused, and values read."""

    name = "schemas"

    def seeds(self) -> Sequence[Case]:
        found = [catalogue.schema(record) for record in catalogue.RECORDS]
        return [
            Case(value, json.dumps(schema).encode())
            for schema, value in zip(found, self._own_values(), strict=True)
        ]

    @staticmethod
    def _own_values() -> list[bytes]:
        pick = random.Random(9)
        return [rows.encode(made(r, pick), 1)[5:] for r in catalogue.RECORDS]

    def run(self, case: Case) -> None:
        try:
            schema: Any = json.loads(case.body)
        except ValueError:
            return
        decoder = Decoder(WRITERS)
        value = b"\0" + struct.pack(">I", 9_999) + case.head
        with suppress(SchemaError):
            decoder.add(9_999, schema)
        batch_of(decoder, "any", [value])
        with suppress(SchemaError):
            compile_decoder(schema)
            rows.decode(value, {9_999: schema})


class SpoolTarget(Plain):
    """A spool's file and its position after a crash; what it still gives is drained, then more."""

    name, text = "spool", False

    def seeds(self) -> Sequence[Case]:
        records = [("t-tape", n % 3, b"k" * (n % 4), v, n) for n, v in enumerate(values()[:12])]
        return [Case(b"", b"".join(map(packed, records[:count]))) for count in (1, 2, 5, 12)] + [
            Case(b"", b"")
        ]

    def case(self, seeds: Sequence[Case], pick: random.Random) -> Case:
        found = mutated(pick.choice(seeds), seeds, pick, False)
        head = pick.randbytes(12) if pick.random() < 0.3 else found.head
        return Case(head, found.body)

    def run(self, case: Case) -> None:
        count, end = whole(case.body)
        assert len(unpacked(case.body)) == count
        assert end <= len(case.body)
        if len(case.body) % 16:  # files cost a hundred times as much
            return
        with TemporaryDirectory(dir=shared_memory()) as root:
            place = Path(root) / "live" / "0"
            place.mkdir(parents=True)
            (place / f"{0:020d}.spool").write_bytes(case.body)
            (place / "drained").write_bytes(case.head)
            folder = SpoolFolder(Path(root), "live")
            spool = Spool(folder, 1 << 30, 60.0)
            at, taken = spool.start, 0
            spool.append(("t-tape", 0, b"k", b"v", 1))
            while (found := spool.read(at))[0]:
                taken, at = taken + len(found[0]), found[1]
            assert taken == spool.records, (taken, spool.records)
            spool.drained(at, taken)
            spool.close()


def shared_memory() -> str | None:
    """A folder that is no disk, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
