"""Types of kernel arguments, so that each kernel is compiled once, whatever the batch.

Inputs are read-only and may be strided columns of a structured table.
"""

from numba import types

INTEGER = types.int64
INTEGERS_IN = types.Array(types.int64, 1, "A", readonly=True)
FLOATS_IN = types.Array(types.float64, 1, "A", readonly=True)
TEXT_IN = types.Array(types.uint8, 1, "C", readonly=True)
INTEGERS = types.Array(types.int64, 1, "C")
FLOATS = types.Array(types.float64, 1, "C")
FLAGS = types.Array(types.uint8, 1, "C")
INTEGER_ROWS = types.Array(types.int64, 2, "C")
FLOAT_ROWS = types.Array(types.float64, 2, "C")
