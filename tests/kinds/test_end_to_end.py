"""Dates, sets of labels, vectors and rare categories, from a table to the scores of a loaded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import fathom

ROWS = 600
LABELS = np.array(["north", "south", "east", "west"])


def table() -> pa.Table:
    """A vector that tells the labels, and days of ten years of which the season tells the warmth."""
    draw = np.random.default_rng(0)
    vector = draw.normal(0, 1, (ROWS, 6))
    held = [LABELS[row > 0.3].tolist() for row in vector[:, :4]]
    day = np.datetime64("2010-01-01") + draw.integers(0, 3650, ROWS).astype("timedelta64[D]")
    season = np.cos(2 * np.pi * (day - day.astype("datetime64[Y]")).astype(int) / 365)
    columns = {
        "spectrum": pa.FixedSizeListArray.from_arrays(pa.array(vector.ravel()), 6),
        "held": pa.array([None if row % 50 == 0 else labels for row, labels in enumerate(held)]),
        "written": pa.array([";".join(labels) or None for labels in held]),
        "day": pa.array([None if row % 40 == 0 else str(value) for row, value in enumerate(day)]),
        "taken": pa.array(day.astype("datetime64[s]") + draw.integers(0, 86_400, ROWS).astype("timedelta64[s]")),
        "warmth": pa.array(season + draw.normal(0, 0.1, ROWS)),
    }
    return pa.table(columns)


def fitted(rows: pa.Table, target: str, place: Path) -> tuple[fathom.Run, pa.Table]:
    """The run as it is loaded, and what it predicts, which is what it predicted before."""
    run = fathom.fit(rows, target, out=place, budget="200steps", measure=False)
    loaded = fathom.load(place)
    answers = loaded.predict(rows)
    assert answers.equals(run.predict(rows))
    return loaded, answers


@pytest.mark.parametrize(("target", "source"), [("held", "spectrum"), ("written", "spectrum")])
def test_sets_of_labels_are_predicted_from_a_vector(target, source, tmp_path):
    run, answers = fitted(table().select([source, target]), target, tmp_path / "run")
    scores = run.metrics[target]
    assert scores["micro_f1"].value > 0.85
    assert scores["micro_f1"].value > scores["micro_f1"].trivial
    assert answers[target].type == table()[target].type
    assert answers.column_names[1:] == [f"{target} probability {label}" for label in sorted(LABELS)]


def test_the_season_of_a_date_is_learned(tmp_path):
    run, _ = fitted(table().select(["day", "warmth"]), "warmth", tmp_path / "run")
    assert run.metrics["warmth"]["r2"].value > 0.9


@pytest.mark.parametrize("target", ["day", "taken"])
def test_a_moment_is_predicted_from_another(target, tmp_path):
    run, answers = fitted(table().select(["day", "taken"]), target, tmp_path / "run")
    assert run.metrics[target]["r2"].value > 0.9
    assert pa.types.is_date(answers[target].type) if target == "day" else pa.types.is_timestamp(answers[target].type)


def test_a_vector_is_predicted_whole(tmp_path):
    run, answers = fitted(table().select(["held", "spectrum"]), "spectrum", tmp_path / "run")
    assert run.metrics["spectrum"]["r2"].value > 0.2
    assert answers["spectrum"].type == pa.list_(pa.float64(), 6)


def test_without_a_target_all_of_them_are_rebuilt(tmp_path):
    run, answers = fitted(table(), "none", tmp_path / "run")
    assert set(answers.column_names) == set(table().column_names)
    assert set(run.metrics) == {"pack/number", "pack/datetime", "input/spectrum", "input/held", "input/written"}
    for key, metric in {"pack/datetime": "r2", "input/spectrum": "r2", "input/held": "micro_f1"}.items():
        assert run.metrics[key][metric].value > 0.8


@pytest.mark.filterwarnings("ignore:column .*training never")
def test_many_strings_are_learned_from_with_the_rare_ones_as_other(tmp_path):
    draw = np.random.default_rng(0)
    place = np.where(draw.random(2000) < 0.9, draw.integers(0, 80, 2000), draw.integers(1000, 2000, 2000))
    rows = pa.table({"zip": [f"z{code}" for code in place], "y": draw.normal(0, 0.1, 2000) + place % 2})
    said: list[str] = []
    run = fathom.fit(rows, "y", budget="200steps", measure=False, out=tmp_path / "run", say=said.append)
    assert "of them in fewer than 5 rows: other" in " ".join(" ".join(said).split())
    assert run.metrics["y"]["r2"].value > 0.6
    new = fathom.load(tmp_path / "run").predict(pa.table({"zip": ["z1", "z2", "never seen", "z999999"]}))["y"]
    assert new[0].as_py() > 0.8
    assert new[1].as_py() < 0.2
    assert new[2] == new[3]
