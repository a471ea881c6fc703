"""The thinking: pure state machines over one partition of `tape`.

In: `schemas.columns.Batch`. Out: `schemas.columns.Rows` per derived topic, and snapshots as
bytes. No I/O, no clock, no randomness, no logging here; `pipeline.py` composes the stages.
"""
