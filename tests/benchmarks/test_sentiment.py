"""The figure `sentiment`: its measures, and the labels that come with it."""

import csv
import re
from collections import Counter

import pytest

from benchmarks import sentiment
from benchmarks.sentiment import CLASSES, measures
from tests.data import shared_data


def test_measures_are_those_of_the_confusion() -> None:
    labels = ["positive"] * 6 + ["neutral"] * 2 + ["negative"] * 2
    classes = ["positive"] * 3 + ["neutral"] * 3 + ["neutral"] * 2 + ["negative", "positive"]
    found = {name: values[1] for name, values in measures(labels, classes).items()}
    # F1: positive 2·3/(6+4), neutral 2·2/(2+5), negative 2·1/(2+1). Recall: 1/2, 1, 1/2.
    assert found == {
        "accuracy": 0.6,
        "macro_f1": round((0.6 + 4 / 7 + 2 / 3) / 3, 3),
        "balanced_accuracy": round(2 / 3, 3),
    }


def test_spread_is_around_the_measure_and_the_same_each_time() -> None:
    labels, classes = list(CLASSES) * 40, ["positive", "neutral", "negative", "neutral"] * 30
    first = measures(labels, classes)
    assert first == measures(labels, classes)
    assert all(low < value < high for low, value, high in first.values())
    always = measures(labels, labels)
    assert all(values == [1.0, 1.0, 1.0] for values in always.values())


def test_our_labels_name_headlines_by_hash_and_repeat_no_title() -> None:
    with sentiment.LABELS.open() as file:
        rows = list(csv.DictReader(file))
    ids = {row["title_sha256"] for row in rows}
    assert len(ids) == len(rows) == 400
    assert all(re.fullmatch("[0-9a-f]{12}", one) for one in ids)
    assert {row["label"] for row in rows} == set(CLASSES)
    assert Counter(row["part"] for row in rows) == {"development": 240, "held": 160}


def test_our_labels_are_of_recorded_headlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPE_SHARED_DATA", str(shared_data()))
    there = {headline.id for headline in sentiment._headlines()}
    with sentiment.LABELS.open() as file:
        assert {row["title_sha256"] for row in csv.DictReader(file)} <= there
