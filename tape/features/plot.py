"""A picture of features over the price, as one HTML file that needs nothing else."""

from html import escape
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates as mdates
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from processors.features import feature_set
from schemas.errors import ConfigError

_WIDTH, _HEIGHT = 12.0, 2.2
_MOST_POINTS = 4_000
_STYLE = "font-family: sans-serif; max-width: 1200px; margin: 2em auto"


def write(frame: pa.Table, symbol: str, features: list[str], path: Path) -> None:
    """Draw one symbol's price and below it each feature, on one axis of time.

    ConfigError for a symbol or feature that the frame has not.
    """
    doubles = {field.name for field in frame.schema if pa.types.is_floating(field.type)}
    for name in features:
        if name not in doubles:
            raise ConfigError(f"there is no feature {name!r}: `tape features list` names them")
    if absent := {"event_time", "symbol", "price"} - set(frame.column_names):
        raise ConfigError(f"the frame has no column {', '.join(sorted(absent))}")
    symbols = frame["symbol"].unique().to_pylist()
    if symbol not in symbols:
        raise ConfigError(f"no vectors of {symbol}; there are some of {', '.join(sorted(symbols))}")
    rows = frame.filter(pc.equal(frame["symbol"], symbol)).sort_by("event_time")
    of_all = len(rows)
    every = max(1, len(rows) // _MOST_POINTS)
    rows = rows.take(list(range(0, len(rows), every)))
    times = rows["event_time"].to_numpy().astype("datetime64[us]")
    entries = {each.name: each for each in feature_set.FEATURES}
    figure = Figure(figsize=(_WIDTH, _HEIGHT * (1 + len(features))), layout="constrained")
    panels = figure.subplots(1 + len(features), 1, sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, ["price", *features], strict=True):
        panel.plot(times, rows[name].to_numpy(zero_copy_only=False), linewidth=0.9)
        unit = entries[name].unit if name in entries else "quote"
        panel.set_ylabel(f"{name}\n({unit})", fontsize=8)
        panel.grid(alpha=0.3)
        panel.tick_params(labelsize=8)
    panels[-1].xaxis.set_major_formatter(mdates.ConciseDateFormatter(mdates.AutoDateLocator()))
    text = StringIO()
    # Ids within the picture are of a hash that is random unless it is given: the same bytes.
    with mpl.rc_context({"svg.hashsalt": "tape"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    lines = [
        f"<li><b>{escape(name)}</b>: {escape(entries[name].formula)} "
        f"({escape(entries[name].source)})</li>"
        for name in features
        if name in entries
    ]
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>{escape(symbol)}</title>"
        f'<body style="{_STYLE}"><h1>{escape(symbol)}</h1><p>{of_all:,} vectors'
        f"{f', one of {every} drawn' if every > 1 else ''}; times UTC.</p>"
        f"{text.getvalue()[text.getvalue().index('<svg') :]}<ul>{''.join(lines)}</ul>",
        encoding="utf-8",
    )
