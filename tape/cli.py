"""The command `tape`: global options, and which module holds which command."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import ConfigError, TapeError
from tape import config

# Command -> (module in tape.commands, panel in --help). A module has `command`, a function,
# or `app`, a group; only the one that is called is imported.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Start here"),
    "doctor": ("doctor", "Start here"),
    "up": ("up", "Local stack"),
    "down": ("down", "Local stack"),
    "status": ("status", "Local stack"),
    "logs": ("logs", "Local stack"),
    "import": ("import_", "The tape"),
    "tail": ("tail", "The tape"),
    "topics": ("topics", "The tape"),
    "configure": ("configure", "The tape"),
    "schemas": ("schemas", "The tape"),
    "worker": ("worker", "Processes"),
    "sink": ("sink", "Processes"),
    "replay": ("replay", "Proofs"),
    "verify": ("verify", "Proofs"),
    "rebuild": ("rebuild", "Proofs"),
    "bench": ("bench", "Proofs"),
    "config": ("config", "Configuration"),
}


def _root(
    tape: Annotated[
        str | None, typer.Option(help="Name of the tape (default: live).", metavar="NAME")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(help="development, staging or production: which config/*.toml is read."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, e.g. kafka.bootstrap=host:9092; repeatable."),
    ] = None,
    config_dir: Annotated[
        Path | None, typer.Option(help="Folder of the .toml files (default: ./config).")
    ] = None,
) -> None:
    """Tape: every market tick is an event on one log; everything else is derived from it.

    `tape demo` shows all of it in a minute, on this machine alone.
    """
    overrides = dict(_split(text) for text in set_ or [])
    if tape is not None:
        overrides["tape"] = tape
    config.use(config.load(overrides, environment, config_dir))


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: give it as KEY=VALUE")
    return key, value


def build(arguments: list[str]) -> typer.Typer:
    """The command line with the commands that these arguments can call."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")
    app.callback()(_root)
    called = next((word for word in arguments if word in COMMANDS), None)
    wanted = [called] if called and arguments[0] not in {"--help", "-h"} else list(COMMANDS)
    for name in wanted:
        module_name, panel = COMMANDS[name]
        module = import_module(f"tape.commands.{module_name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(module.command)
    return app


def main() -> None:
    """Run the command line; our own errors end it with one clear line."""
    arguments = _tape_option_first(sys.argv[1:])
    try:
        build(arguments)(arguments)
    except ConfigError as error:
        _fail(error, 2)
    except TapeError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _tape_option_first(arguments: list[str]) -> list[str]:
    """Allow `--tape NAME` (and --set) after the command too, where people write it."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in {"--tape", "--set"}:
            front += [word, next(words, "")]
        elif word.startswith(("--tape=", "--set=")):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def _fail(error: Exception, code: int) -> None:
    print(f"tape: {error}", file=sys.stderr)
    sys.exit(code)
