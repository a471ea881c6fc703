"""What is on its way to Kafka: records handed to the producer that it has not answered for yet.

Records are counted by chunks, since answers come one a record and only two things are asked of
them: how far everything is acknowledged, and whether Kafka answers at all.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.config import KafkaConfig
from streams.logs import logger
from streams.producer import producer_config
from streams.spool_records import Record

_log = logger("spool")

_QUEUE_RECORDS = 100_000
# A new producer has its first answer half a second after it began, of a Kafka that is well.
_FIRST_S = 2.0
# One partition may be without an answer this many times longer, while others have theirs.
_STUCK = 10
# Kafka takes the record itself for wrong: sent again, it would be refused again.
_OF_THE_RECORD = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError._UNKNOWN_PARTITION,
}


class Answers:
    """What one producer was answered."""

    __slots__ = ("acknowledged", "failed", "refused")

    def __init__(self) -> None:
        self.acknowledged = 0
        self.refused = 0
        self.failed: KafkaError | None = None


class Chunk:
    """Records handed over one after the other; `left` of them are without an answer.

    They are in `records`, or in the spool, where they end at `end`.
    """

    __slots__ = ("_answers", "count", "end", "left", "opened", "records")

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.records: list[Record] = []
        self.opened = 0.0
        self.end = -1
        self.count = 0
        """Records in the spool."""
        self.left = 0

    def stored(self, end: int, count: int) -> None:
        """Say that the spool has the records, so that memory need not."""
        self.end, self.count = end, count
        self.records = []

    def delivered(self, error: KafkaError | None, _message: object) -> None:
        """Take the answer for a record."""
        answers = self._answers
        if error is not None:
            if error.code() not in _OF_THE_RECORD:
                answers.failed = error
                return
            _refused(answers, error)
        self.left -= 1
        answers.acknowledged += 1


def _refused(answers: Answers, error: KafkaError) -> None:
    """Count a record that Kafka will never take."""
    answers.refused += 1
    _log.error("record_refused", error=error.str(), refused=answers.refused)


class Flight:
    """A producer and what it has not been answered for.

    It never gives a record up: its retries keep the order and let nothing appear twice, however
    long Kafka is away. Kafka is silent when no record was acknowledged for `silence_s`
    although some wait.
    """

    def __init__(self, kafka: KafkaConfig, silence_s: float) -> None:
        self._kafka = kafka
        self._silence_s = silence_s
        self._before = 0
        self.answers = Answers()
        self._chunks: deque[Chunk] = deque()
        self._producer = self._new_producer()
        self._answered_at = 0.0
        self._acknowledged = 0
        self._begin()

    @property
    def outstanding(self) -> int:
        """Records without an answer."""
        return sum(chunk.left for chunk in self._chunks)

    @property
    def in_memory(self) -> int:
        """Those of them that are nowhere but in memory."""
        return sum(chunk.left for chunk in self._chunks if chunk.end < 0)

    @property
    def refused(self) -> int:
        """Records that Kafka took for wrong, of all producers so far."""
        return self._before + self.answers.refused

    @property
    def is_silent(self) -> bool:
        """Whether Kafka does not answer."""
        oldest = next((chunk for chunk in self._chunks if chunk.left), None)
        if oldest is None:
            return False
        now = time.monotonic()
        silence_s = self._silence_s if self._answered_at else max(self._silence_s, _FIRST_S)
        waits = now - max(self._answered_at, oldest.opened)
        return waits > silence_s or now - oldest.opened > _STUCK * silence_s

    @property
    def is_answered(self) -> bool:
        """Whether Kafka answers, or there is nothing to answer."""
        return time.monotonic() - self._answered_at < self._silence_s or not self.outstanding

    def hand(self, record: Record) -> None:
        """Hand a record over and keep it; BufferError when too many wait, KafkaException."""
        topic, partition, key, value, time_ms = record
        self._producer.produce(
            topic, value, key, partition, on_delivery=self._delivered, timestamp=time_ms
        )
        chunk = self._open
        if not chunk.records:
            chunk.opened = time.monotonic()
        chunk.records.append(record)
        chunk.left += 1

    def hand_stored(self, placed: Iterable[tuple[Record, int]]) -> int:
        """Hand over records that the spool keeps, each with where it ends there.

        How far it came: to the last that the producer took, -1 for none.
        """
        chunk = self._open if not self._open.records else self._begin()
        chunk.opened = time.monotonic()
        end, count = -1, 0
        for record, after in placed:
            topic, partition, key, value, time_ms = record
            try:
                self._producer.produce(
                    topic, value, key, partition, on_delivery=chunk.delivered, timestamp=time_ms
                )
                chunk.left += 1
            except BufferError:
                break
            except KafkaException as error:
                if not self.is_refused(error):
                    break
            end, count = after, count + 1
        if count:
            chunk.stored(end, count)
            self._begin()
        return end

    def is_refused(self, error: KafkaException) -> bool:
        """Whether it was about the record, which is counted; if not, the producer has failed."""
        problem: KafkaError = error.args[0]
        if problem.code() in _OF_THE_RECORD:
            _refused(self.answers, problem)
            return True
        self.answers.failed = problem
        return False

    def poll(self, wait_s: float = 0.0) -> None:
        """Take the answers that are there, or wait for one."""
        self._producer.poll(wait_s)
        if self.answers.acknowledged != self._acknowledged:
            self._acknowledged = self.answers.acknowledged
            self._answered_at = time.monotonic()

    def settled(self) -> tuple[int, int]:
        """Forget what is acknowledged; how far that is in the spool (-1: nowhere), how many."""
        if self._open.records:
            self._begin()
        end, count = -1, 0
        chunks = self._chunks
        while len(chunks) > 1 and not chunks[0].left:
            chunk = chunks.popleft()
            if chunk.end >= 0:
                end, count = chunk.end, count + chunk.count
        return end, count

    def unstored(self) -> list[Chunk]:
        """The chunks that are in memory only, oldest first."""
        return [chunk for chunk in self._chunks if chunk.records]

    def renew(self) -> None:
        """Begin again with another producer and nothing on the way."""
        self.end()
        self._before += self.answers.refused
        self.answers = Answers()
        self._acknowledged = 0
        self._answered_at = 0.0
        self._chunks.clear()
        self._producer = self._new_producer()
        self._begin()

    def end(self) -> None:
        """Let the producer go, in a thread: it may wait for its own threads."""
        threading.Thread(target=Producer.purge, args=(self._producer,), daemon=True).start()
        del self._producer

    def _begin(self) -> Chunk:
        self._open = Chunk(self.answers)
        self._delivered = self._open.delivered
        self._chunks.append(self._open)
        return self._open

    def _new_producer(self) -> Producer:
        return Producer(
            producer_config(self._kafka)
            | {
                "queue.buffering.max.messages": _QUEUE_RECORDS,
                "delivery.report.only.error": False,
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 500,
            }
        )
