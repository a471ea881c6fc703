"""The report of a selection: one HTML file that needs nothing but itself."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram

from tape.selection.frame import Array
from tape.selection.selection import Selection

_KEPT, _OTHER, _SHADOW = "#0b6e4f", "#9aa5b1", "#c0392b"
_ROW = 0.18
"""Height of a line of text in a plot, in inches."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 1100px;
       margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0 }
td, th { padding: 2px 10px; border-bottom: 1px solid #e4e7eb; text-align: left;
         vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
tr.kept td:first-child { color: #0b6e4f; font-weight: 600 }
svg { max-width: 100%; height: auto }
"""


def write(selection: Selection, path: str | Path) -> None:
    """Write the report; the same selection gives the same bytes."""
    Path(path).write_text(render(selection), encoding="utf-8")


def render(selection: Selection) -> str:
    """The report as HTML with its plots inside."""
    sections = (
        ("Result", _result(selection)),
        ("Clusters", _text(_CLUSTERS) + _plot(_tree, selection) + _plot(_matrix, selection)),
        (
            "Importance",
            _text(_IMPORTANCE) + _plot(_cluster_bars, selection) + _plot(_column_bars, selection),
        ),
        ("Drift", _text(_DRIFT) + _plot(_drift, selection)),
        ("Figures", _cluster_table(selection) + _column_table(selection)),
        ("Left out", _dropped_table(selection)),
        ("Parameters", _parameters(selection)),
    )
    body = "".join(f"<h2>{title}</h2>\n{content}\n" for title, content in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Selection {selection.id}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>Selection {selection.id}</h1>\n{body}</body></html>\n"
    )


_CLUSTERS = """Average linkage of 1 − |Spearman correlation| within symbols; what joins right of the
dashed line is one cluster, of which at most one column is kept."""
_IMPORTANCE = """What models lose out of sample when a cluster or column is shuffled, as a share of
the label's variance: mean and standard deviation over the models of all resamples and folds. Red:
the shadow of the cluster, the same columns moved round in time. A cluster is kept if it beats
every shadow in the share of resamples that the dashed line shows. A column with a near twin in
its cluster loses little alone."""
_DRIFT = """Population stability index of each period (of equally many rows) against the first. By
custom, below 0.1 is stable and above 0.25 is not; a slow feature moves in any short frame."""


def _result(selection: Selection) -> str:
    stable = len(selection.features)
    names = ", ".join(f"<b>{escape(name)}</b>" for name in selection.features) or "none"
    lines = [
        f"Kept {stable} of {len(selection.columns) + len(selection.dropped)} columns: {names}.",
        f"Models explained {selection.score_mean:.2%} (± {selection.score_std:.2%}) of the "
        "label's variance out of sample.",
    ]
    if selection.score_mean <= 0:
        lines.append("<b>On average they explained nothing</b>: read what was kept with care.")
    lines.append(
        f"{selection.samples:,} samples of {selection.rows:,} rows, "
        f"{_when(selection.first_time)} to {_when(selection.last_time)}; "
        f"{escape(', '.join(selection.symbols))}."
    )
    return "".join(f"<p>{line}</p>" for line in lines)


def _plot(draw: Callable[[Selection], Figure], selection: Selection) -> str:
    # Text stays text; the salt and the missing date make the same figure the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tape", "font.size": 8}):
        figure = draw(selection)
        out = StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _figure(lines: int, width: float = 9.0) -> Figure:
    return Figure(figsize=(width, 1.0 + _ROW * lines), layout="constrained")


def _tree(selection: Selection) -> Figure:
    figure = _figure(len(selection.columns))
    axes = figure.add_subplot()
    if len(selection.columns) > 1:
        dendrogram(
            selection.found.tree,
            orientation="left",
            labels=[column.name for column in selection.columns],
            color_threshold=0,
            above_threshold_color="#52606d",
            leaf_font_size=8,
            ax=axes,
        )
    cut = 1 - selection.options.correlation
    axes.axvline(cut, color=_SHADOW, linestyle="--", linewidth=1)
    axes.set_xlabel("1 − |rank correlation|")
    return figure


def _matrix(selection: Selection) -> Figure:
    names = [column.name for column in selection.columns]
    by_cluster = sorted(range(len(names)), key=lambda at: selection.columns[at].cluster)
    figure = _figure(len(names))
    axes = figure.add_subplot()
    found = selection.found.correlation[np.ix_(by_cluster, by_cluster)]
    image = axes.imshow(found, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks([])  # in the order of the rows
    axes.set_yticks(range(len(names)), [names[at] for at in by_cluster])
    figure.colorbar(image, ax=axes, label="rank correlation")
    return figure


def _cluster_bars(selection: Selection) -> Figure:
    clusters = sorted(selection.clusters, key=lambda cluster: cluster.importance_mean)
    figure = _figure(len(clusters))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    at = range(len(clusters))
    colors = [_KEPT if cluster.kept else _OTHER for cluster in clusters]
    _bars(
        left,
        [_short(cluster.members) for cluster in clusters],
        [cluster.importance_mean for cluster in clusters],
        [cluster.importance_std for cluster in clusters],
        colors,
    )
    left.plot([cluster.shadow_mean for cluster in clusters], at, "|", color=_SHADOW)
    left.set_xlabel("importance of the cluster")
    right.barh(at, [cluster.stability for cluster in clusters], color=colors)
    right.axvline(selection.options.stability, color=_SHADOW, linestyle="--", linewidth=1)
    right.set(xlabel="stability", xlim=(0, 1))
    return figure


def _column_bars(selection: Selection) -> Figure:
    columns = sorted(selection.columns, key=lambda column: column.importance_mean)
    figure = _figure(len(columns))
    axes = figure.add_subplot()
    _bars(
        axes,
        [column.name for column in columns],
        [column.importance_mean for column in columns],
        [column.importance_std for column in columns],
        [_KEPT if column.kept else _OTHER for column in columns],
    )
    axes.set_xlabel("importance of the column alone")
    return figure


def _bars(
    axes: mpl.axes.Axes,
    names: Sequence[str],
    means: Sequence[float],
    spreads: Sequence[float],
    colors: Sequence[str],
) -> None:
    axes.barh(range(len(names)), means, xerr=spreads, color=colors, ecolor="#52606d")
    axes.axvline(0, color="#1f2933", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.margins(y=0.01)


def _drift(selection: Selection) -> Figure:
    index: Array = np.array([column.psi for column in selection.columns])
    figure = _figure(len(index))
    axes = figure.add_subplot()
    image = axes.imshow(index, cmap="YlOrRd", vmin=0, vmax=0.5, aspect="auto")
    axes.set_yticks(range(len(index)), [column.name for column in selection.columns])
    axes.set_xticks(range(index.shape[1]), [str(at + 2) for at in range(index.shape[1])])
    axes.set_xlabel("period, against the first")
    figure.colorbar(image, ax=axes, label="population stability index", extend="max")
    return figure


def _cluster_table(selection: Selection) -> str:
    rows = [
        (
            cluster.kept,
            (
                ", ".join(cluster.members),
                cluster.importance_mean,
                cluster.importance_std,
                cluster.shadow_mean,
                cluster.stability,
            ),
        )
        for cluster in sorted(selection.clusters, key=lambda cluster: -cluster.importance_mean)
    ]
    return _table(("cluster", "importance", "±", "its shadow", "stability"), rows)


def _column_table(selection: Selection) -> str:
    rows = [
        (
            column.kept,
            (
                column.name,
                column.cluster,
                column.importance_mean,
                column.importance_std,
                max(column.psi),
            ),
        )
        for column in sorted(selection.columns, key=lambda column: -column.importance_mean)
    ]
    return _table(("column", "cluster", "importance", "±", "largest PSI"), rows)


def _dropped_table(selection: Selection) -> str:
    if not selection.dropped:
        return _text("Nothing: no column was empty, constant or a duplicate.")
    return _table(("column", "why"), [(False, pair) for pair in selection.dropped.items()])


def _parameters(selection: Selection) -> str:
    options = selection.options
    given = {name: getattr(options, name) for name in options.__dataclass_fields__}
    rows = {
        **{name: str(value) for name, value in given.items() if name != "jobs"},
        "feature set": selection.feature_set or "not said by the frame",
        "data hash": selection.data_hash,
    }
    return _table(("parameter", "value"), [(False, pair) for pair in rows.items()])


def _table(head: Sequence[str], rows: Iterable[tuple[bool, tuple[str | int | float, ...]]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for kept, cells in rows:
        mark = ' class="kept"' if kept else ""
        lines.append(f"<tr{mark}>" + "".join(map(_cell, cells)) + "</tr>")
    return "<table>" + "\n".join(lines) + "</table>"


def _cell(value: str | int | float) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return f'<td class="number">{text}</td>'


def _text(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _short(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} + {len(names) - 1}"


def _when(time: int) -> str:
    return datetime.fromtimestamp(time / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
