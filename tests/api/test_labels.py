"""Labels of test rows that differ from training's by case, blanks or a full stop are matched, and it is said.

So are words of other columns that differ by blanks around them.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import fathom
from fathom.api.labels import matched, unpadded

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


def test_words_lose_the_blanks_around_them_and_marks_of_missing_are_missing():
    table = unpadded(pa.table({"c": [" a", "a", " ?", " new ", "", " gone", None]}), {"c": ["a"]}, ["gone"])
    assert table["c"].to_pylist() == ["a", "a", None, "new", None, None, None]


def test_a_word_that_training_had_as_it_stands_stays():
    assert unpadded(pa.table({"c": [" a", "?"]}), {"c": [" a", "?"]})["c"].to_pylist() == [" a", "?"]


def test_a_code_that_was_a_word_in_training_is_no_number_later(tmp_path: Path):
    (tmp_path / "train.csv").write_text("c, y\n" + "007, 1\nx1, 2\n" * 40)
    (tmp_path / "later.csv").write_text("c, y\n" + "007, 1\n" * 3)
    run = fathom.fit(tmp_path / "train.csv", "y", net="linear", budget="5steps", baseline=False)
    assert run.read(tmp_path / "later.csv").parts["train"]["c"].to_pylist() == ["007"] * 3


def test_the_labels_of_adults_test_file_are_those_of_its_training_file(data_directory: Path):
    folder = data_directory / "tabular"
    said: list[str] = []
    options = {"net": "linear", "budget": "20steps", "baseline": False, "say": said.append}
    run = fathom.fit(folder / "adult_train.csv", "income", test=folder / "adult_test.csv", **options)
    assert run.rows == 16_281
    assert run.metrics["income"]["accuracy"].value > 0.7
    assert any("'<=50K.' as '<=50K'" in line for line in said)
    assert run.evaluate(folder / "adult_test.csv") == {"income": run.metrics["income"]}
