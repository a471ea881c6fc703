"""The outside: one file a venue, parsing apart from connecting; simulator; history.

In: frames as venues send them. Out: `schemas.events` onto `tape`.
"""
