"""The command `tape`: global options, and which module holds which command."""

import re
import sys
from collections.abc import Iterator
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
    "collect": ("collect", "Processes"),
    "record": ("record", "Processes"),
    "sim": ("sim", "Processes"),
    "features": ("features", "The tape"),
    "worker": ("worker", "Processes"),
    "sink": ("sink", "Processes"),
    "database": ("database", "Processes"),
    "archive": ("archive", "Processes"),
    "replay": ("replay", "Proofs"),
    "verify": ("verify", "Proofs"),
    "rebuild": ("rebuild", "Proofs"),
    "bench": ("bench", "Proofs"),
    "config": ("config", "Configuration"),
}
# Options of `tape` itself, each with a value; people write them after the command too.
_GLOBAL = ("--tape", "--set", "--environment", "--config-dir")
_TAPE_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked for

        print(f"tape {version('tape')}")
        raise typer.Exit


def _root(
    tape: Annotated[
        str | None,
        typer.Option(
            help="Name of the tape: prefix of its topics and tables (default: live).",
            metavar="NAME",
        ),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            help="development (default), staging or production: which config/*.toml is read.",
            metavar="NAME",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="One setting, e.g. kafka.bootstrap=host:9092; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    config_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the .toml files (default: ./config).", metavar="FOLDER"),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and end.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Tape: every market tick is an event on one log; everything else is derived from it.

    `tape demo` shows all of it in a minute, on this machine alone.
    `tape COMMAND --help` tells more of each command; the options here may stand after it, too.
    """
    if "--help" in sys.argv:
        return  # It is shown whatever is wrong with the settings.
    overrides = dict(_split(text) for text in set_ or [])
    if tape is not None:
        if not _TAPE_NAME.fullmatch(tape):
            raise ConfigError(
                f"--tape {tape!r}: a tape's name is a small letter, then up to 30 small letters, "
                "digits and _"
            )
        overrides["tape"] = tape
    config.use(config.load(overrides, environment, config_dir))


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: give it as KEY=VALUE, e.g. kafka.bootstrap=host:9092")
    return key, value


def build(arguments: list[str]) -> typer.Typer:
    """The command line with the commands that these arguments can call."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        # Local variables and a page of frames help nobody at a keyboard.
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    called = _called(arguments)
    for name in [called] if called in COMMANDS else COMMANDS:
        module_name, panel = COMMANDS[name]
        module = import_module(f"tape.commands.{module_name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(module.command)
    return app


def _called(arguments: list[str]) -> str:
    """The first word that is neither an option of `tape` nor the value of one; or empty."""
    words = iter(arguments)
    for word in words:
        if word in _GLOBAL:
            next(words, None)
        elif not word.startswith("--") or word == "--help":
            return word
    return ""


def main() -> None:
    """Run the command line; errors that people can act on end it with one clear line."""
    try:
        arguments = list(_global_options_first(sys.argv[1:]))
        build(arguments)(arguments)
    except ConfigError as error:
        _fail(error, 2)
    except (TapeError, OSError) as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _global_options_first(arguments: list[str]) -> Iterator[str]:
    """Allow `--tape NAME`, `--set` and the like after the command too, where people write them."""
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _GLOBAL:
            value = next(words, "")
            if not value or value.startswith("--"):
                raise ConfigError(f"{word}: give a value after it")
            yield from (word, value)
        elif word.startswith(tuple(f"{option}=" for option in _GLOBAL)):
            yield word
        else:
            rest.append(word)
    yield from rest


def _fail(error: Exception, code: int) -> None:
    print(f"tape: {error}", file=sys.stderr)
    sys.exit(code)
