"""Ensembles: a member trains as it would alone, stacked or apart, and members answer by the mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fathom.api.fitting import layout_for
from fathom.config import Config
from fathom.data.store import TensorStore
from fathom.ensemble import Apart, built_network, joined_weights, member_weights
from fathom.layout import Layout, choose_layout
from fathom.model import Model
from fathom.nets import NETS
from fathom.nets.stacked import Stacked, own_dimensions
from fathom.network import Network
from fathom.registry import Choice
from fathom.runtime import seeded
from fathom.schema import Schema
from fathom.signals import MEMBER_WEIGHT, doubled
from fathom.training.update import Update

ROWS, MEMBERS, STEPS = 96, 3, 12


def rows() -> pa.Table:
    draw = np.random.default_rng(0)
    x = draw.normal(0, 1, ROWS)
    return pa.table(
        {
            "x": x,
            "gain": draw.permutation(np.repeat([0.0, 100.0, 250.0], [64, 16, 16])),
            "holed": [None if k % 7 == 0 else float(v) for k, v in enumerate(draw.normal(0, 1, ROWS))],
            "colour": draw.choice(["red", "green"], ROWS),
            "code": draw.choice([f"c{k}" for k in range(8)], ROWS),
            "price": 3 * x + draw.normal(5, 1, ROWS),
            "class": np.where(x + draw.normal(0, 0.5, ROWS) > 0, "a", "b"),
        }
    )


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.infer(rows(), ["price", "class"]).fit(rows())


def laid_out(schema: Schema, number: str = "scale", **options: Any) -> Layout:
    nets = {"category": Choice("embed", {"one_hot_max": 4}), "vector": Choice("mlp", {"hidden": (8, 8), **options})}
    nets["number"] = Choice(number)
    return choose_layout(schema.inputs(), schema.targets(), nets=nets)


def built(schema: Schema, layout: Layout, members: int = MEMBERS, *, apart: bool = False, seed: int = 0) -> Any:
    with seeded(seed):
        layout = replace(layout, members=members, apart=apart)
        return built_network(schema.inputs(), schema.targets(), layout).train()


def trained(network: nn.Module, store: TensorStore, name: str = "adamw", **options: Any) -> nn.Module:
    # In double, where a gradient that is 0 but for rounding (of a bias before a batch norm) moves nothing.
    update = Update(network.double(), Choice(name, {"lr": 0.02}), seed=0, **{"clip_norm": 0.3, **options})
    for step in range(STEPS):
        update(doubled(store.batch(torch.arange(ROWS).roll(7 * step)[:32])), step, 1.0)
    return network.eval()


@pytest.mark.parametrize("number", ["scale", "piecewise_linear"])
@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_member_of_a_stack_is_what_it_is_when_it_is_trained_alone(schema, number, norm, optimizer, accumulate):
    layout, store = laid_out(schema, number, dropout=0.0, norm=Choice(norm)), schema.encode(rows())
    stack = built(schema, layout)
    before = member_weights(stack)
    assert isinstance(stack, Network)
    trained(stack, store, optimizer, accumulate=accumulate, l2=0.01)
    for own, found in zip(before, member_weights(stack), strict=True):
        alone = built(schema, layout, 1, seed=9)
        alone.load_state_dict(own)
        trained(alone, store, optimizer, accumulate=accumulate, l2=0.01)
        for name, value in alone.state_dict().items():
            assert_close(found[name], value, atol=1e-4, rtol=1e-4)
    apart = max(float((first - other).abs().max()) for first, other in zip(*map(dict.values, before[:2]), strict=True))
    assert apart > 0.01


def test_every_number_of_an_entry_is_learned_by_each_member(schema):
    """That the columns above hold values that recur and such that are missing, whose vectors are moved."""
    layout = laid_out(schema, "piecewise_linear", dropout=0.0)
    stack = built(schema, layout)
    before = stack.state_dict()
    before = {name: value.clone() for name, value in before.items() if "branches" in name}
    after = trained(stack, schema.encode(rows())).state_dict()
    assert {name.rsplit(".", 2)[-2] for name in before} >= {"recurring", "missing"}
    assert all((after[name] != value).flatten(1).any(1).all() for name, value in before.items())


@pytest.mark.parametrize("number", ["scale", "piecewise_linear"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_member_learns_from_the_rows_alone_that_weigh_something_for_it(number, weighted):
    table = rows().append_column("often", pa.array(np.arange(ROWS) // 3 % 4 + 0.5))
    found = Schema.infer(table, ["price", "class"], roles={"often": "weight" if weighted else "ignore"}).fit(table)
    layout, store = laid_out(found, number, dropout=0.0), found.encode(table)
    folds = torch.arange(ROWS) % MEMBERS
    own = torch.eye(MEMBERS)[folds]  # (N, M)
    learned = store.holding({**store.tensors, MEMBER_WEIGHT: 1 - own})
    stack = built(found, layout)
    before = member_weights(stack)
    of_thirds = range(0, 33 * STEPS, 33)  # each batch holds as many rows of one fold as of another

    def train(network: nn.Module, batches: list[dict[str, Any]]) -> nn.Module:
        update = Update(network.double(), Choice("adamw", {"lr": 0.02}), seed=0, clip_norm=0.3)
        for step, batch in enumerate(batches):
            update(doubled(batch), step, 1.0)
        return network.eval()

    train(stack, [learned.batch(torch.arange(first, first + 33) % ROWS) for first in of_thirds])
    losses = []
    for member, (start, end) in enumerate(zip(before, member_weights(stack), strict=True)):
        alone = built(found, layout, 1, seed=9)
        alone.load_state_dict(start)
        taken = [torch.arange(first, first + 33) % ROWS for first in of_thirds]
        train(alone, [store.batch(index[folds[index] != member]) for index in taken])
        for name, value in alone.state_dict().items():
            assert_close(end[name], value, atol=1e-4, rtol=1e-4)
        losses.append(alone.loss(doubled(store.batch((folds == member).nonzero().squeeze(1))), "network"))
    judged = stack.loss(doubled(store.holding({**store.tensors, MEMBER_WEIGHT: own}).batch(torch.arange(ROWS))), "")
    for name, loss in judged.items():
        assert_close(loss.total, sum(one[name].total for one in losses), atol=1e-4, rtol=1e-4)
        assert_close(loss.weight, sum(one[name].weight for one in losses), check_dtype=False)


def test_members_that_stay_apart_come_to_the_same(schema):
    layout, store = laid_out(schema, dropout=0.0, norm=Choice("layer")), schema.encode(rows())
    stack, apart = built(schema, layout), built(schema, layout, apart=True)
    assert isinstance(apart, Apart)
    assert_close(stack.state_dict(), joined_weights(stack, member_weights(apart)))
    batch = store.batch(torch.arange(ROWS))
    for network in (stack, apart):
        trained(network, store)
    for first, other in zip(member_weights(stack), member_weights(apart), strict=True):
        assert_close(first, other, atol=1e-4, rtol=1e-4)
    batch = doubled(batch)
    for name, answer in stack.predict(batch).items():
        assert_close(answer, apart.predict(batch)[name], atol=1e-4, rtol=1e-4)
    for name, loss in stack.loss(batch, "network").items():
        other = apart.loss(batch, "network")[name]
        assert_close(
            loss.total / loss.weight / loss.unit, other.total / other.weight / other.unit, atol=1e-4, rtol=1e-4
        )


def test_what_is_told_of_the_loss_is_the_mean_of_the_members(schema):
    layout, store = laid_out(schema, dropout=0.0), schema.encode(rows())
    batch = store.batch(torch.arange(32))
    told = []
    for apart in (False, True):
        network = built(schema, layout, apart=apart)
        told.append(Update(network, Choice("sgd"), seed=0)(batch, 0, 0.0))
    alone = []
    for own in member_weights(built(schema, layout)):
        network = built(schema, layout, 1)
        network.load_state_dict(own)
        alone.append(Update(network, Choice("sgd"), seed=0)(batch, 0, 0.0))
    assert told == pytest.approx([np.mean(alone)] * 2, rel=1e-5)


@pytest.mark.parametrize("apart", [False, True])
def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities(schema, apart):
    layout, batch = laid_out(schema), schema.encode(rows()).batch(torch.arange(ROWS))
    network = built(schema, layout, apart=apart).eval()
    answers = []
    for own in member_weights(network):
        alone = built(schema, layout, 1).eval()
        alone.load_state_dict(own)
        answers.append(alone.predict(batch)["class"]["probability"])
    assert_close(network.predict(batch)["class"]["probability"], torch.stack(answers).mean(0))
    assert (answers[0] - answers[1]).abs().max() > 0.01


@pytest.mark.parametrize(
    "name", [net.name for net in NETS if net.facts.get("stacks") and net.facts["takes"] == "vector"]
)
def test_every_net_that_says_that_it_stacks_does(schema, name):
    layout = choose_layout(schema.inputs(), schema.targets(), nets={"vector": Choice(name)})
    stack, apart = built(schema, layout).eval(), built(schema, layout, apart=True).eval()
    assert isinstance(stack, Network)
    batch = schema.encode(rows()).batch(torch.arange(ROWS))
    assert_close(stack.predict(batch)["price"], apart.predict(batch)["price"], atol=1e-4, rtol=1e-4)


def test_dropout_silences_other_units_in_each_member(schema):
    layout = laid_out(schema, dropout=0.5)
    stack = built(schema, layout)
    same = member_weights(stack)[0]
    stack.load_state_dict(joined_weights(stack, [same] * MEMBERS))
    with seeded(0):
        vector = stack(schema.encode(rows()).batch(torch.arange(ROWS))).vector.view(MEMBERS, ROWS, -1)
    assert (vector[0] - vector[1]).abs().max() > 0.01


def test_a_bias_of_several_members_is_no_matrix(schema):
    biases = [own_dimensions(p) for name, p in built(schema, laid_out(schema)).named_parameters() if "bias" in name]
    assert biases
    assert set(biases) == {1}
    assert own_dimensions(Stacked(torch.zeros(2, 3, 4))) == 2


def test_what_cannot_be_stacked_stays_apart(schema):
    whole = Config.of({"target": ["class"], "ensemble": 2})
    assert not layout_for(schema, whole, 150).apart
    assert layout_for(schema, Config.of({"target": ["class"], "ensemble": 2, "optimizer": "muon"}), 150).apart
    pictures = pa.FixedShapeTensorArray.from_numpy_ndarray(
        np.zeros((ROWS, 8, 8), np.uint8) + np.arange(8, dtype=np.uint8)
    )
    table = pa.table({"picture": pictures, "class": rows()["class"]})
    found = Schema.infer(table, ["class"]).fit(table)
    layout = replace(choose_layout(found.inputs(), found.targets(), net=Choice("convnet")), members=2)
    assert isinstance(Model(found, layout).network, Apart)


@pytest.mark.parametrize("apart", [False, True])
def test_an_ensemble_is_kept_and_loaded(schema, apart, tmp_path):
    model = Model(schema, replace(laid_out(schema), members=2, apart=apart), seed=1)
    model.network.eval()
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert loaded.layout.members == 2
    assert loaded.predict(rows()).equals(model.predict(rows()))


def test_a_layout_of_before_there_were_ensembles_has_one_member(schema):
    state = laid_out(schema).state()
    del state["members"], state["apart"]
    assert Layout.from_state(state).members == 1
