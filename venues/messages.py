"""What all venues' parsers share: number types, times, and what a parser gives back."""

from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Meta

from schemas.errors import VenueError
from schemas.events import Event, FeedStatus
from venues.symbols import Listing

# The bounds keep NaN and infinity out; msgspec checks them in C at no cost that is measured.
Number = Annotated[float, Meta(ge=0.0, le=1e300)]
Signed = Annotated[float, Meta(ge=-1e300, le=1e300)]
Whole = Annotated[int, Meta(ge=-1, le=2**62)]
# A number of trades in one event.
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Levels = list[tuple[Number, Number]]
# A number where a text was, and a text where a number was, are both read.
Text = str | int | float

# Milliseconds UTC up to the year 2100; the venues' documents have times of 1970 in examples.
LATEST_MS = 4_102_444_800_000
Millis = Annotated[int, Meta(ge=0, le=LATEST_MS)]

T = TypeVar("T")

# What msgspec raises for bytes that are no such JSON, for text that is not UTF-8 and deep nests.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Ignored(NamedTuple):
    """A message of a kind that is not taken: its name, for the count."""

    kind: str


Parsed = list[Event] | Ignored


def decoder(kind: type[T]) -> Callable[[bytes | msgspec.Raw], T]:
    """A function that decodes JSON into a type and takes numbers in strings for numbers."""
    decode: Callable[[bytes | msgspec.Raw], T] = msgspec.json.Decoder(kind, strict=False).decode
    return decode


def optional_number(value: Text | None) -> float | None:
    """A number that may be left empty; VenueError for what is no number."""
    if value is None or value == "":
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise VenueError(f"a number was {value!r}") from None
    if not abs(found) <= 1e300:  # NaN too
        raise VenueError(f"a number was {value!r}")
    return found


def optional_micros(value: Text | None) -> int | None:
    """Milliseconds to microseconds; None for an empty or zero time, VenueError for none of ours."""
    found = optional_number(value)
    if found is not None and not 0 <= found <= LATEST_MS:
        raise VenueError(f"a time in milliseconds was {value!r}")
    return int(found) * 1000 if found else None


def count_of(first: int, last: int) -> int:
    """How many trades have the ids from first to last; VenueError for what no event can hold."""
    if last - first >= 2**31 - 1:
        raise VenueError(f"the trades {first} to {last} were said to be one")
    return max(last - first + 1, 1)


def depth_of(limit: str, levels: int) -> int:
    """Levels a side that a request asked for, or as many as came."""
    return int(limit) if limit.isdecimal() and len(limit) < 7 else levels


class Claims:
    """Which of several channels that say the same is taken of an instrument: the first seen.

    Two depths of a book, or single and aggregated trades, would mix up each other's sequences
    or count twice.
    """

    def __init__(self) -> None:
        self._channels: dict[tuple[str, str, str], str] = {}

    def claim(self, venue: str, name: str, kind: str, channel: str) -> bool:
        """Whether this channel is the one taken of `kind` (book, trades) of an instrument."""
        return self._channels.setdefault((venue, name, kind), channel) == channel

    def claimed(self, venue: str, name: str, kind: str) -> bool:
        """Whether any channel of this kind was seen."""
        return (venue, name, kind) in self._channels


def asked(request: str) -> tuple[str, dict[str, str]]:
    """Path and query of the URL that an answer is of; VenueError when it is none."""
    try:
        parts = urlsplit(request)
        return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}
    except ValueError as error:
        raise VenueError(f"the request of an answer was {request[:100]!r}: {error}") from None


def notice(
    listing: Listing, event_time: int, receive_time: int, channel: str, reason: str
) -> FeedStatus:
    """Something to know of a feed that leaves its book as it is."""
    return FeedStatus(
        venue=listing.venue,
        symbol=listing.symbol,
        event_time=event_time,
        receive_time=receive_time,
        status="OTHER",
        channel=channel,
        reason=reason,
    )
