"""Proves the archive: every manifest, file and record as written, and equal to Kafka's copy."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from schemas.errors import StoreError
from sinks.archive.digest import Digest
from sinks.archive.writer import orphans
from streams import log
from streams.archive import layout, parquet
from streams.archive.manifest import Segment
from streams.archive.reader import Archive
from streams.config import KafkaConfig

VERSION = 1


class Verified(msgspec.Struct):
    """What was verified of a partition: `_verified.json`."""

    version: int = VERSION
    segments: dict[str, str] = {}
    """Start offset -> hash of the manifest of a segment that equals Kafka's records."""


@dataclass(slots=True)
class Proof:
    """What one partition of one topic came to."""

    topic: str
    partition: int
    start: int
    end: int
    """First offset of the archive, and the first that is not in it."""
    segments: int = 0
    records: int = 0
    compared: int = 0
    """Segments that were compared with Kafka's records; the others Kafka no longer has."""
    orphans: int = 0
    """Files that no manifest names; they count for nothing."""
    problems: list[str] = field(default_factory=list)


Progress = Callable[[int], None]
"""Is told how many records were verified."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Verifies a tape's archive; `only_new`: what was not verified before."""

    archive: Archive
    kafka: KafkaConfig
    only_new: bool = False

    def run(self, on_progress: Progress = lambda records: None) -> list[Proof]:
        """Verify all there is, and note what was found equal to Kafka's records.

        StoreError when Kafka or the store is away, or nothing is archived.
        """
        topics = self.archive.topics()
        if not topics:
            raise StoreError(
                f"nothing of tape {self.archive.tape} is in the archive {self.archive.store.url}: "
                f"run `tape --tape {self.archive.tape} archive run`"
            )
        return [
            _Partition(self, topic, partition, on_progress).run()
            for topic, partitions in topics.items()
            for partition in partitions
        ]


def verified(archive: Archive, topic: str, partition: int) -> Verified:
    """What was verified of a partition; StoreError when the note cannot be read."""
    path = layout.verified_path(archive.tape, topic, partition)
    try:
        found = msgspec.json.decode(archive.store.read(path), type=Verified)
    except FileNotFoundError:
        return Verified()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} of the archive cannot be read: {error}; remove it") from None
    return found if found.version == VERSION else Verified()


class _Partition:
    """One partition's verification."""

    def __init__(
        self, plan: Verification, topic: str, partition: int, on_progress: Progress
    ) -> None:
        self._plan, self._archive, self._on_progress = plan, plan.archive, on_progress
        self._topic, self._number = topic, partition
        self._low, self._high = log.bounds(plan.kafka, plan.archive.tape, topic, partition)
        self._proof = Proof(topic, partition, 0, 0)
        self._schemas: dict[str, str] = {}

    def run(self) -> Proof:
        proof, archive = self._proof, self._archive
        before = verified(archive, self._topic, self._number)
        after = Verified()
        named: set[str] = set()
        previous: Segment | None = None
        for start in archive.starts(self._topic, self._number):
            try:
                segment = archive.segment(self._topic, self._number, start)
            except StoreError as error:
                proof.problems.append(str(error))
                previous = None
                continue
            self._check_chain(previous, segment)
            named |= {file.path for file in segment.files}
            known = before.segments.get(str(start)) == segment.sha256
            done = known and self._plan.only_new
            if done or (self._verify(segment) and (self._equals_topic(segment) or known)):
                after.segments[str(start)] = segment.sha256
            proof.start, proof.end = proof.start if proof.segments else start, segment.end
            proof.segments += 1
            previous = segment
        if proof.segments and self._low > proof.end:
            proof.problems.append(
                f"{self._what()}: the archive ends at {proof.end}, Kafka begins at {self._low}"
            )
        if not proof.problems:
            proof.orphans = len(list(orphans(archive, self._topic, self._number, named)))
        if after != before:
            path = layout.verified_path(archive.tape, self._topic, self._number)
            archive.store.write(path, msgspec.json.format(msgspec.json.encode(after), indent=1))
        return proof

    def _check_chain(self, previous: Segment | None, segment: Segment) -> None:
        """Each segment but the first follows on the one before."""
        at = layout.manifest_path(self._archive.tape, self._topic, self._number, segment.start)
        if previous is None:
            if segment.previous and not self._proof.problems:
                self._proof.problems.append(f"{at}: the manifests before it are missing")
        elif segment.start != previous.end:
            self._proof.problems.append(
                f"{at}: the segments from {previous.end} to {segment.start} are missing"
            )
        elif segment.previous != previous.sha256:
            self._proof.problems.append(f"{at}: follows on another manifest than the one there is")

    def _verify(self, segment: Segment) -> bool:
        """Every file, and all records together, are what the manifest says."""
        problems = [*self._wrong_schemas(segment), *self._wrong_files(segment)]
        if not problems:
            digest = Digest()
            try:
                digest.add(self._archive.load(segment))
            except StoreError as error:
                problems.append(str(error))
            else:
                problems += self._differences(segment, digest, "the archive's records")
        self._proof.problems += problems
        self._proof.records += segment.records
        self._on_progress(segment.records)
        return not problems

    def _wrong_files(self, segment: Segment) -> list[str]:
        problems = []
        for file in segment.files:
            try:
                data = self._archive.data(file)
                keys = parquet.keys(file.path, data)
                columns = parquet.decode(file.path, data)
            except StoreError as error:
                problems.append(str(error))
                continue
            days = {layout.day_name(int(day)) for day in set(
                parquet.day_of_all(columns.timestamps_ms).tolist()
            )}  # fmt: skip
            if keys != {layout.key_of(file.key)} or days != {file.day}:
                problems.append(f"{file.path} holds records of another day or key")
        return problems

    def _wrong_schemas(self, segment: Segment) -> list[str]:
        problems = []
        for number, digest in segment.schemas.items():
            path = layout.schema_path(self._archive.tape, int(number))
            if number not in self._schemas:
                try:
                    found = hashlib.sha256(self._archive.store.read(path)).hexdigest()
                except FileNotFoundError:
                    found = ""
                self._schemas[number] = found
                if not found:
                    problems.append(f"{path} is missing")
                elif found != digest:
                    problems.append(f"{path} was altered")
            elif self._schemas[number] != digest:
                problems.append(f"{path} is not the schema of segment {segment.start}")
        return problems

    def _equals_topic(self, segment: Segment) -> bool:
        """Whether Kafka has the same records; False, without a problem, where it has no more."""
        if segment.start < self._low or segment.end > self._high:
            if segment.end > self._high:
                self._proof.problems.append(
                    f"{self._what()} ends at {self._high} on Kafka, in the archive at {segment.end}"
                )
            return False
        digest = Digest()
        plan = self._plan
        for records in log.read(
            plan.kafka, self._archive.tape, self._topic, self._number, segment.start, segment.end
        ):
            digest.add(records)
        problems = self._differences(segment, digest, "Kafka's records")
        self._proof.problems += problems
        self._proof.compared += 1
        return not problems

    def _differences(self, segment: Segment, digest: Digest, whose: str) -> list[str]:
        found = (digest.count, digest.records, digest.offsets)
        if found == (segment.records, segment.records_sha256, segment.offsets_sha256):
            return []
        return [
            f"{self._what()}, offsets {segment.start} to {segment.end - 1}: {whose} are not those "
            f"of the manifest ({digest.count} and {segment.records} records)"
        ]

    def _what(self) -> str:
        return f"{self._topic} partition {self._number}"
