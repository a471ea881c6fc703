"""History onto the tape: recorded captures, exchange dumps and candle files.

In: files (`formats.py` says which reader reads one). Out: their events on `tape` in the order
of receive time, Clock pulses between them, refused lines on `dead_letters`, and the record on
`imports` that makes each file take effect once.
"""
