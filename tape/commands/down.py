"""`tape down`: ends the local stack."""

from rich.console import Console

from tape import config
from tape.terminal import doing


def command() -> None:
    """End the local stack cleanly: registry, Kafka, PostgreSQL. Their data stays.

    `tape up` goes on with it; to begin anew, delete the folder that `tape doctor` names.
    """
    from tape.stack import control

    console = Console(stderr=True)
    with doing(console, "Ending the local stack"):
        was_running = control.stop(config.settings().stack)
    console.print("the local stack has ended" if was_running else "the local stack was not running")
