"""The market model: frames in the venues' own wire formats, made from a seed and nothing else.

In: a seed, symbols, venues, a start time, rates. Out: `venues.frames.Frame`s in receive-time order.
No clock, no global randomness, no I/O: the same seed gives the same bytes.
`docs/market-model.md` has the formulas.
"""
