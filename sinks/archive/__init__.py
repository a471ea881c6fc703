"""The archive sink: writes topics to Parquet, verifies what is there, lets Kafka's copy go.

`writer.py` archives, `verify.py` proves files and manifests against themselves and Kafka,
`prune.py` deletes from Kafka what is archived, verified and done with. The format, and how it is
read, are `streams/archive/`.
"""
