"""`tape bench`: runs a benchmark beside its peer."""

import json
import pkgutil
from importlib import import_module
from typing import Annotated

import typer
from rich.console import Console

from schemas.errors import ConfigError

# Not figures, but what the figures are made with.
_SUPPORT = {"harness"}


def names() -> list[str]:
    """The benchmarks that there are: the modules of `benchmarks` that have `run`."""
    package = import_module("benchmarks")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    figures = (name for name in found if name not in _SUPPORT and not name.startswith("_"))
    return sorted(name.replace("_", "-") for name in figures)


def command(
    name: Annotated[str, typer.Argument(help="Which figure; `list` names them.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure one figure: ours and the peer side by side in one call, on the same input."""
    known = names()
    if name == "list":
        print("\n".join(known))
        return
    if name not in known:
        raise ConfigError(f"no benchmark {name!r}; there are: {', '.join(known)}")
    result = import_module(f"benchmarks.{name.replace('-', '_')}").run().as_dict()
    if as_json:
        print(json.dumps(result))
        return
    console = Console()
    for key, value in result.items():
        console.print(f"[bold]{key:>10}[/]  {value}")
