"""What other rows hold that training never saw."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import fathom

ROWS = 120
QUICK: dict[str, Any] = {"budget": "2steps", "measure": False, "baseline": False, "folds": 0, "net": "mlp"}


def cells(rows: int = ROWS, **columns: Any) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    known = {
        "size": draw.normal(size=rows),
        "gap": draw.normal(size=rows),
        "colour": draw.choice(["red", "blue"], rows),
    }
    known["gap"][::5] = np.nan
    return {**known, "zip": draw.choice([7, 8], rows), "y": draw.choice(["a", "b"], rows), **columns}


@pytest.fixture(scope="module")
def run() -> fathom.Run:
    return fathom.fit(cells(), "y", kinds={"zip": "category"}, **QUICK)


def told(run: fathom.Run, given: dict[str, Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.predict(given)
    words = [str(one.message) for one in caught]
    assert tuple(words) == run.read(given).notes
    return words


def test_rows_like_those_of_training_are_told_nothing_of(run):
    assert told(run, cells()) == []


def test_values_of_categories_that_training_never_saw_are_counted_with_one_of_them(run):
    colour = np.array(["red", "green", "green", "pink"] * 3, object)
    colour[4] = None
    assert told(run, cells(12, colour=colour, zip=[7] * 11 + [9])) == [
        "column 'colour': 1 cell is missing, where none was in training",
        "column 'colour': 9 cells hold 2 values that training never saw, as 'green'",
        "column 'zip': 1 cell holds 1 value that training never saw, as '9'",
    ]


def test_missing_cells_are_told_where_training_had_none(run):
    given = cells(10)
    given["size"][:3] = np.nan
    assert told(run, given) == ["column 'size': 3 cells are missing, where none was in training"]


def test_rare_values_that_are_not_told_apart_may_have_been_seen():
    words = [f"w{k}" for k in range(10)] + [f"common{k % 4}" for k in range(ROWS - 10)]
    run = fathom.fit(cells(colour=words), "y", kinds={"colour": {"name": "category", "rare": 5}}, **QUICK)
    found = told(run, cells(2, colour=["common1", "new"]))
    assert found == ["column 'colour': 1 cell holds 1 value that training never or seldom saw, as 'new'"]


def test_of_many_columns_some_are_told():
    many = {f"x{k}": np.zeros(40) + np.arange(40) % (k + 2) for k in range(13)}
    run = fathom.fit({**many, "y": ["a", "b"] * 20}, "y", **QUICK)
    found = told(run, {name: [None, 1.0] for name in many})
    assert (len(found), found[-1]) == (11, "so it is with 3 columns more")
