"""What every command tells the terminal in the same way: work in progress, progress bars, hints."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, ProgressColumn


@contextmanager
def doing(console: Console, text: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done: a spinner on a terminal, one line elsewhere (a log, a pipe).

    Gives a function that changes the spinner's text.
    """
    if not console.is_terminal:
        console.print(text, soft_wrap=True)
        yield lambda _text: None
        return
    with console.status(text) as status:
        yield status.update


def progress(*columns: str | ProgressColumn) -> Progress:
    """A progress bar on standard error that leaves nothing behind; none if no terminal."""
    console = Console(stderr=True)
    return Progress(
        *(columns or Progress.get_default_columns()),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def program() -> str:
    """How the reader calls `tape` from where they are: `make` and `uv run` leave PATH as it was."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return "python -m tape"
    if "UV_RUN_RECURSION_DEPTH" not in os.environ:
        return "tape"
    try:
        return str(script.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(script)
