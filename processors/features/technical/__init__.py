"""The technical features: TA-Lib's indicators, one update a closed bar.

A module a family. Each owns `FEATURES`, its entries of the catalogue in the order of its output,
and the sizes `FLOATS` and `INTEGERS` of its state. In: a ring of the last bars and the state,
zeros at the start. Out: one number a feature, NaN until there is one. `kernel` puts the families
of one-minute bars together over one state; `five_minutes` stands alone.
"""

# The length of the ring of bars, and what takes an index into it.
RING = 128
MASK = RING - 1
