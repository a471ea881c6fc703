"""Derived stores: TimescaleDB or PostgreSQL tables made from topics, and proved equal to them.

In: topics of a tape, as decoded batches. Out: rows and offsets in one transaction, dead letters.
The way of a record: reading → decoding → rows (which, sampled, without repeats) → encoding → store.
"""
