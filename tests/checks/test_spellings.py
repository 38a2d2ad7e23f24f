"""Categories that are written in several ways."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fathom.checks.spellings import spellings


def test_values_that_differ_in_case_or_outer_blanks_are_counted_in_a_line_for_each_column(look, random):
    sex = np.array(["F"] * 60 + ["M"] * 30 + ["f"] * 6 + [" F"] * 3 + ["m "], object)
    data = {"sex": sex, "town": ["Ulm", "Bonn"] * 50, "x": random.normal(size=100)}
    (found,) = look(data, only="spellings")
    assert (found.severity, found.columns, found.count, found.rows) == ("warning", ("sex",), 10, (90, 91, 92, 93, 94))
    assert found.message == "sex has 2 values in several spellings: 'F' 60, 'f' 6, ' F' 3; 'M' 30, 'm ' 1"
    assert found.remedy == "each is a value of its own; if they mean the same, write them in one way"


def test_labels_are_looked_at_and_what_is_no_input_is_not(look, random):
    data = {"y": ["yes", "no", "No", "no"] * 10, "note": ["A", "a"] * 20, "x": random.normal(size=40)}
    (found,) = look(data, "y", only="spellings", note="ignore")
    assert found.columns == ("y",)


@pytest.mark.parametrize("values", [["F", "M"], ["a b", "ab"], ["1", "1.0"], ["ß", "s"], [None, "none"]])
def test_values_that_differ_otherwise_are_no_finding(look, random, values):
    assert look({"v": values * 20, "x": random.normal(size=40)}, only="spellings") == []


def test_numbers_and_truths_have_no_spellings(examine):
    data = {"a": pa.array([1, 2] * 20), "b": pa.array([True, False] * 20), "c": pa.array(["x", "X"] * 20)}
    assert [found.columns for found in spellings(examine(data))] == [("c",)]


def test_many_are_told_by_the_commonest(look, random):
    values = [f"v{k % 6}" if k % 7 else f"V{k % 6}" for k in range(420)]
    (found,) = look({"v": values, "x": random.normal(size=420)}, only="spellings")
    assert "6 values" in found.message
    assert found.message.endswith("; and 3 more")
    assert "\n" not in found.message
