"""What a walk shows of a row is what autograd and torch's optimizers make of it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import fathom
from fathom.errors import SchemaError
from fathom.model import Model
from fathom.registry import Choice
from fathom.training.clipping import clip
from fathom.trust.walk import walked

ROWS, RATE = 120, 0.05
PLAIN = Choice("sgd", {"lr": RATE, "momentum": 0.0})
QUICK: dict[str, Any] = {"budget": "30steps", "measure": False, "baseline": False, "folds": 0, "test": 0}


def made() -> pa.Table:
    draw = np.random.default_rng(0)
    x, letter = draw.normal(size=(ROWS, 3)), draw.choice(["a", "b"], ROWS)
    y = np.where(x[:, 0] + (letter == "a") + draw.normal(size=ROWS) / 2 > 0.5, "yes", "no")
    return pa.table({"u": x[:, 0], "v": x[:, 1], "w": x[:, 2], "letter": letter, "y": y})


@pytest.fixture(scope="module")
def model() -> Model:
    return fathom.fit(made(), "y", net={"name": "mlp", "hidden": [8, 4], "dropout": 0.5}, **QUICK).model


def loss_of(network: Any, model: Model, row: pa.Table) -> torch.Tensor:
    batch = next(model.schema.encode(row).in_order(1))
    (loss,) = network.eval().loss(batch, "network").values()
    return loss.total / (loss.weight * loss.unit)


def test_gradients_are_those_of_autograd(model: Model):
    row, network = made().slice(5, 1), copy.deepcopy(model.network)
    way = walked(model, row, [])
    loss = loss_of(network, model, row)
    names = [name for name, _ in network.named_parameters()]
    gradients = dict(zip(names, torch.autograd.grad(loss, list(network.parameters())), strict=True))
    assert way.loss == pytest.approx(loss.item())
    assert way.losses == {"y": pytest.approx(loss.item())}
    layers = {layer.name: layer for layer in way.layers}
    for name in ("body.layers.0", "body.layers.3", "heads.0.output"):
        own = torch.cat([gradients[f"{name}.weight"].flatten(), gradients[f"{name}.bias"]])
        assert layers[name].gradient == pytest.approx(float(own.norm()), rel=1e-5)
        # A bias is added to what the layer gives, so both have one gradient.
        assert layers[name].gradient_given == pytest.approx(float(gradients[f"{name}.bias"].norm()), rel=1e-5)
    assert layers["body.layers.1"].gradient is None


@pytest.mark.parametrize("clip_norm", [0.0, 0.01])
def test_a_plain_step_is_that_of_torch(model: Model, clip_norm: float):
    row, network = made().slice(5, 1), copy.deepcopy(model.network)
    (step,) = walked(model, row, [PLAIN], clip_norm=clip_norm).steps
    before = copy.deepcopy(network)
    loss_of(network, model, row).backward()
    clip([weight.grad for weight in network.parameters()], clip_norm, stacked=False)
    torch.optim.SGD(network.parameters(), lr=RATE).step()
    with torch.no_grad():
        assert step.loss == pytest.approx(float(loss_of(network, model, row)), rel=1e-5)
        for name in ("body.layers.0", "heads.0.output"):
            old, new = (torch.cat([p.flatten() for p in n.get_submodule(name).parameters()]) for n in (before, network))
            assert step.moved[name] == pytest.approx(float((new - old).norm() / old.norm()), rel=1e-3)
    assert (step.optimizer, step.rate) == ("sgd", RATE)


def test_a_first_step_of_adam_moves_each_weight_by_the_rate(model: Model):
    way = walked(model, made().slice(5, 1), [Choice("adam", {"lr": 1e-3})])
    weights = model.network.get_submodule("heads.0.output")
    count = sum(weight.numel() for weight in weights.parameters())
    size = torch.cat([weight.detach().flatten() for weight in weights.parameters()]).norm()
    assert way.steps[0].moved["heads.0.output"] <= 1e-3 * count**0.5 / float(size) * 1.001
    assert way.steps[0].loss < way.loss


def test_layers_are_shown_in_the_order_in_which_the_row_passes_them(model: Model):
    way = walked(model, made().slice(0, 1), [])
    names = [layer.name for layer in way.layers]
    assert names[-5:] == ["body.layers.0", "body.layers.1", "body.layers.3", "body.layers.4", "heads.0.output"]
    relu = next(layer for layer in way.layers if layer.name == "body.layers.1")
    assert (relu.what, relu.shape, relu.low) == ("ReLU", (1, 8), 0.0)
    before = next(layer for layer in way.layers if layer.name == "body.layers.0")
    assert relu.first == tuple(max(0.0, value) for value in before.first)
    assert relu.zeros == pytest.approx(round(relu.zeros * 8) / 8)
    assert before.low <= before.mean <= before.high


def test_cells_truth_and_answer_are_the_rows(model: Model):
    row = made().slice(7, 1)
    way = walked(model, row, [])
    assert way.truth == {"y": row["y"][0].as_py()}
    assert way.cells["letter"] == row["letter"][0].as_py()
    assert set(way.cells) == {"u", "v", "w", "letter"}
    assert way.answer["y"] == model.predict(row)["y"][0].as_py()


def test_the_model_stays_as_it_is(model: Model):
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    gradients = [weight.grad for weight in model.network.parameters()]
    walked(model, made().slice(5, 1), [PLAIN, Choice("adamw", {"lr": 1.0})])
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert all(weight.grad is own for weight, own in zip(model.network.parameters(), gradients, strict=True))
    assert not model.network.training
    assert not any(module._forward_hooks for module in model.network.modules())


def test_optimizers_that_take_no_plain_step_are_left_out(model: Model):
    choices = [Choice(name) for name in ("lbfgs", "schedule_free", "muon", "lion")]
    assert [step.optimizer for step in walked(model, made().slice(0, 1), choices).steps] == ["muon", "lion"]


def test_a_row_without_its_target_has_no_loss(model: Model):
    row = made().slice(0, 1).set_column(4, "y", pa.array([None], pa.string()))
    with pytest.raises(SchemaError, match="has no value of 'y'"):
        walked(model, row, [])


@pytest.mark.parametrize(
    "more",
    [
        {"net": "resnet", "picture": True},
        {"net": "tabm"},
        {"net": "mlp", "ensemble": 3},
        {"net": "tab_resnet", "ensemble": 2},
        {"target": "none"},
    ],
    ids=["pictures", "tabm", "stacked", "apart", "rebuilt"],
)
def test_rows_walk_through_every_sort_of_network(more: dict[str, Any]):
    table, target = made(), more.pop("target", "y")
    if more.pop("picture", False):
        pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)
        table = pa.table({"x": pa.FixedShapeTensorArray.from_numpy_ndarray(pixels), "y": table["y"]})
    model = fathom.fit(table, target, **more, **QUICK | {"budget": "3steps"}).model
    way = walked(model, table.slice(3, 1), [PLAIN])
    assert way.steps[0].loss < way.loss
    weights = [layer for layer in way.layers if layer.gradient is not None]
    assert weights
    assert {layer.name for layer in weights} <= set(way.steps[0].moved)
    if target == "y":
        assert way.cells.get("x", "8 × 8 pixels") == "8 × 8 pixels"
