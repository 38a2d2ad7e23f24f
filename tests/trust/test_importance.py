"""What shuffling a column costs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

import fathom
from fathom.schema import Schema
from fathom.trust import importance
from fathom.trust.importance import Importance, importances

ROWS = 600
QUICK = {"measure": False, "baseline": False, "folds": 0, "net": "mlp"}


def cells(seed: int = 0, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Two columns that decide, one of each kind, and as many that say nothing, of which some travel before them."""
    draw = np.random.default_rng(seed)
    days = np.datetime64("2020-01-01") + draw.integers(0, 400, rows)
    columns = {
        "noise": draw.normal(size=rows),
        "day": days.astype("datetime64[D]"),
        "dull": draw.choice(["x", "y", "z"], rows),
        "size": draw.normal(size=rows),
        "colour": draw.choice(["red", "green"], rows),
    }
    return {**columns, "y": 3 * columns["size"] + np.where(columns["colour"] == "red", 2.0, 0.0)}


@pytest.fixture(scope="module")
def run() -> fathom.Run:
    return fathom.fit(cells(), target="y", budget="400steps", **QUICK)


def found_of(run: fathom.Run, columns: dict[str, np.ndarray], **given: int) -> dict[str, Importance]:
    table = run.read(columns).parts["train"]
    ranked, left_out = importances(run.model, table, np.arange(table.num_rows), **given)
    assert left_out == ()
    assert [one.drop for one in ranked] == sorted((one.drop for one in ranked), reverse=True)
    return {one.column: one for one in ranked}


def test_columns_that_decide_come_first_and_noise_holds_zero(run):
    found = found_of(run, cells(1))
    assert list(found)[:2] == ["size", "colour"]
    assert {one.metric for one in found.values()} == {"r2"}
    # Of all the variance, 9 parts in 10 are of size: answering by another row's loses twice as much.
    assert found["size"].drop == pytest.approx(1.8, abs=0.25)
    assert found["colour"].drop == pytest.approx(0.2, abs=0.08)
    for name in ("size", "colour"):
        assert 0 < found[name].low < found[name].drop < found[name].high
    for name in ("noise", "dull", "day"):
        assert abs(found[name].drop) < 0.03
    assert found["noise"].low - 0.01 <= 0 <= found["noise"].high + 0.01


def test_a_column_of_noise_that_the_network_uses_has_an_interval_that_holds_zero(run):
    """The network answers by a column that has nothing to do with the target of these rows."""
    columns = cells(2)
    columns["y"] = np.random.default_rng(3).normal(size=ROWS)
    found = found_of(run, columns)
    assert found["size"].high - found["size"].low > 0.1
    assert found["size"].low < 0 < found["size"].high


def test_the_same_seed_gives_the_same(run):
    assert found_of(run, cells(1), seed=4) == found_of(run, cells(1), seed=4) != found_of(run, cells(1), seed=5)


def test_each_column_alone_is_shuffled_in_the_tensors_of_its_kind(run):
    """The dates, which take several numbers, and a column beside others of its kind."""
    schema, table = run.model.schema, run.read(cells(1)).parts["train"]
    store = schema.encode(table, targets=False)
    for column in schema.of_role("input"):
        shuffled = next(importance._shuffles(schema, table, store, column, np.random.default_rng(7)))
        order = np.random.default_rng(7).permutation(ROWS)
        place = table.column_names.index(column.name)
        expected = schema.encode(table.set_column(place, column.name, table[column.name].take(pa.array(order))))
        for key, tensor in store.tensors.items():
            assert torch.equal(shuffled.tensors[key], expected.tensors[key])
            assert torch.equal(tensor, schema.encode(table, targets=False).tensors[key]), "the rows stay as they were"


def test_columns_beyond_the_most_are_named(run, monkeypatch):
    monkeypatch.setattr(importance, "MOST_COLUMNS", 3)
    table = run.read(cells(1)).parts["train"]
    ranked, left_out = importances(run.model, table, np.arange(ROWS))
    assert {one.column for one in ranked} == {"noise", "day", "dull"}
    assert left_out == ("size", "colour")


def test_pictures_alone_have_none():
    columns = {"x": np.zeros((30, 8, 8), np.uint8), "y": np.array(["a", "b"] * 15)}
    pictures = fathom.fit(columns, target="y", budget="2steps", **{**QUICK, "net": "convnet"})
    table = pictures.read(columns).parts["train"]
    assert isinstance(pictures.model.schema, Schema)
    assert importances(pictures.model, table, np.arange(30)) == ([], ())
