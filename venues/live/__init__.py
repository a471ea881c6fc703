"""Live collection: connections to the venues, kept true, as frames and events.

In: the venues' WebSocket and REST interfaces. Out: `venues.frames.Frame`s to `venues.feed.Feed`,
and what the connections themselves know (lost, clock offset, instruments) as events.
"""
