"""A run that starts from another: which weights, nets and meanings of columns it takes."""

from __future__ import annotations

import shutil
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import fathom
from fathom.api.fitting import layout_for, model_for
from fathom.api.rows import prepare
from fathom.api.starting import start_of
from fathom.config import Config
from fathom.data import read
from fathom.errors import ConfigError, ModelError

DRAW = np.random.default_rng(0)
ROWS = 80
NUMBERS = {name: DRAW.normal(scale, scale, ROWS) for name, scale in (("a", 1.0), ("b", 5.0), ("c", 9.0))}
TABLE = {**NUMBERS, "y": np.where(NUMBERS["a"] > 1, "yes", "no"), "z": NUMBERS["a"] * 2 + NUMBERS["b"]}
WORDS = ["the", "old", "red", "house", "by", "a", "small", "river", "people", "fish", "all", "day"]
TEXTS = [" ".join(DRAW.choice(WORDS, 9)) for _ in range(ROWS)]
TEXT = {"review": TEXTS, "y": ["good" if "river" in text else "bad" for text in TEXTS]}
NETS = {"text": {"name": "embedding", "width": 16}, "tokens": {"name": "ft_transformer", "width": 16, "heads": 2}}
QUICK = {"measure": False, "baseline": False, "report": False, "checks": {}, "folds": 0, "budget": "3steps"}
fit = partial(fathom.fit, **QUICK)


def begun(data, target, place, **asked):
    """The network of a run as it starts, and what was said of that."""
    said: list[str] = []
    config = Config.of({"target": target, "folds": 0, "start": str(place), **asked})
    start = start_of(config)
    rows = prepare(read(data), None, config, lambda line: None, start)
    model = model_for(rows.schema, start.named(rows.schema, config), rows.train.num_rows, start, said.append)
    return model, said[0]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("earlier") / "run"
    columns = {name: TABLE[name] for name in ("a", "b", "y")}
    fit(columns, "y", out=place, net={"name": "mlp", "hidden": [12, 8], "dropout": 0.1})
    return place


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("texts") / "run"
    fit(TEXT, "y", out=place, nets=NETS, kinds={"review": {"name": "text", "vocabulary": 300}})
    return place


def test_the_same_columns_take_every_weight_and_answer_alike(earlier):
    model, said = begun({name: TABLE[name] for name in ("a", "b", "y")}, "y", earlier)
    run = fathom.load(earlier)
    weights = run.model.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.network.state_dict().items())
    assert said.startswith(f"taken from {earlier}: 6 of 6 tensors (")
    assert "new" not in said
    assert model.layout == run.model.layout


def test_another_target_keeps_the_body_and_gets_a_new_head(earlier):
    model, said = begun({name: TABLE[name] for name in ("a", "b", "z")}, "z", earlier)
    theirs = fathom.load(earlier).model.network.state_dict()
    own = model.network.state_dict()
    assert torch.equal(own["body.layers.0.weight"], theirs["body.layers.0.weight"])
    assert said.endswith("; new: heads.0")
    assert "4 of 6 tensors" in said


def test_other_labels_of_a_target_of_the_same_name_get_a_new_head(earlier):
    other = {**{name: TABLE[name] for name in ("a", "b")}, "y": np.where(TABLE["a"] > 1, "cat", "dog")}
    assert begun(other, "y", earlier)[1].endswith("; new: heads.0")


def test_columns_mean_what_they_meant_there_whatever_the_new_rows_hold(earlier):
    shifted = {"a": TABLE["a"] * 3 + 7, "b": TABLE["b"], "y": TABLE["y"]}
    model, _ = begun(shifted, "y", earlier)
    before = {column.name: column.fitted.state for column in fathom.load(earlier).model.schema.columns}
    after = {column.name: column.fitted.state for column in model.schema.columns}
    assert after["a"] == before["a"]
    assert begun({"a": TABLE["a"], "d": TABLE["a"], "y": TABLE["y"]}, "y", earlier)[0].schema.columns[1].fixed is False


def test_where_nothing_fits_it_is_told(earlier):
    with pytest.raises(ModelError, match=r"nothing of .*run fits this network: no weight of the same name has"):
        begun({"c": TABLE["c"], "z": TABLE["z"]}, "z", earlier, net={"name": "mlp", "hidden": [5]})


def test_nets_are_those_of_the_run_unless_others_are_named(earlier):
    data = {name: TABLE[name] for name in ("a", "b", "y")}
    own, _ = begun(data, "y", earlier)
    assert own.layout.body.options["hidden"] == (12, 8)
    other, said = begun(data, "y", earlier, net={"dropout": 0.4})
    assert (other.layout.body.options["hidden"], other.layout.body.options["dropout"]) == ((12, 8), 0.4)
    assert "6 of 6" in said
    named, said = begun(data, "y", earlier, net={"name": "mlp", "hidden": [12, 6]})
    assert named.layout.body.options["hidden"] == (12, 6)
    assert "3 of 6" in said  # of which the bias of the head


def test_every_member_of_an_ensemble_starts_there(earlier):
    model, said = begun({name: TABLE[name] for name in ("a", "b", "y")}, "y", earlier, ensemble=3)
    theirs = fathom.load(earlier).model.network.state_dict()["body.layers.0.weight"]
    assert torch.equal(model.network.state_dict()["body.layers.0.weight"], theirs.expand(3, -1, -1))
    assert "6 of 6" in said


def test_a_text_of_another_name_has_the_tokens_and_embeddings_of_the_run(texts):
    data = {"comment": [text.upper() for text in TEXTS], "score": np.arange(ROWS) / 7}
    model, said = begun(data, "score", texts, kinds={"comment": {"name": "text", "length": 40}})
    theirs = fathom.load(texts).model
    (comment, _), (review, _) = model.schema.columns, theirs.schema.columns
    # How long texts are is its own to find out.
    assert comment.fitted.state == {name: value for name, value in review.fitted.state.items() if name != "longest"}
    assert comment.fitted.length == 40
    own, their = model.network.state_dict(), theirs.network.state_dict()
    assert torch.equal(own["branches.0.nets.0.table.weight"], their["branches.0.nets.0.table.weight"])
    assert said.endswith("; new: heads.0")


def test_an_option_that_would_make_other_tokens_is_refused(texts):
    with pytest.raises(ConfigError, match=r"column 'review': tokenizer = 'char' was named, but .* has 'auto'"):
        begun(TEXT, "y", texts, kinds={"review": {"name": "text", "tokenizer": "char"}})


def test_pictures_of_another_target_keep_the_net_that_sees(tmp_path):
    pixels = DRAW.integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)
    fit({"scan": pixels, "y": TABLE["y"]}, "y", out=tmp_path / "run", nets={"image": "convnet"})
    _, said = begun({"picture": pixels, "z": TABLE["z"]}, "z", tmp_path / "run")
    assert said.endswith("; new: heads.0")


def test_a_run_records_its_start_and_is_resumed_without_it(earlier, tmp_path):
    moved = shutil.copytree(earlier, tmp_path / "moved")
    data = {name: TABLE[name] for name in ("a", "b", "z")}
    run = fit(data, "z", out=tmp_path / "run", start=moved)
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["start"] == str(moved)
    weights = (tmp_path / "run" / "model" / "weights.safetensors").read_bytes()
    shutil.rmtree(moved)
    shutil.rmtree(tmp_path / "run" / "model")
    again = fit(data, "z", out=tmp_path / "run", start=moved, resume=True)
    assert (tmp_path / "run" / "model" / "weights.safetensors").read_bytes() == weights
    assert again.model.layout == run.model.layout
    with pytest.raises(ModelError, match="is no model"):
        fit(data, "z", out=tmp_path / "other", start=moved)


def test_the_start_makes_a_short_run_better(earlier, tmp_path):
    data = {name: TABLE[name] for name in ("a", "b", "y")}
    fit(data, "y", out=tmp_path / "long", net={"name": "mlp", "hidden": [12]}, budget="150steps")
    plain = fit(data, "y", net={"name": "mlp", "hidden": [12]})
    started = fit(data, "y", start=tmp_path / "long")
    assert started.metrics["y"]["log_loss"].value < 0.7 * plain.metrics["y"]["log_loss"].value


def test_folds_that_are_asked_for_start_there_too(earlier):
    data = {name: TABLE[name] for name in ("a", "b", "y")}
    still = {"optimizer": {"name": "sgd", "lr": 1e-6, "momentum": 0.0}}
    run = fit(data, "y", start=earlier, folds=2, budget="1steps", **still)
    theirs = fathom.load(earlier).model.network.state_dict()["body.layers.0.weight"]
    own = run.model.network.state_dict()["body.layers.0.weight"]
    assert torch.allclose(own, theirs.expand_as(own), atol=1e-5)


def test_a_study_starts_from_no_run(earlier):
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match="a study starts from no other run"):
        fathom.tune(TABLE, "y", trials=1, start=str(earlier))


def test_without_a_start_a_network_is_its_own():
    config = Config.of({"target": "y", "folds": 0})
    assert start_of(config) is None
    rows = prepare(read(TABLE), None, config, lambda line: None)
    assert rows.start is None
    assert layout_for(rows.schema, config, 60).body.name != "ft_transformer"
