"""Each optimizer does what its paper writes, and each schedule what it says; formulas are written out in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.registry import Choice
from fathom.signals import Batch, Loss
from fathom.training import OPTIMIZERS
from fathom.training.checkpoint import read_checkpoint, write_checkpoint
from fathom.training.optimizers import parameter_groups
from fathom.training.update import Update

STEPS = 30
Vector = np.ndarray
Rule = Callable[[Vector, Callable[[Vector], Vector]], Iterator[Vector]]

NAMES = OPTIMIZERS.names()


def start() -> Vector:
    return np.random.default_rng(0).normal(size=(3, 4))


def slope(x: Vector) -> Vector:
    """The gradient of a bowl that is steeper along some axes, a little bent."""
    return np.linspace(0.2, 2.0, x.size).reshape(x.shape) * x + 0.3 * np.sin(3 * x)


# The papers' formulas, in float64.


def gradient_descent(lr: float, momentum: float, *, nesterov: bool) -> Rule:
    """Sutskever et al. 2013, equations 3 and 4, with the velocity in units of the gradient."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        velocity = np.zeros_like(x)
        while True:
            g = gradient(x)
            velocity = momentum * velocity + g
            x = x - lr * (g + momentum * velocity if nesterov else velocity)
            yield x

    return run


def rmsprop(lr: float, smoothing: float, momentum: float) -> Rule:
    """Tieleman and Hinton 2012, lecture 6e."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        mean_square, velocity = np.zeros_like(x), np.zeros_like(x)
        while True:
            g = gradient(x)
            mean_square = smoothing * mean_square + (1 - smoothing) * g**2
            velocity = momentum * velocity + g / (np.sqrt(mean_square) + 1e-8)
            x = x - lr * velocity
            yield x

    return run


def adam(lr: float, beta1: float, beta2: float, decay: float = 0.0) -> Rule:
    """Kingma and Ba 2015, algorithm 1; with decay, Loshchilov and Hutter 2019, algorithm 2, line 12."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        mean, square, t = np.zeros_like(x), np.zeros_like(x), 0
        while True:
            g, t = gradient(x), t + 1
            mean = beta1 * mean + (1 - beta1) * g
            square = beta2 * square + (1 - beta2) * g**2
            unbiased, unbiased_square = mean / (1 - beta1**t), square / (1 - beta2**t)
            x = x - lr * unbiased / (np.sqrt(unbiased_square) + 1e-8) - lr * decay * x
            yield x

    return run


PAPERS: list[tuple[str, dict[str, Any], Rule]] = [
    ("sgd", {"lr": 0.1, "momentum": 0.0, "nesterov": False}, gradient_descent(0.1, 0.0, nesterov=False)),
    ("sgd", {"lr": 0.1, "momentum": 0.0}, gradient_descent(0.1, 0.0, nesterov=False)),
    ("sgd", {"lr": 0.05, "momentum": 0.8, "nesterov": False}, gradient_descent(0.05, 0.8, nesterov=False)),
    ("sgd", {"lr": 0.05, "momentum": 0.8}, gradient_descent(0.05, 0.8, nesterov=True)),
    ("rmsprop", {"lr": 0.02, "smoothing": 0.9}, rmsprop(0.02, 0.9, 0.0)),
    ("rmsprop", {"lr": 0.02, "smoothing": 0.9, "momentum": 0.5}, rmsprop(0.02, 0.9, 0.5)),
    ("adam", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95}, adam(0.05, 0.8, 0.95)),
    ("adamw", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3}, adam(0.05, 0.8, 0.95, 0.3)),
    ("adamw", {"lr": 0.05, "weight_decay": 0.0}, adam(0.05, 0.9, 0.999)),
]


def path(name: str, options: dict[str, Any]) -> list[Vector]:
    """Where an optimizer goes in float64, step by step."""
    return descent(name, options, torch.tensor(start()))


def descent(name: str, options: dict[str, Any], first: Tensor) -> list[Vector]:
    parameter = nn.Parameter(first.clone())
    optimizer = OPTIMIZERS.build(Choice(name, options), parameter_groups([parameter], apart=True))
    places = []
    for _ in range(STEPS):
        parameter.grad = torch.empty_like(parameter).copy_(torch.tensor(slope(parameter.detach().numpy())))
        optimizer.step()
        places.append(parameter.detach().numpy().copy())
    return places


def furthest(ours: list[Vector], rule: Rule) -> float:
    """How far a path and a formula come apart."""
    formula = rule(ours[0] * 0 + start(), slope)
    return max(float(np.abs(place - next(formula)).max()) for place in ours)


@pytest.mark.parametrize(("name", "options", "rule"), PAPERS)
def test_an_optimizer_follows_its_paper(name: str, options: dict[str, Any], rule: Rule):
    assert furthest(path(name, options), rule) < 1e-12


def test_every_optimizer_is_held_against_its_paper():
    assert {name for name, _, _ in PAPERS} == set(NAMES)


@pytest.mark.parametrize(
    ("name", "options", "rule"),
    [
        ("sgd", {"lr": 0.05, "momentum": 0.8}, gradient_descent(0.05, 0.8, nesterov=False)),
        ("rmsprop", {"lr": 0.02, "smoothing": 0.9}, rmsprop(0.02, 0.99, 0.0)),
        ("adam", {"lr": 0.05}, adam(0.05, 0.9, 0.99)),
        ("adamw", {"lr": 0.05, "weight_decay": 0.01}, adam(0.05, 0.9, 0.999)),
    ],
)
def test_another_formula_is_told_apart(name: str, options: dict[str, Any], rule: Rule):
    assert furthest(path(name, options), rule) > 1e-4


def kernel(layout: torch.memory_format) -> Tensor:
    return torch.tensor(np.random.default_rng(1).normal(size=(4, 3, 2, 2))).contiguous(memory_format=layout)


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_in_memory_changes_no_step(name: str):
    plain, last = (descent(name, {}, kernel(layout)) for layout in (torch.contiguous_format, torch.channels_last))
    np.testing.assert_allclose(plain, last, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_converges_on_a_quadratic(name: str, dtype: torch.dtype):
    """1,000 steps with the default options, the rate falling to zero, on ½ (x − m)ᵀ A (x − m)."""
    steepness = torch.logspace(-0.5, 0.5, 12, dtype=dtype).view(3, 4)
    minimum = torch.full((3, 4), 0.5, dtype=dtype)
    parameter = nn.Parameter(torch.zeros(3, 4, dtype=dtype))
    options = {"lr": 0.05} | ({"weight_decay": 0.0} if "weight_decay" in OPTIMIZERS.get(name).options else {})
    optimizer = OPTIMIZERS.build(Choice(name, options), parameter_groups([parameter], apart=True))
    for step in range(1000):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 1000)
        optimizer.zero_grad()
        (steepness * (parameter - minimum).square() / 2).sum().backward()
        optimizer.step()
    assert float((parameter.detach() - minimum).abs().max()) < 1e-3


class Kernel(nn.Module):
    """A convolution's kernel, and a bowl in which it descends."""

    whole_batch = False

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(first.float())
        self.bias = nn.Parameter(torch.ones(3))

    @property
    def parts(self) -> dict[str, list[nn.Parameter]]:
        return {"network": [self.weight, self.bias]}

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        steepness = torch.linspace(0.2, 2.0, self.weight.numel()).view(self.weight.shape)
        return {"bowl": Loss((steepness * self.weight.square()).sum() + self.bias.exp().sum(), torch.tensor(1.0))}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_goes_on_from_a_checkpoint_to_the_same_bits(
    name: str, layout: torch.memory_format, tmp_path: Path
):
    whole = Kernel(kernel(layout))
    update = Update(whole, Choice(name), seed=0)
    for step in range(STEPS):
        update({}, step, 1.0)
    write_checkpoint(tmp_path / "half", {"weights": dict(whole.state_dict()), "optimizer": update.state()})
    tree = read_checkpoint(tmp_path / "half")
    resumed = Kernel(torch.zeros(4, 3, 2, 2).contiguous(memory_format=layout))
    resumed.load_state_dict(tree["weights"])
    other = Update(resumed, Choice(name), seed=0)
    other.restore(tree["optimizer"])
    for step in range(STEPS, 2 * STEPS):
        update({}, step, 1.0)
        other({}, step, 1.0)
    assert resumed.weight.stride() == whole.weight.stride()
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)


def test_a_parameter_without_a_gradient_stays():
    for name in NAMES:
        still, moved = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
        optimizer = OPTIMIZERS.build(Choice(name), parameter_groups([still, moved], apart=True))
        moved.grad = torch.ones(2, 2)
        optimizer.step()
        assert torch.equal(still, torch.ones(2, 2)), name
        assert not torch.equal(moved, torch.ones(2, 2)), name


def test_matrices_decay_and_vectors_do_not():
    matrix, kernel, vector, scalar = (nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (1, 1, 3, 3), (2,), ()))
    frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)
    groups = parameter_groups([matrix, vector, frozen, kernel, scalar], apart=True)
    held = {group["decays"]: [id(parameter) for parameter in group["params"]] for group in groups}
    assert held == {True: [id(matrix), id(kernel)], False: [id(vector), id(scalar)]}


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_that_is_none_is_refused(name: str):
    for rate in (0.0, -1.0, math.nan, 11.0):
        with pytest.raises(ConfigError, match="lr"):
            OPTIMIZERS.checked(Choice(name, {"lr": rate}))
