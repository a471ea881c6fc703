"""A frame: what a venue sent, as it was received."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a connection or one REST response; `receive_time` in microseconds UTC."""

    venue: str
    connection: str
    receive_time: int
    data: bytes
    request: str = ""
    """URL of the request that `data` answers; empty for WebSocket messages."""
