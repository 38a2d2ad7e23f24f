"""Networks made to vanish, explode, die, saturate, freeze and leap say so; healthy ones raise nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import fathom
from fathom.nets import ACTIVATIONS, INITIALIZATIONS, NETS, NORMS
from fathom.registry import Choice, options_of
from fathom.training import OPTIMIZERS
from fathom.training.engine import Trainer
from fathom.training.symptoms import Symptom, symptoms
from tests.training.small import Small, trained

OPTIONS: dict[str, Any] = {"measure": False, "baseline": False, "folds": 0, "budget": "200steps"}


class Stack(Small):
    """A perceptron whose layers are as ill as they are made to be."""

    def __init__(self, depth: int, activation: Callable[[], nn.Module], ill: Callable[[nn.Linear], None]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            widths = [3, *[16] * depth]
            layers: list[nn.Module] = []
            for inside, outside in pairwise(widths):
                layers += [nn.Linear(inside, outside), activation()]
                nn.init.xavier_uniform_(layers[-2].weight)
                ill(layers[-2])
            self.layers = nn.Sequential(*layers, nn.Linear(16, 1))


def well(layer: nn.Linear) -> None:
    """Nothing ails it."""


def biased(value: float) -> Callable[[nn.Linear], None]:
    return lambda layer: nn.init.constant_(layer.bias, value)  # type: ignore[return-value]


def scaled(factor: float) -> Callable[[nn.Linear], None]:
    return lambda layer: layer.weight.data.mul_(factor)  # type: ignore[return-value]


def told(
    depth: int,
    activation: Callable[[], nn.Module] = nn.ReLU,
    ill: Callable[[nn.Linear], None] = well,
    **options: Any,
) -> dict[str, Symptom]:
    run = trained("120steps", module=Stack(depth, activation, ill), **options)
    return {symptom.name: symptom for symptom in symptoms(run.outcome.depths)}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_twenty_sigmoids_vanish(optimizer: str):
    found = told(20, nn.Sigmoid, optimizer=Choice(optimizer))
    assert found["vanishing"].layer == "layers.0"
    assert re.match(
        r"layers\.0 \(and \d+ more\): its gradient is \de-\d\d of the last layer's", found["vanishing"].words
    )


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.SiLU])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_network_that_learns_has_no_symptom(activation: Callable[[], nn.Module], depth: int):
    assert told(depth, activation) == {}


def test_twenty_layers_with_norms_have_none():
    net = {"name": "mlp", "hidden": [32] * 20, "activation": "sigmoid", "norm": "batch", "dropout": 0.0}
    run = fathom.fit("iris", net=net, **OPTIONS)
    assert symptoms(run.outcome.depths) == ()


def test_weights_that_start_large_explode():
    found = told(6, nn.ReLU, scaled(6.0), optimizer=Choice("sgd", {"lr": 1e-6}))
    assert "exploding" in found
    assert "training.clip_norm" in found["exploding"].words


def test_a_gradient_that_grows_towards_the_inputs_explodes():
    records = [sample(k, first=5e3, last=1.0) for k in range(5)]
    assert [symptom.name for symptom in symptoms(records)] == ["exploding"]
    assert symptoms([sample(k, first=50.0, last=1.0) for k in range(5)]) == ()


def test_units_whose_bias_is_far_below_0_are_dying():
    found = told(2, nn.ReLU, biased(-100.0))
    assert found["dying"].layer in {"layers.0", "layers.2"}
    assert "100% of its units are silent" in found["dying"].words


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh])
def test_units_whose_bias_is_far_from_0_are_saturated(activation: Callable[[], nn.Module]):
    assert "100% of its units stand at a bound" in told(2, activation, biased(100.0))["saturated"].words


def test_a_rate_too_small_freezes():
    assert set(told(2, optimizer=Choice("sgd", {"lr": 1e-6}))) == {"frozen"}


@pytest.mark.parametrize("schedule", ["wsd", "cosine", "linear"])
def test_a_rate_that_falls_to_0_at_the_end_freezes_nothing(schedule: str):
    assert told(2, schedule=Choice(schedule)) == {}


def test_a_rate_too_large_makes_large_updates():
    assert "large updates" in told(2, nn.Tanh, optimizer=Choice("adamw", {"lr": 0.5}))


def sample(step: int, **gradients: float) -> dict[str, Any]:
    others = {"update": 1e-3, "dead": None, "saturated": None, "mean": None, "deviation": None}
    return {"step": step, "layers": {layer: {"gradient": norm, **others} for layer, norm in gradients.items()}}


def test_two_samples_are_too_few_to_tell():
    ill = [sample(k, first=1e-9, last=1.0) for k in range(3)]
    assert symptoms([]) == symptoms(ill[:2]) == ()
    assert [symptom.layer for symptom in symptoms(ill)] == ["first"]


def test_what_has_no_gradient_in_most_batches_has_not_vanished():
    rare = [sample(k, missing=0.1 if k % 4 == 0 else 0.0, last=1.0) for k in range(12)]
    assert symptoms(rare) == ()


def test_branches_that_start_at_0_have_not_vanished():
    assert symptoms([sample(0, branch=0.0, last=1.0), *(sample(k, branch=0.1, last=1.0) for k in range(1, 9))]) == ()


def test_every_remedy_exists():
    ill = {"gradient": 1e-9, "update": 1.0, "dead": 1.0, "saturated": 1.0, "mean": None, "deviation": None}
    rest = {"gradient": 1e9, "update": 1e-9, "dead": None, "saturated": None, "mean": None, "deviation": None}
    records = [
        {"step": k, "layers": {"first": ill, "middle": rest, "last": {**ill, "gradient": 1.0}}} for k in range(5)
    ]
    found = symptoms(records)
    assert {symptom.name for symptom in found} == {
        *("vanishing", "exploding", "dying", "saturated", "frozen", "large updates"),
    }
    words = " ".join(symptom.words for symptom in found)
    options = {"optimizer": OPTIMIZERS.get("adamw").options, "net": NETS.get("mlp").options}
    registries = {"norm": NORMS, "activation": ACTIVATIONS, "initialization": INITIALIZATIONS}
    for key, value in re.findall(r"--set ([\w.]+)=([\w.]+)", words):
        place, option = key.split(".")
        assert option == "name" or option in (options_of(Trainer) if place == "training" else options[place]), key
        if option in registries:
            assert value in registries[option].names()
    assert set(re.findall(r"--net (\w+)", words)) <= set(NETS.names())


def test_fit_warns_of_them_in_a_line_each(tmp_path: Path):
    said: list[str] = []
    net = {"name": "mlp", "hidden": [16] * 20, "activation": "sigmoid", "initialization": "xavier", "dropout": 0.0}
    fathom.fit("iris", net=net, say=said.append, out=tmp_path / "run", **OPTIONS)
    (warning,) = [line for line in said if "vanishing" in line]
    assert warning.startswith("warning: body.layers.0")
    assert "\n" not in warning


def test_fit_warns_of_nothing_where_nothing_ails_it(tmp_path: Path):
    said: list[str] = []
    fathom.fit("iris", say=said.append, **{**OPTIONS, "folds": 3})
    assert not [line for line in said if line.startswith("warning")]
