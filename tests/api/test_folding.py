"""Cross-validation: every row is answered by a network that did not learn from it, and a killed run goes on."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import fathom
from fathom.api import fitting, folding
from fathom.errors import ConfigError, InputError, SchemaError
from fathom.model import Model

QUICK = {"budget": "40steps", "measure": False, "baseline": False, "net": "linear"}
ROWS = 120


def rows(count: int = ROWS) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    x = draw.normal(0, 1, count)
    noisy = np.where(x + draw.normal(0, 0.5, count) > 0, "yes", "no")
    return {"x": x, "z": draw.normal(0, 1, count), "who": np.arange(count) // 4, "when": np.arange(count), "y": noisy}


def folds_of(monkeypatch: pytest.MonkeyPatch, **config: Any) -> tuple[fathom.api.Run, list[tuple[pa.Table, pa.Table]]]:
    """A run, and of each of its networks the rows from which it learned and those by which it chose."""
    seen = []
    train = fitting._train

    def noted(model: Model, given: Any, *rest: Any, **named: Any) -> Any:
        seen.append((given.train, given.valid))
        return train(model, given, *rest, **named)

    monkeypatch.setattr(fitting, "_train", noted)
    return fathom.fit(rows(), "y", **{**QUICK, "roles": {"who": "ignore", "when": "ignore"}, **config}), seen


def column(table: pa.Table, name: str) -> set[Any]:
    return set(table[name].to_pylist())


def test_every_row_is_held_out_once_by_a_network_that_did_not_learn_from_it(monkeypatch):
    run, seen = folds_of(monkeypatch, folds=4, test=0.2)
    held_out = [x for _, valid in seen for x in valid["x"].to_pylist()]
    assert len(seen) == 4
    assert len(held_out) == len(set(held_out)) == run.folds.rows == ROWS - run.rows
    for train, valid in seen:
        assert not column(train, "x") & column(valid, "x")
        assert column(train, "x") | column(valid, "x") == set(held_out)


def test_the_scores_are_those_of_the_networks_on_their_folds(monkeypatch, tmp_path):
    run, seen = folds_of(monkeypatch, folds=3, out=tmp_path / "run")
    right = []
    for number, (_, valid) in enumerate(seen):
        model = Model.load(tmp_path / "run" / "folds" / str(number) / "model")
        right.append(np.array(model.predict(valid)["y"].to_pylist()) == np.array(valid["y"].to_pylist()))
        assert run.folds.scores[number]["y"]["accuracy"].value == pytest.approx(right[-1].mean())
    mean, deviation = run.folds.spread("y", "accuracy")
    assert mean == pytest.approx(np.mean([one.mean() for one in right]))
    assert deviation == pytest.approx(np.std([one.mean() for one in right], ddof=1))
    together = run.folds.together["y"]["accuracy"]
    assert together.value == pytest.approx(np.concatenate(right).mean())
    assert together.low < together.value < together.high
    assert fathom.load(tmp_path / "run").folds == run.folds


def test_the_model_is_the_mean_of_the_networks(monkeypatch, tmp_path):
    run, _ = folds_of(monkeypatch, folds=3, ensemble=2, out=tmp_path / "run")
    assert run.model.layout.members == 6
    table = fathom.read(rows()).parts["train"]
    each = [Model.load(tmp_path / "run" / "folds" / str(k) / "model").predict(table) for k in range(3)]
    mean = np.mean([one["y probability yes"].to_numpy() for one in each], axis=0)
    np.testing.assert_allclose(run.predict(rows())["y probability yes"].to_numpy(), mean, atol=1e-6)
    assert run.model.temperatures == {}


def test_groups_and_times_are_not_cut(monkeypatch):
    _, seen = folds_of(monkeypatch, folds=3, roles={"who": "group", "when": "ignore"})
    assert all(not column(train, "who") & column(valid, "who") for train, valid in seen)
    _, seen = folds_of(monkeypatch, folds=3, roles={"who": "ignore", "when": "time"})
    spans = sorted((min(column(valid, "when")), max(column(valid, "when"))) for _, valid in seen)
    assert all(end < start for (_, end), (start, _) in pairwise(spans))


def test_each_class_is_in_each_fold(monkeypatch):
    _, seen = folds_of(monkeypatch, folds=4, test=0.0)
    shares = [np.mean(np.array(valid["y"].to_pylist()) == "yes") for _, valid in seen]
    assert max(shares) - min(shares) < 0.1


def test_the_rows_of_folds_are_told():
    told: list[str] = []
    fathom.fit(rows(), "y", folds=3, say=told.append, **QUICK)
    assert "rows: 102 in 3 folds to train on and to choose by, 18 held out for the final score" in told


def test_without_test_rows_the_score_is_that_of_the_folds(monkeypatch):
    run, _ = folds_of(monkeypatch, folds=3, test=0.0)
    assert run.rows == ROWS
    assert run.metrics == run.folds.together


def test_a_fold_that_was_trained_is_not_trained_again(monkeypatch, tmp_path):
    whole, _ = folds_of(monkeypatch, folds=3, out=tmp_path / "run")
    monkeypatch.undo()
    place = tmp_path / "run"
    for name in ("model", "linear", "folds/2", "folds/scores.json"):  # as if killed while the last fold was trained
        found = place / name
        (shutil.rmtree if found.is_dir() else Path.unlink)(found) if found.exists() else None
    resumed, seen = folds_of(monkeypatch, folds=3, out=place, resume=True)
    assert len(seen) == 1
    assert resumed.folds == whole.folds
    assert (place / "model" / "weights.safetensors").is_file()
    assert resumed.predict(rows()).equals(whole.predict(rows()))


def test_what_cannot_be_folded_is_told():
    with pytest.raises(ConfigError, match="folds = 1 is out of range"):
        fathom.fit(rows(), "y", folds=1, **QUICK)
    with pytest.raises(InputError, match="too many"):
        fathom.fit(rows(40), "y", folds=40, **QUICK)
    with pytest.raises(SchemaError, match=r"holds 2 groups, .* fewer folds"):
        fathom.fit({**rows(), "who": np.arange(ROWS) % 2}, "y", folds=4, test=0, roles={"who": "group"}, **QUICK)


def test_a_spoilt_file_of_scores_is_told(monkeypatch, tmp_path):
    folds_of(monkeypatch, folds=2, out=tmp_path / "run")
    (tmp_path / "run" / "folds" / "scores.json").write_text(json.dumps({"scores": 3}))
    with pytest.raises(InputError, match=r"scores\.json is not as fathom writes it"):
        folding.read_folds(tmp_path / "run")
