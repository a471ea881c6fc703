"""`rebuild`: a table of trades derived anew from its topic and swapped in; the peer is plain COPY.

Ours ends when the new table is in the live one's place and the old one is dropped; the peer puts
the same rows, from memory, into a table of the same kind in one COPY. TimescaleDB where
TAPE_TEST_TIMESCALE_URL names one, else the stack's PostgreSQL.
"""

import time

from benchmarks._stored import TOPIC, Stored, described, stored
from benchmarks.harness import Result, compare, versions
from sinks.rebuild import Rebuild

_RUNS = 3


def run() -> Result:
    """Measure both sides, alternately."""
    ours, peer = [], []
    with stored() as one:
        one.sink()
        rows = one.rows()
        for _ in range(_RUNS):
            ours.append(_rebuild(one))
            peer.append(one.copy(rows))
        one.verify()
        details = described(one)
    return compare(
        "rebuild", "rows/s", ours, peer, versions("psycopg", "confluent-kafka", "numba"), **details
    )


def _rebuild(one: Stored) -> float:
    began = time.perf_counter()
    rebuilt = Rebuild(
        one.tape.kafka, one.tape.registry, one.database, one.url, one.tape.name, (TOPIC,)
    ).run()
    return rebuilt.rows / (time.perf_counter() - began)
