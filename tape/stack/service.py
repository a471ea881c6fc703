"""What the supervisor knows of a service."""

from typing import Protocol

from tape.stack.process import Command


class Service(Protocol):
    """One server of the stack; the supervisor runs `prepare`, then `command`, till `is_ready`."""

    name: str
    ports: dict[str, int]
    """Setting (`stack.kafka_port`) to port."""

    @property
    def address(self) -> str:
        """What clients are given."""
        ...

    def prepare(self) -> Command | None:
        """A command that has to end well before the server can start (first start), or None."""
        ...

    def prepared(self) -> None:
        """Called when that command ended well."""
        ...

    def command(self) -> Command:
        """The server."""
        ...

    def is_ready(self) -> bool:
        """Whether it answers, in less than a second."""
        ...
