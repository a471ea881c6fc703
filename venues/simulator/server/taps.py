"""What disturbs single messages on their way: each a small machine over one or more channels."""

from collections.abc import Callable
from dataclasses import dataclass, field

from venues.simulator.server.channel import Channel

_NEW_FIELD = b',"simulatorField":{"added":[1,null]}'
Change = Callable[[bytes], list[bytes]]


@dataclass(slots=True)
class Counted:
    """Changes the next `left` messages; `touched` is told of each."""

    change: Change
    left: int
    touched: Callable[[Channel, bytes], None]

    def passed(self, channel: Channel, data: bytes) -> list[bytes]:
        """The message changed, while there are any left to change."""
        if self.left <= 0:
            return [data]
        self.left -= 1
        self.touched(channel, data)
        return self.change(data)


def left_out(data: bytes) -> list[bytes]:
    """A gap."""
    return []


def doubled(data: bytes) -> list[bytes]:
    """The same message twice."""
    return [data, data]


def broken(data: bytes) -> list[bytes]:
    """The first half of the message."""
    return [data[: len(data) // 2]]


def extended(data: bytes) -> list[bytes]:
    """The message with a field that nobody knows, where it is one of an object's fields."""
    end = 2 if data.startswith(b'{"stream"') else 1
    return [data[:-end] + _NEW_FIELD + data[-end:]]


@dataclass(slots=True)
class Swapped:
    """Sends a message after the one that follows it on its channel, `left` times."""

    left: int
    touched: Callable[[Channel, bytes], None]
    held: dict[bytes, tuple[Channel, bytes]] = field(default_factory=dict)
    """By channel, what waits for the next one."""

    def passed(self, channel: Channel, data: bytes) -> list[bytes]:
        """Hold a message, or send this one and then the one held."""
        waiting = self.held.pop(channel.key, None)
        if waiting is not None:
            self.touched(*waiting)
            self.left -= 1
            return [data, waiting[1]]
        if self.left > len(self.held):
            self.held[channel.key] = channel, data
            return []
        return [data]


@dataclass(slots=True)
class Withheld:
    """Sends nothing of what comes."""

    touched: Callable[[Channel, bytes], None]

    def passed(self, channel: Channel, data: bytes) -> list[bytes]:
        """Nothing."""
        self.touched(channel, data)
        return []


@dataclass(slots=True)
class Repeated:
    """Sends one more message of a channel, and then nothing but that again, by `last`."""

    touched: Callable[[Channel, bytes], None]
    last: dict[bytes, tuple[Channel, bytes]] = field(default_factory=dict)

    def passed(self, channel: Channel, data: bytes) -> list[bytes]:
        """The first message of a channel."""
        if channel.key not in self.last:
            self.last[channel.key] = channel, data
            return [data]
        self.touched(channel, data)
        return []


@dataclass(slots=True)
class Delayed:
    """Sends everything `delay_us` of market time late, in order."""

    delay_us: int
    now_us: Callable[[], int]
    touched: Callable[[Channel, bytes], None]
    _held: list[tuple[int, Channel, bytes]] = field(default_factory=list)

    def passed(self, channel: Channel, data: bytes) -> list[bytes]:
        """Nothing yet."""
        self.touched(channel, data)
        self._held.append((self.now_us() + self.delay_us, channel, data))
        return []

    def due(self, now_us: int | None) -> list[tuple[Channel, bytes]]:
        """What is due by now; all of it without a time."""
        at = 0
        held = self._held
        while at < len(held) and (now_us is None or held[at][0] <= now_us):
            at += 1
        self._held = held[at:]
        return [(channel, data) for _, channel, data in held[:at]]
