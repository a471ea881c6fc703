"""`tape doctor`: tells what is missing on this machine, and how to get it."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from tape import config

_MARKS = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "blocks": "[red]✗[/red]"}


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Look at Python, memory, disk, Java, downloads, ports and services; say what to do.

    Changes nothing. Ends with status 1 when something blocks.
    """
    from tape.stack import doctor

    findings = []
    console = Console(soft_wrap=True)
    for finding in doctor.examine(config.settings()):
        findings.append(finding)
        if not as_json:
            console.print(f"{_MARKS[finding.level]} {finding.subject:18} {finding.found}")
            if finding.advice:
                console.print(f"  {'':18} [bold]→ {finding.advice}[/bold]")
    blocks = sum(finding.level == "blocks" for finding in findings)
    if as_json:
        print(json.dumps({"blocks": blocks, "findings": [asdict(one) for one in findings]}))
    elif blocks:
        console.print(f"[red]{blocks} of these must be put right first")
    if blocks:
        raise typer.Exit(1)
