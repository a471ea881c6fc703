"""The archive: old records of topics as Parquet on any fsspec store, and how they are read.

`manifest.py` says what is there, `layout.py` where, `parquet.py` how records become files and come
back, `store.py` holds the files, `reader.py` is the history that readers of topics go on from.
It is written, verified and let go by `sinks/archive/`.
"""
