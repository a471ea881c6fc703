"""`sentiment`: headlines scored, in macro-F1 against labels; the peer is VADER.

Labels of two kinds. Those of the recorded headlines, `data_set`, which a program made: how far
they are TextBlob's polarity of the *text* is measured here too. And `read_by_author`: classes that
the word list's author, a language model, gave to 400 of the same titles, reading only the title,
before any score of it was seen; 240 of them were looked at while the word list was written
(`development`), 160 after it was finished (`held`).

A score above 0.05 is positive, below -0.05 negative, as is usual with VADER. Ours and peer are
the macro-F1 on the data set's labels by title; their spread is the 95 % interval of a bootstrap.
"""

import ast
import csv
import gzip
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, compare, isolated, versions
from schemas.errors import ConfigError
from venues.sentiment import method, scorer

CLASSES = ("negative", "neutral", "positive")
LABELS = Path(__file__).with_name("sentiment_labels.csv")
_THRESHOLD = 0.05
_RESAMPLES = 1_000
_TEXTBLOB = "textblob==0.19.0"

Score = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Headline:
    """One row of the recorded headlines, with its label."""

    title: str
    text: str
    label: str
    polarity: float

    @property
    def id(self) -> str:
        """The title's hash: how our own labels name it without repeating it."""
        return hashlib.sha256(self.title.encode()).hexdigest()[:12]


def run() -> Result:
    """Measure on the data set's labels and on the author's."""
    headlines = _headlines()
    ours = scorer()
    methods: dict[str, Score] = {
        method(ours): lambda text: ours.score(text, None),
        "vader": _vader(),
    }
    labels = [headline.label for headline in headlines]
    data_set = {
        name: _table(labels, [choose(one) for one in headlines], methods)
        for name, choose in {"title": _title, "text": _text}.items()
    }
    figures = data_set["title"]
    return compare(
        "sentiment", "macro-F1",
        figures[method(ours)]["macro_f1"], figures["vader"]["macro_f1"],
        versions("vadersentiment"), headlines=len(headlines),
        labels_are_textblob=_textblob(headlines), data_set=data_set,
        read_by_author=_read_by_author(headlines, methods),
        headlines_per_s={name: _speed(score, headlines) for name, score in methods.items()},
    )  # fmt: skip


def measures(labels: Sequence[str], classes: Sequence[str]) -> dict[str, list[float]]:
    """Accuracy, macro-F1 and balanced accuracy, each as [2.5 %, all, 97.5 %] of a bootstrap."""
    truth = np.array([CLASSES.index(label) for label in labels])
    found = np.array([CLASSES.index(name) for name in classes])
    cells = truth * 3 + found
    draws = np.random.default_rng(1).integers(0, len(cells), (_RESAMPLES, len(cells)))
    samples = np.array([_confusion(cells[draw]) for draw in draws])
    whole = _of(_confusion(cells)[None])
    spread = {name: np.quantile(values, [0.025, 0.975]) for name, values in _of(samples).items()}
    return {
        name: [round(float(value), 3) for value in (low, whole[name][0], high)]
        for name, (low, high) in spread.items()
    }


def _confusion(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(cells, minlength=9).reshape(3, 3)


def _of(confusions: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Of (n, truth, found) counts; a class that neither has counts as 0."""
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    there, told = confusions.sum(axis=2), confusions.sum(axis=1)
    f1 = 2 * hits / np.maximum(there + told, 1)
    return {
        "accuracy": hits.sum(axis=1) / confusions.sum(axis=(1, 2)),
        "macro_f1": f1.mean(axis=1),
        "balanced_accuracy": (hits / np.maximum(there, 1)).mean(axis=1),
    }


def _table(
    labels: Sequence[str], texts: Sequence[str], methods: dict[str, Score]
) -> dict[str, dict[str, list[float]]]:
    most = max(CLASSES, key=list(labels).count)
    table = {"majority": measures(labels, [most] * len(labels))}
    for name, score in methods.items():
        table[name] = measures(labels, [_class(score(text)) for text in texts])
    return table


def _read_by_author(headlines: Sequence[Headline], methods: dict[str, Score]) -> dict[str, Any]:
    by_id = {headline.id: headline for headline in headlines}
    with LABELS.open() as file:
        rows = list(csv.DictReader(file))
    tables = {}
    for part in ("development", "held"):
        ours = [row for row in rows if row["part"] == part]
        found = [by_id[row["title_sha256"]] for row in ours]
        labels = [row["label"] for row in ours]
        tables[part] = _table(labels, [one.title for one in found], methods)
        tables[part]["the data set's own labels"] = measures(labels, [one.label for one in found])
    return tables


def _class(score: float) -> str:
    return CLASSES[1 + (score > _THRESHOLD) - (score < -_THRESHOLD)]


def _title(headline: Headline) -> str:
    return headline.title


def _text(headline: Headline) -> str:
    return headline.text


def _headlines() -> list[Headline]:
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TAPE_SHARED_DATA", root)) / "news"
    path = folder / "cryptonews_oldest60.csv.gz"
    if not path.is_file():
        raise ConfigError(f"{path}: the labelled headlines are not here: set TAPE_SHARED_DATA")
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        rows = [
            (row, ast.literal_eval(row["sentiment"])) for row in csv.DictReader(file, delimiter=";")
        ]
    return [
        Headline(row["title"], row["text"], label["class"], float(label["polarity"]))
        for row, label in rows
    ]


def _vader() -> Score:
    try:
        from vaderSentiment.vaderSentiment import (  # noqa: PLC0415 # of the development group
            SentimentIntensityAnalyzer,
        )
    except ImportError:
        raise ConfigError("the peer is not installed: `uv sync` brings vadersentiment") from None
    analyzer = SentimentIntensityAnalyzer()
    return lambda text: float(analyzer.polarity_scores(text)["compound"])


def _textblob(headlines: Sequence[Headline]) -> dict[str, dict[str, float]]:
    """How many labels are what TextBlob says, of the title and of the text."""
    rows = [(one.label, one.polarity, one.title, one.text) for one in headlines]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "headlines.json"
        path.write_text(json.dumps(rows))
        script = Path(__file__).with_name("_sentiment_textblob.py")
        return isolated(script, _TEXTBLOB, str(path))


def _speed(score: Score, headlines: Sequence[Headline]) -> int:
    """Titles a second of processor time."""
    begin = time.process_time()
    for headline in headlines:
        score(headline.title)
    return round(len(headlines) / (time.process_time() - begin))
