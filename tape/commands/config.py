"""`tape config`: shows the configuration in force."""

import json
from typing import Annotated

import typer

from tape import config

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Show the configuration."""


@app.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print every setting with its value; secrets are masked."""
    values = dict(config.flatten(config.settings()))
    if as_json:
        print(json.dumps(values, default=str))
        return
    for key, value in values.items():
        print(f"{key} = {json.dumps(value, default=str)}")
