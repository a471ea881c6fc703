"""Derived stores: TimescaleDB or PostgreSQL tables made from topics, and proved equal to them."""
