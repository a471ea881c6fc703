"""Subscriptions spread over connections, and requests cut to the size that a venue takes."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from schemas.events import Instrument
from venues.config import Channel
from venues.live.dialect import Subscription

T = TypeVar("T")


def subscriptions(
    instruments: Sequence[Instrument], channels: Sequence[Channel]
) -> Iterator[list[Subscription]]:
    """Each instrument's channels, kept together; a spot pair has no mark price."""
    for each in instruments:
        yield [
            Subscription(each.venue, each.symbol, each.venue_symbol, channel)
            for channel in channels
            if channel != "mark" or each.kind != "SPOT"
        ]


def shares(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Items in as few parts as `most` (≥ 1) items a part allow, all about the same size."""
    parts = -(-len(items) // most)
    ends = [len(items) * part // parts for part in range(parts + 1)] if parts else []
    return [items[start:end] for start, end in pairwise(ends)]


def batches(
    items: Sequence[str], render: Callable[[Sequence[str], int], str], most: int, most_bytes: int
) -> tuple[bytes, ...]:
    """Messages of at most `most` items and `most_bytes` bytes each, numbered from 1."""
    messages: list[bytes] = []
    start = 0
    while start < len(items):
        count = min(most, len(items) - start)
        while True:
            message = render(items[start : start + count], len(messages) + 1).encode()
            if len(message) <= most_bytes or count == 1:
                break
            count = max(count * most_bytes // len(message), 1)
        messages.append(message)
        start += count
    return tuple(messages)
