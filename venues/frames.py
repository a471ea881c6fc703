"""A frame: what a venue sent, as it was received."""

import msgspec


# Made for each message, at a seventh of the time that a frozen dataclass takes.
class Frame(msgspec.Struct, frozen=True, gc=False):
    """One message of a connection or one REST response; `receive_time` in microseconds UTC."""

    venue: str
    connection: str
    receive_time: int
    data: bytes
    request: str = ""
    """URL of the request that `data` answers; empty for WebSocket messages."""
