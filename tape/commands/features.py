"""`tape features`: listed, exported as a training frame, selected, plotted, generated."""

import json
import math
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TextColumn
from rich.table import Table

from schemas.errors import ConfigError
from tape import clients, config
from tape.stack.addresses import addresses
from tape.terminal import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from processors.config import ProcessorsConfig
    from processors.features.catalogue import Feature

app = typer.Typer(
    no_args_is_help=True,
    help="The features: what they are, as a training frame, which to take, in a picture.",
)

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbol", help="Only this symbol; may be repeated.")
]
Anew = Annotated[
    bool,
    typer.Option(
        "--anew",
        help="With this version and configuration, whatever the tape was recorded with.",
    ),
]
_ROWS = 65_536
"""Rows that are written together."""


@app.command("list")
def list_(
    group: Annotated[str, typer.Option(help="Only the groups whose name begins so.")] = "",
    as_json: AsJson = False,
) -> None:
    """Every feature: formula, source, unit, inputs, warm-up.

    Example: `tape features list --group micro`
    """
    from processors.features import feature_set

    found = [each for each in feature_set.FEATURES if each.group.startswith(group)]
    if not found:
        raise ConfigError(f"no group begins with {group!r}: {', '.join(feature_set.GROUPS)}")
    if as_json:
        version = feature_set.version()
        print(json.dumps({"feature_set": version, "features": [_entry(each) for each in found]}))
        return
    console = Console()
    for name in feature_set.GROUPS:
        of_group = [each for each in found if each.group == name]
        if not of_group:
            continue
        table = Table(title=f"{name}: {len(of_group)}", title_justify="left", box=None)
        for column in ("name", "formula", "unit", "source"):
            table.add_column(column, overflow="fold", no_wrap=column == "name")
        for each in of_group:
            table.add_row(*map(escape, (each.name, each.formula, each.unit, each.source)))
        console.print(table)
    console.print(f"{len(found)} features, version {feature_set.version()}")


def _entry(feature: "Feature") -> dict[str, Any]:
    """An entry of the catalogue for JSON, which has no infinity: null."""
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in asdict(feature).items()
        if name != "talib"
    }


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    symbol: Symbols = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="What workers wrote to the topic, not derived anew.")
    ] = False,
    anew: Anew = False,
    as_json: AsJson = False,
) -> None:
    """Write the training frame of a tape: a row a vector, derived by the code that runs live.

    Rows equal the live topic's, bit for bit; with --anew they are what it would have had. `price`
    is the newest reference price at the decision. The tape is read from its beginning, from the
    archive where Kafka has it no more.

    Example: `tape --tape h features export frame.parquet --symbol BTC-USDT`
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tape.features import export as exporting

    if recorded and anew:
        raise ConfigError("--recorded is what was written; --anew derives: give one of them")
    if not file.parent.is_dir():
        raise ConfigError(f"there is no folder {file.parent}")
    rows = 0
    symbols: set[str] = set()
    partial = file.with_name(file.name + ".part")
    try:
        with pq.ParquetWriter(partial, exporting.schema()) as writer:
            for group in _groups(_tables(symbol, recorded, anew)):
                table = pa.concat_tables(group)
                writer.write_table(table)
                rows += len(table)
                symbols |= set(table["symbol"].unique().to_pylist())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    if as_json:
        told = {"file": str(file), "rows": rows, "symbols": sorted(symbols)}
        print(json.dumps({**told, "feature_set": exporting.FEATURE_SET}))
    else:
        print(f"{file}: {rows:,} rows of {', '.join(sorted(symbols))}; feature set "
              f"{exporting.FEATURE_SET}")  # fmt: skip


def _groups(tables: "Iterator[pa.Table]") -> "Iterator[list[pa.Table]]":
    """The tables in groups that are worth a row group of Parquet."""
    group: list[Any] = []
    for table in tables:
        group.append(table)
        if sum(map(len, group)) >= _ROWS:
            yield group
            group = []
    if group:
        yield group


@app.command()
def select(
    frame: Annotated[Path, typer.Argument(help="A frame that was exported.")],
    horizon: Annotated[float, typer.Option(help="How far the label looks ahead, seconds.")],
    price: Annotated[
        str, typer.Option(help="Column that the forward return over the horizon is made of.")
    ] = "",
    label: Annotated[str, typer.Option(help="Column to predict, in place of a return.")] = "",
    feature: Annotated[
        list[str] | None, typer.Option(help="A candidate; may be repeated. All unless given.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="A column that is none; may be repeated.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.")] = 5,
    resamples: Annotated[int, typer.Option(help="Block bootstraps to be stable over.")] = 20,
    stability: Annotated[
        float, typer.Option(help="Share of them that a cluster has to win.")
    ] = 0.9,
    correlation: Annotated[float, typer.Option(help="Above it columns are a cluster.")] = 0.6,
    max_rows: Annotated[
        int, typer.Option(help="Of a longer frame, so many rows are used.")
    ] = 20_000,
    jobs: Annotated[int, typer.Option(help="Processes; they do not change the result.")] = 1,
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("selection.json"),
    report: Annotated[Path | None, typer.Option(help="HTML report to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the features that predict: one of each cluster of alike, stable over resamples.

    With neither --price nor --label the reference price of the frame, `price`.

    Example: `tape features select frame.parquet --horizon 60 --report report.html`
    """
    _needs("sklearn", "scipy", "matplotlib")
    for path in (out, report):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"there is no folder {path.parent}")

    from tape import selection as selecting
    from tape.selection import report as reporting

    options = selecting.SelectionOptions(
        horizon_s=horizon,
        label=label,
        price=price or ("" if label else "price"),
        features=tuple(feature or ()),
        exclude=tuple(exclude or ()),
        folds=folds,
        resamples=resamples,
        stability=stability,
        correlation=correlation,
        max_rows=max_rows,
        jobs=jobs,
        seed=seed,
    )
    with progress() as bar:
        task = bar.add_task("Resamples", total=resamples)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        found = selecting.select(frame, options, advance)
    found.write(out)
    if report is not None:
        reporting.write(found, report)
    if as_json:
        told = {"file": str(out), "id": found.id, "features": list(found.features)}
        print(json.dumps({**told, "report": None if report is None else str(report)}))
    else:
        print(f"{out}: {len(found.features)} of {len(found.columns)} features"
              f"{': ' if found.features else ''}{', '.join(found.features)}")  # fmt: skip


@app.command()
def plot(
    symbol: Annotated[str, typer.Argument(help="A symbol, e.g. BTC-USDT.")],
    features: Annotated[list[str], typer.Argument(help="Names of features.")],
    frame: Annotated[
        Path | None, typer.Option(help="A frame that was exported; else the tape is read.")
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("features.html"),
    anew: Anew = False,
) -> None:
    """Draw features over the price, as an HTML file.

    Example: `tape features plot BTC-USDT rsi_14 spread_bps --frame frame.parquet`
    """
    _needs("matplotlib")
    if not out.parent.is_dir():
        raise ConfigError(f"there is no folder {out.parent}")

    import pyarrow as pa
    import pyarrow.parquet as pq

    from tape.features import plot as plotting

    if frame is None:
        table = pa.concat_tables(_tables([symbol], recorded=False, anew=anew))
    elif frame.is_file():
        try:
            table = pq.read_table(frame)
        except pa.ArrowInvalid as error:
            raise ConfigError(f"{frame} could not be read as Parquet: {error}") from None
    else:
        raise ConfigError(f"there is no file {frame}: `tape features export` writes one")
    plotting.write(table, symbol, features, out)
    print(out)


@app.command()
def generate() -> None:
    """Write what comes from the catalogue, after a feature was added or changed.

    Calls of your own features, the Avro record, docs/features.md. Then `tape schemas release`.
    """
    from tape.features import generate as generating

    for path in generating.write():
        print(path)


def _tables(symbols: list[str] | None, recorded: bool, anew: bool) -> "Iterator[pa.Table]":
    """The vectors of all partitions, with progress; ConfigError when there are none."""
    settings = addresses(config.settings(), only=("kafka", "registry"))

    import pyarrow as pa
    import pyarrow.compute as pc

    from schemas.catalogue import TAPE
    from streams import log, topics
    from streams.replay import Source
    from tape.features import export as exporting

    partitions = topics.partitions_of(settings.kafka, settings.tape)
    ids = clients.registry(settings).ids(settings.tape)
    archive = clients.archive(settings)
    if archive is not None:
        archive.complete(ids.writers)
    source = Source(settings.kafka, ids, settings.tape, archive)
    wanted = pa.array(symbols or [], pa.string())
    met: set[str] = set()
    missing = set(symbols or ())
    columns = (*Progress.get_default_columns(), TextColumn("{task.completed:,} events"))
    with progress(*columns) as bar:
        # The recorded topic is short beside the tape, and its events are others.
        total = None if recorded else sum(log.ends(settings.kafka, settings.tape, TAPE).values())
        task = bar.add_task(f"Reading {settings.tape}", total=total)

        def advance(events: int) -> None:
            bar.advance(task, events)

        def found(partition: int) -> "Iterator[pa.Table]":
            if recorded:
                return exporting.recorded(source, partition)
            under: ProcessorsConfig | None = settings.processors if anew else None
            return exporting.derived(source, partition, advance, under)

        for partition in range(partitions):
            for table in found(partition):
                met |= set(table["symbol"].unique().to_pylist())
                chosen = table.filter(pc.is_in(table["symbol"], wanted)) if symbols else table
                if len(chosen):
                    yield chosen
    if missing - met:
        raise ConfigError(
            f"tape {settings.tape} has no vectors of {', '.join(sorted(missing - met))}"
            + (f"; there are some of {', '.join(sorted(met))}" if met else "")
        )
    if not met:
        raise ConfigError(
            f"tape {settings.tape} has no vectors of features"
            + (": has a worker run? without --recorded they are derived" if recorded else "")
        )


def _needs(*modules: str) -> None:
    """ConfigError when one of them is not installed."""
    if missing := [module for module in modules if find_spec(module) is None]:
        raise ConfigError(
            f"this needs {', '.join(missing)}: install Tape with its extra `research`"
        )
