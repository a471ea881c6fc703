"""`sink`: a tape of trades into their table, exactly once; the peer is a plain COPY of its rows.

The peer's rows are in memory, in PostgreSQL's own binary form, and go into a table of the same
kind in one COPY. Ours reads them from Kafka, decodes, encodes, and stores them with its offsets.
TimescaleDB where TAPE_TEST_TIMESCALE_URL names one, else the stack's PostgreSQL.
"""

from benchmarks._stored import described, stored
from benchmarks.harness import Result, compare, versions

_RUNS = 3


def run() -> Result:
    """Measure both sides, alternately."""
    ours, peer = [], []
    with stored() as one:
        # Kernels are compiled once a machine, not once a run.
        one.sink()
        one.verify()
        rows = one.rows()
        for _ in range(_RUNS):
            ours.append(one.sink())
            peer.append(one.copy(rows))
        details = described(one)
    return compare(
        "sink", "rows/s", ours, peer, versions("psycopg", "confluent-kafka", "numba"), **details
    )
