"""The language: Avro schemas, the catalogue of topics, and bytes <-> rows <-> columns.

In: `avro/*.avsc`, the single source of every event's fields. Out: typed events
(`events.py`, generated), the topics they live on (`catalogue.py`), Confluent-framed
bytes (`rows.py`, `columns.py`) and the registry that gives their ids (`registry.py`).
"""
