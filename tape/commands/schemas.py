"""`tape schemas`: the language of the tape, listed and explained; and the check of its changes."""

import json
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas import catalogue
from schemas.errors import SchemaError

app = typer.Typer(no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.callback()
def _group() -> None:
    """List and explain the schemas, check that a change of them is compatible, release it."""


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """List the topics with their records, keys and how Kafka keeps them."""
    if as_json:
        print(json.dumps({"topics": [_topic_summary(topic) for topic in catalogue.TOPICS]}))
        return
    console = Console()
    for topic in catalogue.TOPICS:
        partitions = "the tape's" if topic.partitions == "tape" else str(topic.partitions)
        console.print(f"[bold]{topic.name}[/bold]  {escape(topic.doc)}")
        console.print(
            f"  {topic.kind}; key: {escape(topic.key)}; partitions: {partitions}; "
            f"cleanup: {topic.cleanup}",
            style="dim",
        )
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
        for record in topic.records:
            table.add_row(" ", record, escape(catalogue.schema(record)["doc"]))
        console.print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A record (Trade) or a topic (bars).")],
    as_json: Annotated[
        bool, typer.Option("--json", help="The Avro schema; of a topic, all of its records'.")
    ] = False,
) -> None:
    """Print the fields of a record, or of each record of a topic: type, default, meaning."""
    records = _records(name)
    if as_json:
        found = [catalogue.schema(record) for record in records]
        print(json.dumps(found[0] if records == (name,) else found))
        return
    console = Console()
    for record in records:
        _print_record(console, record)


@app.command()
def check(as_json: _Json = False) -> None:
    """Check that every schema is released and compatible with all of its releases, both ways.

    Ends with status 1 and names record, field and reason if not. Also checks that the
    generated `schemas/events.py` belongs to the schemas.
    """
    from schemas import releases

    schemas = releases.current()
    problems = releases.check(schemas) or releases.check_events()
    count = sum(map(len, releases.read().values()))
    if as_json:
        listed = [
            {"record": one.record, "field": one.field, "reason": one.reason} for one in problems
        ]
        print(json.dumps({"records": len(schemas), "releases": count, "problems": listed}))
    elif problems:
        print("\n".join(map(str, problems)))
    else:
        print(f"{len(schemas)} records, {count} releases: each reads what any other wrote")
    if problems:
        raise typer.Exit(1)


@app.command()
def release() -> None:
    """Put new and changed schemas into the history, and generate `schemas/events.py` from them.

    Refuses, and writes nothing, if one is not compatible with all of its releases.
    """
    from schemas import generate, releases

    for one in (new := releases.release(releases.current())):
        print(f"released {one.record} {one.number}: schemas/history/{one.file_name}")
    if releases.check_events():
        generate.EVENTS_FILE.write_text(generate.source())
        print("generated schemas/events.py")
    if not new:
        print("every schema is released")


def _topic_summary(topic: catalogue.Topic) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "doc": topic.doc,
        "kind": topic.kind,
        "key": topic.key,
        "partitions": topic.partitions,
        "cleanup": topic.cleanup,
        "records": {record: catalogue.schema(record)["doc"] for record in topic.records},
    }


def _records(name: str) -> tuple[str, ...]:
    if name in catalogue.RECORDS:
        return (name,)
    if name in catalogue.BY_NAME:
        return catalogue.BY_NAME[name].records
    known = {known.lower(): known for known in (*catalogue.RECORDS, *catalogue.BY_NAME)}
    near = [known[match] for match in get_close_matches(name.lower(), known, n=3)]
    advice = f"did you mean {' or '.join(near)}?" if near else "`tape schemas list` names them"
    raise SchemaError(f"there is no record or topic {name!r}: {advice}")


def _print_record(console: Console, record: str) -> None:
    from schemas import releases
    from schemas.columns import named_types

    schema = catalogue.schema(record)
    topic = catalogue.topic_of(record)
    versions = releases.read().get(record, [])
    released = f"release {versions[-1].number}" if versions else "never released"
    console.print(f"[bold]{record}[/bold]  {escape(schema['doc'])}")
    console.print(
        f"topic {topic.name}, key {escape(topic.key)}, {released}, fingerprint "
        f"{releases.fingerprint(schema)}",
        style="dim",
    )
    named = named_types(schema, {})
    _print_fields(console, schema, named)
    for name, definition in named.items():
        if definition["type"] == "record" and name != record:
            console.print(f"[bold]{name}[/bold]  {escape(definition['doc'])}")
            _print_fields(console, definition, named)
    console.print()


def _print_fields(console: Console, schema: dict[str, Any], named: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("field", no_wrap=True)
    table.add_column("type", style="cyan")
    table.add_column("default", no_wrap=True)
    table.add_column("meaning")
    for field in schema["fields"]:
        default = json.dumps(field["default"]) if "default" in field else ""
        table.add_row(
            field["name"], escape(_type(field["type"], named)), default, escape(field["doc"])
        )
    console.print(table)


def _type(avro: Any, named: dict[str, Any]) -> str:
    """A type for people: `double or null`, `list of Level`, `BUY | SELL`."""
    from schemas.compatibility import kind_of

    kind, definition = kind_of(avro, named)
    if kind == "union":
        branches = [_type(branch, named) for branch in definition if branch != "null"]
        return " or ".join([*branches, "null"])
    if kind == "array":
        return f"list of {_type(definition['items'], named)}"
    if kind == "record":
        return str(definition["name"])
    if kind == "enum":
        return " | ".join(definition["symbols"])
    return str(definition.get("logicalType", kind))
