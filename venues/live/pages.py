"""Requests for the next page: the same URL with other parameters."""

from dataclasses import replace
from urllib.parse import urlencode, urlsplit, urlunsplit

from venues.live.dialect import Request
from venues.messages import asked


def query_of(request: Request) -> dict[str, str]:
    """A request's parameters; VenueError when its URL is none."""
    return asked(request.url)[1]


def with_query(request: Request, **changes: str | int | None) -> Request:
    """The request with parameters set, or left out where the change is None."""
    query = {**query_of(request), **{name: str(value) for name, value in changes.items()}}
    kept = {name: value for name, value in query.items() if changes.get(name, "") is not None}
    return replace(request, url=urlunsplit(urlsplit(request.url)._replace(query=urlencode(kept))))
