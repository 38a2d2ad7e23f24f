"""Activations, norms and initializations: their values, and that each can be used in each net that chooses one."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import ACTIVATIONS, INITIALIZATIONS, NETS, NORMS
from fathom.nets.initialization import initialize
from fathom.registry import Choice
from fathom.runtime import seeded
from fathom.signals import ImageSpec, SignalSpec

X = torch.linspace(-8, 8, 161, dtype=torch.float64)

FORMULAS = {
    "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
    "tanh": lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
    "relu": lambda x: torch.clamp(x, min=0),
    "relu2": lambda x: torch.clamp(x, min=0) ** 2,
    "relu6": lambda x: torch.clamp(x, min=0, max=6),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "elu": lambda x: torch.where(x > 0, x, torch.exp(x) - 1),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "selu": lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (torch.exp(x) - 1)),
    "mish": lambda x: x * torch.tanh(torch.log(1 + torch.exp(x))),
}
OPTIONS = [
    ({"name": "leaky_relu", "slope": 0.3}, lambda x: F.leaky_relu(x, 0.3)),
    ({"name": "elu", "alpha": 2.0}, lambda x: F.elu(x, 2.0)),
    ({"name": "gelu", "approximate": "tanh"}, lambda x: F.gelu(x, approximate="tanh")),
]
CHOOSING = [
    (net, option.name, entry.name)
    for net in NETS
    for option in net.options.values()
    if option.registry is not None
    for entry in option.registry
]
SPECS = {
    "vector": (SignalSpec(6), (6,)),
    "image": (ImageSpec(3, 8, 8, (100.0,) * 3, (50.0,) * 3), (3, 8, 8)),
    "tokens": (SignalSpec(8, ("tokens",)), (4, 8)),
}


def gain(name: str) -> float:
    """The factor on the deviation for each activation (He et al. 2015; LeCun et al. 1998 for tanh, as torch has it)."""
    return {"tanh": 5 / 3, "sigmoid": 1.0}.get(name, math.sqrt(2))


@pytest.mark.parametrize("entry", list(ACTIVATIONS), ids=lambda entry: entry.name)
def test_an_activation_keeps_shape_and_is_finite(entry):
    x = torch.randn(3, 4, 5, 2)
    y = ACTIVATIONS.build(entry.name)(x)
    assert y.shape == x.shape
    assert torch.isfinite(ACTIVATIONS.build(entry.name)(torch.tensor([-1e4, 0.0, 1e4]))).all()


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_an_activation_has_the_values_of_its_formula(name):
    torch.testing.assert_close(ACTIVATIONS.build(name)(X), FORMULAS[name](X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("choice", "expected"), OPTIONS, ids=lambda value: str(getattr(value, "get", str)("name")))
def test_an_option_changes_an_activation_as_it_does_in_torch(choice, expected):
    torch.testing.assert_close(ACTIVATIONS.build(choice)(X), expected(X))


@pytest.mark.parametrize(("net", "option", "name"), CHOOSING, ids=[f"{n.name}-{o}-{c}" for n, o, c in CHOOSING])
def test_each_choice_can_be_used_in_each_net_that_offers_it(net, option, name):
    spec, shape = SPECS[net.facts["takes"]]
    with seeded(0):
        built = NETS.build(Choice(net.name, {option: name}), spec)
        given = torch.rand(5, *shape) * (255 if net.facts["takes"] == "image" else 1)
        signal = built(given, None) if net.facts["takes"] == "tokens" else built(given)
    assert torch.isfinite(signal.vector).all()
    signal.vector.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in built.parameters())
    assert any(p.grad.abs().sum() > 0 for p in built.parameters())


def test_mlp_and_convnet_offer_every_activation_norm_and_initialization():
    offered = {(net.name, name) for net, _, name in CHOOSING if net.name in ("mlp", "convnet")}
    names = {entry.name for registry in (ACTIVATIONS, NORMS, INITIALIZATIONS) for entry in registry}
    assert offered == {(net, name) for net in ("mlp", "convnet") for name in names}


@pytest.mark.parametrize(("dimensions", "shape"), [(1, (16, 6)), (2, (16, 6, 5, 4))])
def test_batch_norm_centres_each_feature_over_the_batch(dimensions, shape):
    x = torch.randn(shape) * 3 + 5
    over = [0, *range(2, len(shape))]
    y = NORMS.build("batch", 6, dimensions).train()(x)
    torch.testing.assert_close(y.mean(over), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(over, unbiased=False), torch.ones(6), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("dimensions", "shape"), [(1, (16, 6)), (2, (16, 6, 5, 4))])
def test_layer_norm_centres_each_row_over_its_features(dimensions, shape):
    # Features that differ in their level: a norm of each feature alone would take that away.
    x = torch.randn(shape) * 3 + 5 * torch.arange(6.0).view(-1, *[1] * (len(shape) - 2))
    torch.testing.assert_close(NORMS.build("layer", 6, dimensions)(x), F.layer_norm(x, shape[1:]))


@pytest.mark.parametrize(("dimensions", "shape"), [(1, (16, 6)), (2, (16, 6, 5, 4))])
def test_rms_norm_divides_each_row_by_the_root_of_its_mean_square(dimensions, shape):
    x = torch.randn(shape) * 3 + 5
    y = NORMS.build("rms", 6, dimensions)(x)
    torch.testing.assert_close(y, x / x.square().flatten(1).mean(1).sqrt().view(-1, *[1] * (len(shape) - 1)))


@pytest.mark.parametrize(("features", "groups", "found"), [(64, 8, 8), (24, 32, 6), (30, 8, 6), (6, 8, 1), (2, 8, 1)])
@pytest.mark.parametrize("places", [(), (5, 4)])
def test_group_norm_centres_each_row_over_groups_of_at_least_four_features(features, groups, found, places):
    x = torch.randn(16, features, *places) * 3 + 5 * torch.arange(features).view(-1, *[1] * len(places))
    y = NORMS.build(Choice("group", {"groups": groups}), features, 2 if places else 1)(x)
    torch.testing.assert_close(y, F.group_norm(x, found), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_no_norm_changes_nothing(dimensions):
    x = torch.randn(4, 6, *[3] * (2 * dimensions - 2))
    assert torch.equal(NORMS.build("none", 6, dimensions)(x), x)


@pytest.mark.parametrize("shape", [(400, 300), (64, 32, 3, 3)])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("name", ["xavier", "he"])
def test_an_initialization_has_the_variance_of_its_formula(name, uniform, activation, shape):
    layer = _layer(shape)
    with seeded(0):
        initialize(layer, Choice(name, {"uniform": uniform}), Choice(activation))
    places = math.prod(shape[2:])
    inputs, outputs = shape[1] * places, shape[0] * places
    variance = gain(activation) ** 2 * (1 / inputs if name == "he" else 2 / (inputs + outputs))
    assert layer.weight.mean().abs() < 4 * math.sqrt(variance / layer.weight.numel())
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.04)
    assert _is_uniform(layer.weight) == uniform


@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (16, 4, 3, 3)])
def test_an_orthogonal_matrix_has_orthogonal_rows_or_columns(shape):
    layer = _layer(shape)
    initialize(layer, Choice("orthogonal"), Choice("relu"))
    matrix = layer.weight.detach().flatten(1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(product, 2 * torch.eye(len(product)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", INITIALIZATIONS.names())
def test_biases_start_at_zero_and_norms_are_left_alone(name):
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    initialize(module, Choice(name), Choice("relu"))
    assert module[0].bias.abs().sum() == 0
    assert module[1].weight.eq(1).all()


def test_deep_stacks_keep_their_scale():
    with seeded(0):
        stack = NETS.build(Choice("mlp", {"hidden": (256,) * 20, "dropout": 0.0}), SignalSpec(256))
        spread = stack(torch.randn(64, 256)).vector.square().mean().item()
    assert 0.1 < spread < 10


def _layer(shape: tuple[int, ...]) -> nn.Module:
    return nn.Linear(shape[1], shape[0]) if len(shape) == 2 else nn.Conv2d(shape[1], shape[0], shape[2:])


def _is_uniform(weight: Tensor) -> bool:
    """A uniform draw never leaves sqrt(3) deviations; of a normal one, a twelfth does."""
    return bool(weight.abs().max() < 1.8 * weight.std())
