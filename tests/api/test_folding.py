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
from fathom.api.folding import Folds
from fathom.config import RECORDS, Config
from fathom.errors import ConfigError, InputError, SchemaError
from fathom.model import Metric, Model

QUICK = {"budget": "40steps", "measure": False, "baseline": False, "net": "linear"}
APART = {"monitor": "accuracy"}  # networks that are not watched by their loss are trained one after another
ROWS = 120


def rows(count: int = ROWS) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    x = draw.normal(0, 1, count)
    noisy = np.where(x + draw.normal(0, 0.5, count) > 0, "yes", "no")
    return {"x": x, "z": draw.normal(0, 1, count), "who": np.arange(count) // 4, "when": np.arange(count), "y": noisy}


def folds_of(monkeypatch: pytest.MonkeyPatch, **config: Any) -> tuple[fathom.api.Run, list[tuple[pa.Table, pa.Table]]]:
    """A run one after another, and of each network the rows from which it learned and those by which it chose."""
    seen = []
    train = fitting._train

    def noted(model: Model, given: Any, *rest: Any, **named: Any) -> Any:
        seen.append((given.train, given.valid))
        return train(model, given, *rest, **named)

    monkeypatch.setattr(fitting, "_train", noted)
    return fathom.fit(rows(), "y", **{**QUICK, **APART, "roles": {"who": "ignore", "when": "ignore"}, **config}), seen


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
        assert model.metrics == run.folds.scores[number]
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


# In one pass

TOGETHER = {**QUICK, "budget": "400steps", "net": {"name": "mlp", "hidden": [32], "dropout": 0}}


LAST = {"training": {"l1_proximal": 1e-9}}  # the last weights are kept then, not the best


def of_noise(count: int = 160) -> dict[str, Any]:
    draw = np.random.default_rng(3)
    numbers = {f"x{j}": draw.normal(0, 1, count) for j in range(12)}
    return {**numbers, "y": np.where(draw.permutation(count) % 2, "yes", "no")}


def members(run: fathom.api.Run) -> list[Model]:
    return folding._alone(run.model)


def test_no_network_learns_from_its_own_fold_in_one_pass(monkeypatch):
    folds: list[tuple[pa.Table, np.ndarray]] = []
    together = fitting._train_together

    def noted(model: Model, table: pa.Table, fold_of: np.ndarray, *rest: Any, **named: Any) -> Any:
        folds.append((table, fold_of))
        return together(model, table, fold_of, *rest, **named)

    monkeypatch.setattr(fitting, "_train_together", noted)
    run = fathom.fit(of_noise(), "y", folds=4, test=0.0, optimizer={"name": "adamw", "lr": 0.01}, **LAST, **TOGETHER)
    ((table, fold_of),) = folds
    right = np.stack([np.array(one.predict(table)["y"]) == np.array(table["y"]) for one in members(run)])  # (M, N)
    own = np.arange(4)[:, None] == fold_of
    assert right[~own].mean() > 0.95, "noise is known by heart"
    assert right[own].mean() < 0.65, "but not that of the own fold"
    assert run.folds.together["y"]["accuracy"].value == pytest.approx(right[own].mean())
    for number, scores in enumerate(run.folds.scores):
        assert scores["y"]["accuracy"].value == pytest.approx(right[number][own[number]].mean())


def test_a_run_in_one_pass_is_kept_and_taken_up(tmp_path):
    whole = fathom.fit(of_noise(), "y", folds=3, out=tmp_path / "run", **TOGETHER)
    assert whole.model.layout.members == 3
    loaded = fathom.load(tmp_path / "run")
    assert loaded.folds == whole.folds
    assert loaded.predict(of_noise()).equals(whole.predict(of_noise()))
    for name in ("model", "linear", "folds"):  # as if killed before it was scored
        shutil.rmtree(tmp_path / "run" / name, ignore_errors=True)
    resumed = fathom.fit(of_noise(), "y", folds=3, out=tmp_path / "run", resume=True, **TOGETHER)
    assert resumed.folds == whole.folds
    assert resumed.predict(of_noise()).equals(whole.predict(of_noise()))


@pytest.mark.parametrize(
    "config",
    [
        {"monitor": "accuracy"},
        {"ensemble": 2},
        {"net": {"name": "mlp", "hidden": [8], "norm": "batch"}},
        {"net": {"name": "tabm", "members": 2, "width": 16}},
        {"optimizer": "muon"},
        {"augment": ["mixup"]},
    ],
    ids=["watched otherwise", "members", "batch norm", "not stacked", "not one by one", "mixed"],
)
def test_what_cannot_be_trained_in_one_pass_is_trained_one_after_another(monkeypatch, config):
    run, seen = folds_of(monkeypatch, folds=3, **{"monitor": "skill", "budget": "5steps", **config})
    assert len(seen) == 3
    assert run.folds.rows + run.rows == ROWS


def test_few_rows_are_folded_where_nobody_says_otherwise():
    told: list[str] = []
    run = fathom.fit(of_noise(), "y", say=told.append, budget="5steps", measure=False)
    assert "rows: 136 in 8 folds to train on and to choose by, 24 held out for the final score" in told
    assert any(line.startswith("chosen: 8 perceptrons, each learning from all but its own of 8 folds") for line in told)
    assert (run.model.layout.members, len(run.folds.scores), run.rows) == (8, 8, 24)


@pytest.mark.parametrize(
    "config",
    [
        {"folds": 0},
        {"valid": 0.2},
        {"net": "tabm"},
        {"net": {"dropout": 0.2}},
        {"nets": {"number": "scale"}},
        {"ensemble": 2},
        {"monitor": "accuracy"},
        {"optimizer": "muon"},
        {"roles": {"x0": "group"}},
        {"roles": {"x0": "weight"}},
        {"kinds": {"x0": "datetime"}, "roles": {"x0": "time"}},
    ],
)
def test_rows_are_held_out_where_something_else_is_asked_for(config):
    data = of_noise()
    data["x0"] = np.arange(160) // 4 if "kinds" not in config else np.datetime64("2020-01-01") + np.arange(160)
    told: list[str] = []
    run = fathom.fit(data, "y", say=told.append, budget="2steps", measure=False, baseline=False, **config)
    assert run.folds is None
    assert any("to choose by" in line and "folds" not in line for line in told)


def test_rows_without_a_target_do_not_count_as_rows_to_cut():
    data = of_noise(200)
    data["y"] = np.where(np.arange(200) < 40, data["y"], None)
    run = fathom.fit(data, "y", budget="2steps", measure=False, baseline=False)
    assert run.folds is None


def test_a_folded_run_is_repeated_from_its_config(tmp_path):
    first = fathom.fit(of_noise(), "y", out=tmp_path / "run", budget="20steps", measure=False, seed=3)
    config = Config.read(tmp_path / "run" / "config.toml")
    second = fathom.fit(of_noise(), **{key: value for key, value in config.items() if key not in RECORDS})
    assert second.predict(of_noise()).equals(first.predict(of_noise()))
    assert second.folds == first.folds


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


def test_copies_are_learned_from_and_not_scored():
    data = of_noise()
    data = {name: np.concatenate([values, values[:20]]) for name, values in data.items()}
    run = fathom.fit(data, "y", folds=4, test=0.0, **QUICK)
    assert 140 <= run.folds.rows < 160, "a row that came into the fold of its copy may be scored"
    assert run.rows == run.folds.rows


def test_rows_that_repeat_by_nature_are_all_scored():
    draw = np.random.default_rng(0)
    answers = {"one": draw.integers(0, 2, 100), "two": draw.integers(0, 2, 100), "y": draw.integers(0, 2, 100)}
    kinds = dict.fromkeys(answers, "category")
    assert fathom.fit(answers, "y", folds=4, test=0.0, kinds=kinds, **QUICK).folds.rows == 100


def test_a_metric_that_one_fold_lacks_is_the_mean_of_the_others():
    have = [{"y": {"auc": Metric(value, np.nan, np.nan)}} for value in (0.7, 0.9)]
    folds = Folds((*have, {"y": {}}), have[0], 30)
    assert folds.spread("y", "auc") == pytest.approx((0.8, np.sqrt(0.02)))
    assert np.isnan(Folds((have[0], {"y": {}}), have[0], 20).spread("y", "auc")).all()
