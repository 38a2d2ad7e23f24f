"""Columns of any name: they are fitted, saved, loaded and predicted, as inputs and as targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import fathom
from fathom.schema import Schema

ROWS = 40
NAMES = (
    "weight (kg)",
    "T (degC)",
    "a.b",
    "100%",
    "größe",
    "x/y",
    "target/label",
    "input/x",
    "pack/number",
    "pack/category",
    "size/input/x",
    "x/size",
    "entered/pack/number",
    "unseen/target/y",
    "weight",
    "sample",
    "rows",
    "row",
    "class",
    "import",
    "None",
    "__class__",
    "__dict__",
    "forward",
    "heads.0.output",
    "probability",
    "a  b",
    "tab\tinside",
    "line\nbreak",
    "'quoted' \"twice\"",
    "a=b",
    "a,b",
    "[kinds]",
    "$HOME; rm -rf ~",
    "../up",
    "\\",
    "-",
    "名前",
    "😀",
    "e\u0301",
    "x" * 300,
)
COLLIDING = (("a b", "a_b", "a-b"), ("größe", "GRÖSSE", "grösse"), ("é", "e\u0301"), ("y", "y probability a", "Y"))


def cells(kind: str, seed: int = 0) -> Any:
    draw = np.random.default_rng(seed)
    if kind == "number":
        return draw.normal(0, 1, ROWS)
    if kind == "category":
        return draw.choice(["a", "b"], ROWS)
    if kind == "image":
        return draw.integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)
    return [list(draw.choice(["a", "b", "c"], draw.integers(0, 3), replace=False)) for _ in range(ROWS)]


def trained(columns: dict[str, Any], target: Any, place: Path) -> tuple[fathom.Run, pa.Table]:
    """A run that was saved and loaded, and what it predicts; the same is predicted before and after."""
    run = fathom.fit(columns, target, out=place, budget="2steps", measure=False, baseline=False)
    loaded = fathom.load(place)
    answers = loaded.predict(columns)
    assert answers.equals(run.predict(columns))
    return loaded, answers


@pytest.mark.parametrize("kind", ["number", "category", "multilabel"])
def test_columns_of_any_name_are_inputs(kind, tmp_path):
    inputs = {name: cells(kind, seed) for seed, name in enumerate(NAMES)}
    columns = {"x": cells("image"), **inputs, "y": cells("category", 99)}
    run, answers = trained(columns, "y", tmp_path / "run")
    assert answers.column_names == ["y", "y probability a", "y probability b"]
    assert [column.name for column in run.model.schema.columns if column.role == "input"] == ["x", *NAMES]


@pytest.mark.parametrize(("kind", "beside"), [("number", 0), ("category", 2), ("multilabel", 3)])
def test_columns_of_any_name_are_targets(kind, beside, tmp_path):
    targets = {name: cells(kind, seed) for seed, name in enumerate(NAMES)}
    _, answers = trained({"x": cells("image"), **targets}, list(NAMES), tmp_path / "run")
    assert answers.column_names[:: 1 + beside] == list(NAMES)


@pytest.mark.parametrize("names", COLLIDING, ids=str)
def test_names_that_differ_by_a_sign_stay_apart(names, tmp_path):
    inputs = {name: cells("number", seed) for seed, name in enumerate(names)}
    run, _ = trained({**inputs, "target": cells("category", 9)}, "target", tmp_path / "inputs")
    assert [column.name for column in run.model.schema.columns][:-1] == list(names)
    targets = {name: cells("category", seed) for seed, name in enumerate(names)}
    _, answers = trained({"input": cells("number", 9), **targets}, list(names), tmp_path / "targets")
    assert len(answers.column_names) == 3 * len(names)
    assert set(names) <= set(answers.column_names)


@pytest.mark.parametrize("name", ["pack/number", "pack/category", "input/x", "x/size", "weight", "a.b"])
def test_without_a_target_each_column_is_rebuilt_under_its_name(name, tmp_path):
    columns = {
        "x": cells("multilabel"),
        "colour": cells("category", 1),
        "size": cells("number", 3),
        name: cells("number"),
    }
    _, answers = trained(columns, "none", tmp_path / "run")
    assert set(answers.column_names) == set(columns)


def test_what_travels_beside_a_picture_is_not_taken_for_a_column():
    columns = {
        "x": cells("image"),
        "x/size": cells("image", 1),
        "size/input/x": cells("multilabel"),
        "y": cells("number"),
    }
    table = fathom.read(columns).parts["train"]
    schema = Schema.infer(table, ["y"]).fit(table)
    assert len(schema.encode(table).tensors) == 2 * 2 + 1 + 1  # each picture and its size, the labels, the target
