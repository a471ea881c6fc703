"""`tape down`: ends the local stack."""

from rich.console import Console

from tape import config
from tape.stack import control


def command() -> None:
    """End the local stack cleanly: registry, Kafka, PostgreSQL. Their data stays."""
    console = Console(stderr=True)
    with console.status("Ending the local stack"):
        was_running = control.stop(config.settings().stack)
    console.print("the local stack has ended" if was_running else "the local stack was not running")
