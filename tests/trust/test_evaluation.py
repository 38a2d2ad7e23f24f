"""An evaluation of whole runs: every form of target, dirty rows, hostile cells, and what stays private."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import fathom
from fathom.errors import SchemaError
from fathom.trust.evaluation import Evaluation, evaluated

ROWS = 200
QUICK = {"budget": "60steps", "measure": False, "baseline": True, "folds": 0, "net": "mlp"}
HOSTILE = ("<script>alert(1)</script>", "\x1b[2J\nline", "=cmd()", "a" * 500, "{{7*7}}")


def cells(seed: int = 0, rows: int = ROWS) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    x, sex = draw.normal(size=rows), draw.choice(["f", "m"], rows)
    odds = x + (sex == "f")
    return {
        "x": x,
        "sex": sex,
        "kind": np.where(odds > 0.5, "big", np.where(odds > -0.5, "middle", "small")),
        "paid": np.where(odds + draw.normal(0, 0.5, rows) > 0, "yes", "no"),
        "price": 100 + 10 * odds + draw.normal(0, 1, rows),
        "tags": [["a"] * int(value > 0) + ["b"] * int(value > 1) for value in odds],
        "note": [HOSTILE[k % len(HOSTILE)] + f" {k}" for k in range(rows)],
    }


def fitted(*targets: str, **given: Any) -> fathom.Run:
    others = {name: "ignore" for name in ("kind", "paid", "price", "tags", "note") if name not in targets}
    return fathom.fit(cells(), target=list(targets), roles={**others, **given.pop("roles", {})}, **{**QUICK, **given})


def plain(evaluation: Evaluation) -> dict[str, Any]:
    """As JSON has it, with no number that JSON does not know."""
    found: dict[str, Any] = json.loads(json.dumps(evaluation.plain(), allow_nan=False))
    return found


@pytest.fixture(scope="module")
def paid() -> fathom.Run:
    return fitted("paid")


def test_two_classes_have_all_that_the_form_has(paid):
    found = plain(paid.evaluation(cells(1)))
    assert found["rows"] == ROWS
    target = found["targets"]["paid"]
    assert list(target) == [
        *("kind", "metrics", "classes", "confusion", "operating_points", "curves", "slices", "mistakes"),
    ]
    assert target["kind"] == "category"
    assert next(iter(target["metrics"])) == "accuracy"
    assert {"value", "low", "high", "linear", "trivial"} == set(target["metrics"]["auc_pr"])
    assert [one["class"] for one in target["classes"]] == ["no", "yes"]
    assert set(target["curves"]) == {"roc", "precision_recall", "calibration"}
    assert {one["column"] for one in found["importance"]} == {"x", "sex"}
    assert found["importance"][0]["column"] == "x"


def test_the_scores_are_those_of_evaluate(paid):
    scores = paid.evaluate(cells(1))
    assert paid.evaluation(cells(1)).scores == scores


@pytest.mark.parametrize(
    ("target", "given", "keys"),
    [
        ("kind", {}, {"classes", "confusion", "curves"}),
        ("price", {}, {"residuals"}),
        ("price", {"head": "quantiles"}, {"residuals"}),
        ("tags", {}, {"classes", "curves"}),
    ],
)
def test_other_forms_have_what_they_have(target, given, keys):
    found = plain(fitted(target, **given).evaluation(cells(1)))["targets"][target]
    assert set(found) == {"kind", "metrics", "slices", "mistakes", *keys}
    assert len(found["mistakes"]) <= 12
    assert [set(one) for one in found["mistakes"][:1]] == [
        {"row", "truth", "prediction", "probability", "error", "chrf", "cells", "pictures"}
    ]
    assert ("roc" in found.get("curves", {})) is False
    if target == "price":
        assert "mape" in found["metrics"]
        assert len(found["residuals"]["truth"]) == ROWS
    if target == "tags":
        assert [one["class"] for one in found["classes"]] == ["a", "b"]


def test_several_targets_share_the_list_of_columns():
    found = plain(fitted("paid", "price").evaluation(cells(1)))
    assert list(found["targets"]) == ["paid", "price"]
    assert {(one["column"], one["metric"]) for one in found["importance"]} == {
        (column, metric) for column in ("x", "sex") for metric in ("accuracy", "r2")
    }


def test_without_a_target_there_are_metrics_only():
    run = fathom.fit({key: cells()[key] for key in ("x", "sex")}, target="none", **QUICK)
    found = plain(run.evaluation(cells(1)))
    assert {target["kind"] for target in found["targets"].values()} == {"number", "category"}
    assert all(set(target) == {"kind", "metrics", "slices", "mistakes"} for target in found["targets"].values())
    assert found["importance"] == []


def test_mistakes_are_the_rows_whose_truth_was_given_least(paid):
    columns = cells(1)
    answers = paid.predict(columns)
    given = np.where(columns["paid"] == "yes", answers["paid probability yes"], answers["paid probability no"])
    wrong = np.flatnonzero(np.asarray(answers["paid"].to_pylist()) != columns["paid"])
    expected = wrong[np.argsort(given[wrong], kind="stable")][:12]
    found = paid.evaluation(columns).targets["paid"].mistakes
    assert [one.row for one in found] == expected.tolist()
    first = found[0]
    assert (first.truth, first.prediction) == (columns["paid"][expected[0]], answers["paid"][expected[0]].as_py())
    assert first.probability == pytest.approx(1 - given[expected[0]], abs=1e-6)
    assert first.cells["x"] == str(columns["x"][expected[0]])
    assert "paid" not in first.cells


def test_rows_are_counted_in_the_table_given_also_where_targets_are_missing(paid):
    columns = cells(1)
    columns["paid"] = [None if k % 2 == 0 else value for k, value in enumerate(cells(1)["paid"])]
    found = paid.evaluation(columns).targets["paid"].mistakes
    assert found
    for one in found:
        assert one.row % 2 == 1
        assert one.truth == columns["paid"][one.row]
        assert one.cells["x"] == str(columns["x"][one.row])


def test_errors_of_numbers_are_prediction_minus_truth():
    columns, run = cells(1), fitted("price")
    found, answers = run.evaluation(columns).targets["price"], run.predict(columns)["price"].to_numpy()
    worst = int(np.abs(answers - columns["price"]).argmax())
    assert found.mistakes[0].row == worst
    assert found.mistakes[0].error == pytest.approx(answers[worst] - columns["price"][worst], abs=1e-4)
    assert found.residuals["quantiles"]["0.5"] == pytest.approx(np.median(columns["price"] - answers), abs=1e-4)


def test_hostile_cells_stay_the_strings_they_are(paid):
    columns = cells(1)
    for one in paid.evaluation(columns).targets["paid"].mistakes:
        note = columns["note"][one.row]
        assert one.cells["note"] == (note if len(note) <= 200 else note[:199] + "…")


def test_private_shows_no_row():
    columns = cells(1)
    for run in (fitted("paid"), fitted("price")):
        shown, hidden = (json.dumps(plain(run.evaluation(columns, private=private))) for private in (False, True))
        assert str(columns["x"][json.loads(shown)["targets"].popitem()[1]["mistakes"][0]["row"]]) in shown
        found = json.loads(hidden)["targets"].popitem()[1]
        assert found["mistakes"] == []
        assert found.get("residuals", {}).get("truth", []) == []
        assert not any(str(value) in hidden for value in columns["x"])
        assert not any(str(value) in hidden for value in columns["price"])
        assert "alert" not in hidden


def dirty() -> dict[str, dict[str, Any]]:
    columns = cells(1)
    unseen = np.where(np.arange(ROWS) < 50, "never", columns["paid"].astype("U5"))
    return {
        "one row": {key: value[:1] for key, value in columns.items()},
        "two rows": {key: value[:2] for key, value in columns.items()},
        "one class": {**columns, "paid": np.array(["yes"] * ROWS)},
        "an unseen class": {**columns, "paid": unseen},
        "nearly all unseen": {**columns, "paid": np.where(np.arange(ROWS) < ROWS - 1, "never", "yes")},
        "all the same": {**columns, "x": np.zeros(ROWS), "sex": np.array(["f"] * ROWS)},
        "missing inputs": {**columns, "x": pa.nulls(ROWS, pa.float64()), "sex": pa.nulls(ROWS, pa.string())},
        "few with a target": {**columns, "paid": [value if k < 3 else None for k, value in enumerate(columns["paid"])]},
    }


@pytest.mark.parametrize("name", list(dirty()))
@pytest.mark.filterwarnings("error")
def test_dirty_rows_are_evaluated(paid, name):
    columns = dirty()[name]
    found = plain(paid.evaluation(columns))
    target = found["targets"]["paid"]
    known = [value for value in list(columns["paid"]) if value is not None]
    assert np.sum(target["confusion"]["counts"]) == len(known)
    one_class = len(set(known)) == 1
    assert ("auc" in target["metrics"]) is not one_class, "what says nothing is left out"
    if name == "an unseen class":
        assert target["confusion"]["classes"][-1] == "never seen in training"
        assert target["mistakes"][0]["truth"] == "never"


def test_rows_without_any_target_are_refused(paid):
    with pytest.raises(SchemaError, match="none of 200 rows has a value of 'paid'"):
        paid.evaluation({**cells(1), "paid": pa.nulls(ROWS, pa.string())})


def test_weights_and_groups_are_heeded():
    columns = {**cells(), "w": np.ones(ROWS), "g": np.arange(ROWS) // 20}
    ignored = dict.fromkeys(("kind", "price", "tags", "note"), "ignore")
    roles = {**ignored, "w": "weight", "g": "group"}
    run = fathom.fit(columns, target="paid", roles=roles, **QUICK)
    even = run.evaluation(columns).targets["paid"]
    right = np.asarray(run.predict(columns)["paid"].to_pylist()) == columns["paid"]
    wrong_alone = run.evaluation({**columns, "w": np.where(right, 0.0, 1.0)}).targets["paid"]
    assert even.metrics["accuracy"].value == pytest.approx(right.mean())
    assert even.metrics["accuracy"].low < even.metrics["accuracy"].value
    assert wrong_alone.metrics["accuracy"].value == 0
    assert sum(map(sum, wrong_alone.confusion["counts"])) == (~right).sum()
    assert {one.row for one in wrong_alone.mistakes} <= set(np.flatnonzero(~right).tolist())


def test_mistakes_are_called_by_the_numbers_given(paid):
    table = pa.table(cells(1))
    plainly = paid.evaluation(table).targets["paid"].mistakes
    called = evaluated(paid.model, table, numbers=1000 + 2 * np.arange(ROWS)).targets["paid"].mistakes
    assert [one.row for one in called] == [1000 + 2 * one.row for one in plainly]
    assert [one.cells for one in called] == [one.cells for one in plainly]


def test_a_picture_is_named_by_its_file_below_the_source(tmp_path):
    draw = np.random.default_rng(0)
    for k in range(40):
        place = tmp_path / "pictures" / "ab"[k % 2] / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place)
    run = fathom.fit(tmp_path / "pictures", **{**QUICK, "net": "convnet", "budget": "2steps"})
    source = run.read(tmp_path / "pictures")
    paths = source.parts["train"]["image"].to_pylist()
    mistakes = run.evaluation(source).targets["label"].mistakes
    assert mistakes
    for one in mistakes:
        assert one.cells == {"image": f"{one.truth}/{paths[one.row]['path'].rpartition('/')[2]}"}
    assert plain(run.evaluation(source, private=True))["targets"]["label"]["mistakes"] == []


def test_pictures_of_mistakes_are_small_png():
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (40, 150, 200, 3), dtype=np.uint8)
    columns = {"x": pictures, "y": draw.choice(["a", "b"], 40)}
    run = fathom.fit(columns, target="y", **{**QUICK, "net": "convnet", "budget": "2steps"})
    found = plain(run.evaluation(columns))
    first = found["targets"]["y"]["mistakes"][0]
    image = Image.open(io.BytesIO(base64.b64decode(first["pictures"]["x"])))
    assert (image.format, image.size) == ("PNG", (128, 96))
    expected = Image.fromarray(pictures[first["row"]])
    expected.thumbnail((128, 128))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    assert found["importance"] == []
    assert plain(run.evaluation(columns, private=True))["targets"]["y"]["mistakes"] == []
