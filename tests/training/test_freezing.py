"""Which parameters learn, from when on, how fast, and low-rank changes in their place."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import fathom
from fathom.api.fitting import model_for
from fathom.api.rows import prepare
from fathom.config import Config
from fathom.data import read
from fathom.data.store import Batches
from fathom.errors import ConfigError
from fathom.registry import Choice
from fathom.training import ADAPTERS
from fathom.training.freezing import Freezing, depths_of, matching, scales_of
from fathom.training.lora import LowRank
from fathom.training.optimizers import parameter_groups, scaled_groups
from fathom.training.update import Update

DRAW = np.random.default_rng(0)
WORDS = ["the", "old", "red", "house", "by", "a", "small", "river", "people", "fish", "all", "day"]
TEXTS = [" ".join(DRAW.choice(WORDS, 9)) for _ in range(60)]
DATA = {"t": TEXTS, "y": ["good" if "river" in text else "bad" for text in TEXTS]}
NET = {"name": "transformer", "width": 16, "heads": 2, "depth": 3, "dropout": 0.0, "positions": "sinusoidal"}
ASKED = {"net": NET, "kinds": {"t": {"name": "text", "vocabulary": 300}}, "checks": {}, "folds": 0}
QUICK = {**ASKED, "measure": False, "baseline": False, "report": False}
fit = partial(fathom.fit, DATA, "y", **QUICK)


@pytest.fixture
def model():
    config = Config.of({"target": "y", **ASKED})
    rows = prepare(read(DATA), None, config, lambda line: None)
    return model_for(rows.schema, config, rows.train.num_rows), rows


def first_weights(run_seed: int = 0):
    """The weights before the first step of the runs here."""
    config = Config.of({"target": "y", "seed": run_seed, **ASKED})
    rows = prepare(read(DATA), None, config, lambda line: None)
    return model_for(rows.schema, config, rows.train.num_rows).network.state_dict()


def answers(one, store) -> np.ndarray:
    return np.concatenate([value.ravel() for value in one.answers(store)["y"].values() if value.dtype.kind == "f"])


def moved(run) -> set[str]:
    before = first_weights()
    return {name for name, value in run.model.network.state_dict().items() if not torch.equal(value, before[name])}


def test_layers_are_counted_from_the_heads_down(model):
    depths = depths_of(model[0].network)
    assert {depth for name, depth in depths.items() if name.startswith("heads")} == {0}
    blocks = [depths[f"body.blocks.{k}.attention.out.weight"] for k in range(3)]
    assert blocks == [3, 2, 1]
    assert depths["body.last.weight"] == 1, "what stands behind the last block is of its layer"
    assert depths["body.placing.scale"] == 4, "what stands before the first block is a layer of its own"
    assert depths["branches.0.nets.0.table.weight"] == 5


def test_layers_of_members_are_counted_alike(model):
    plain = depths_of(model[0].network)
    twice = nn.ModuleDict({"networks": nn.ModuleList([model[0].network])})
    assert depths_of(twice) == {f"networks.0.{name}": depth for name, depth in plain.items()}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("body", ["body.a.0.weight", "body.a.1.bias"]),
        ("a.1", ["body.a.1.bias"]),
        ("body.*.0", ["body.a.0.weight"]),
        ("bod", []),
        ("body.a.1.bias", ["body.a.1.bias"]),
    ],
)
def test_a_name_means_whole_parts_of_names(pattern, found):
    assert matching(["body.a.0.weight", "body.a.1.bias", "heads.0.weight"], pattern) == found


def test_all_but_heads_stays_as_it_was():
    run = fit(budget="3steps", training={"freeze": "all but heads"})
    assert moved(run)
    assert all(name.startswith("heads") for name in moved(run))
    assert all(parameter.requires_grad for parameter in run.model.network.parameters())


def test_what_is_named_stays_as_it_was():
    found = moved(fit(budget="3steps", training={"freeze": ["body.blocks.0", "branches"]}))
    assert not [name for name in found if name.startswith(("body.blocks.0", "branches"))]
    assert any(name.startswith("body.blocks.1") for name in found)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"freeze": "boddy"}, r"freeze = 'boddy' fits no parameter \(there are branches\.0\.nets, "),
        ({"freeze": ["branches", "body", "heads"]}, "leaves nothing to learn"),
        (
            {"adapter": {"name": "lora", "on": ["atention"]}},
            r"fits no matrix below the heads",
        ),
        ({"optimizer": "lbfgs", "layer_decay": 0.5}, "leave out unfreeze and layer_decay"),
    ],
)
def test_a_mistake_is_told(training, message):
    with pytest.raises(ConfigError, match=message):
        fit(budget="1steps", training=training)


def test_layers_thaw_one_after_another_from_the_heads_down(model):
    network = model[0].network
    freezing = Freezing(network, ("branches",), 0.25)
    for progress, deepest in ((0.0, 0), (0.24, 0), (0.25, 1), (0.5, 2), (0.75, 3)):
        freezing.thaw(progress)
        depths = depths_of(network)
        learning = {depths[name] for name, parameter in network.named_parameters() if parameter.requires_grad}
        assert learning == set(range(deepest + 1))
    freezing.thaw(1.0)
    assert not network.branches[0].nets[0].table.weight.requires_grad, "what is frozen never thaws"


def test_a_run_that_thaws_learns_late_what_stands_deep():
    early = moved(fit(budget="4steps", training={"unfreeze": 0.5, "cooldown": 0.0}))
    assert any(name.startswith("body.blocks.2") for name in early)
    assert not any(name.startswith(("body.blocks.1", "body.blocks.0", "branches")) for name in early)


def test_a_run_that_thaws_and_is_resumed_ends_the_same(tmp_path):
    options = {"unfreeze": 0.3, "layer_decay": 0.5, "adapter": "none"}
    whole = fit(budget="6steps", training=options, out=tmp_path / "whole")
    again = fit(budget="6steps", training=options, out=tmp_path / "whole", resume=True)
    assert whole.metrics == again.metrics


def test_rates_fall_from_layer_to_layer(model):
    network = model[0].network
    scales, parameters = scales_of(network, 0.5), dict(network.named_parameters())
    assert scales[parameters["body.blocks.1.attention.out.weight"]] == 0.25
    groups = scaled_groups(parameter_groups(network.parameters(), apart=True), scales)
    assert {scales[p] for group in groups for p in group["params"] if group["scale"] == 0.25} == {0.25}
    assert sum(len(group["params"]) for group in groups) == len(parameters)


def test_a_step_of_sgd_is_as_long_as_its_layer_says(model):
    def step(decay: float) -> dict[str, torch.Tensor]:
        one, rows = model
        one.network.load_state_dict(first_weights())
        before = {name: value.clone() for name, value in one.network.state_dict().items()}
        batch = next(Batches(one.prepared(rows.train), 16, seed=0))
        sgd = Choice("sgd", {"lr": 0.1, "momentum": 0.0, "nesterov": False})
        Update(one.network, sgd, seed=0, layer_decay=decay)(batch, 0, 1.0)
        return {name: value - before[name] for name, value in one.network.state_dict().items()}

    plain, falling = step(1.0), step(0.5)
    for name, depth in depths_of(model[0].network).items():
        assert torch.allclose(falling[name], plain[name] * 0.5**depth, atol=1e-7), name


def test_norms_that_do_not_learn_keep_their_statistics():
    module = nn.ModuleDict({"body": nn.ModuleList([nn.BatchNorm1d(3)]), "heads": nn.ModuleList([nn.BatchNorm1d(3)])})
    Freezing(module, ("body",), 0.0).to_train()
    assert [module["body"][0].training, module["heads"][0].training] == [False, True]


def test_a_network_with_low_rank_changes_is_saved_as_a_plain_one_that_answers_alike(model):
    one, rows = model
    store = one.prepared(rows.train)
    adapted = ADAPTERS.build({"name": "lora", "rank": 2, "on": ["attention", "perceptron"]}, one.network)
    layers = [layer for layer in one.network.modules() if isinstance(layer, LowRank)]
    assert len(layers) == 12
    for layer in layers:
        nn.init.normal_(layer.up, std=0.1)
    before = answers(one, store)
    adapted.merge()
    after = answers(one, store)
    assert np.abs(before - after).max() < 1e-5
    assert one.network.state_dict().keys() == first_weights().keys()
    for layer in layers:
        nn.init.zeros_(layer.plain.weight)
    assert np.abs(answers(one, store) - after).max() > 1e-4


def test_a_run_with_low_rank_changes_moves_the_matrices_that_are_named_and_the_head(tmp_path):
    training = {"adapter": {"name": "lora", "rank": 2}, "optimizer": {"name": "adamw", "lr": 0.01}}
    run = fit(budget="5steps", training=training, out=tmp_path / "run")
    assert {name.removesuffix(".weight") for name in moved(run) if not name.startswith("heads")} == {
        f"body.blocks.{block}.attention.{part}" for block in range(3) for part in ("query_key_value", "out")
    }
    again = fathom.load(tmp_path / "run")
    assert again.predict(DATA).equals(run.predict(DATA))


@pytest.mark.slow
def test_what_does_not_learn_costs_no_gradient(model):
    one, rows = model
    batch = next(Batches(one.prepared(rows.train), 32, seed=0))

    def seconds(freeze: tuple[str, ...]) -> float:
        freezing = Freezing(one.network, freeze, 0.0)
        update, taken = Update(one.network, Choice("adamw"), seed=0), []
        for step in range(12):
            started = time.perf_counter()
            update(batch, step, 1.0)
            taken.append(time.perf_counter() - started)
        freezing.release()
        return min(taken)

    assert seconds(("all but heads",)) < 0.7 * seconds(())
