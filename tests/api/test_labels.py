"""Labels of test rows that differ from training's by case, blanks or a full stop are matched, and it is said."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import fathom
from fathom.api.labels import matched

KNOWN = {"y": ["<=50K", ">50K"]}


@pytest.mark.parametrize("label", ["<=50K.", "<=50k", " <=50K", "<=50K  .", "<=50K"])
def test_a_label_that_differs_in_form_is_matched(label: str):
    table, notes = matched(pa.table({"y": [label, ">50K", None]}), KNOWN)
    assert table["y"].to_pylist() == ["<=50K", ">50K", None]
    assert bool(notes) == (label != "<=50K")
    if notes:
        assert notes == (f"labels of 'y' are read as training has them: {label!r} as '<=50K'",)


def test_a_label_of_another_meaning_stays():
    table, notes = matched(pa.table({"y": ["<50K", "other"]}), KNOWN)
    assert (table["y"].to_pylist(), notes) == (["<50K", "other"], ())


def test_a_label_that_two_could_be_stays():
    assert matched(pa.table({"y": ["YES"]}), {"y": ["Yes", "yes"]})[0]["y"].to_pylist() == ["YES"]


def test_columns_that_are_not_there_or_hold_no_words_stay():
    table = pa.table({"x": [1], "n": [2]})
    assert matched(table, {"y": ["a"], "n": ["2"]}) == (table, ())


def test_the_labels_of_adults_test_file_are_those_of_its_training_file(data_directory: Path):
    folder = data_directory / "tabular"
    said: list[str] = []
    options = {"net": "linear", "budget": "20steps", "baseline": False, "say": said.append}
    run = fathom.fit(folder / "adult_train.csv", "income", test=folder / "adult_test.csv", **options)
    assert run.rows == 16_281
    assert run.metrics["income"]["accuracy"].value > 0.7
    assert any("'<=50K.' as '<=50K'" in line for line in said)
    assert run.evaluate(folder / "adult_test.csv")["income"]["accuracy"].value > 0.7
