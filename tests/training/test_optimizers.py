"""Each optimizer does what its paper writes (see ``papers``), and what is asked of every one."""

from __future__ import annotations

import math
from collections.abc import Callable
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
from tests.training.papers import OTHERS, PAPERS, Rule, Vector, height, slope, start

STEPS = 30
# torch keeps the product of NAdam's momenta in float32.
NEAR = {"nadam": 1e-6}

NAMES = OPTIMIZERS.names()


def advance(name: str, optimizer: Any, look: Callable[[], float]) -> None:
    """One step; ``look`` gives the loss, and puts gradients beside the parameters."""
    if OPTIMIZERS.get(name).facts.get("full_batch"):
        optimizer.step(look)
    else:
        look()
        optimizer.step()


def path(name: str, options: dict[str, Any]) -> list[Vector]:
    """Where an optimizer goes in float64, step by step."""
    return descent(name, options, torch.tensor(start()))


def descent(name: str, options: dict[str, Any], first: Tensor) -> list[Vector]:
    parameter = nn.Parameter(first.clone())
    optimizer = OPTIMIZERS.build(Choice(name, options), parameter_groups([parameter], apart=True))
    places = []

    def look() -> float:
        parameter.grad = torch.empty_like(parameter).copy_(torch.tensor(slope(parameter.detach().numpy())))
        return height(parameter.detach().numpy())

    for _ in range(STEPS):
        advance(name, optimizer, look)
        places.append(parameter.detach().numpy().copy())
    return places


def furthest(ours: list[Vector], rule: Rule) -> float:
    """How far a path and a formula come apart."""
    formula = rule(ours[0] * 0 + start(), slope)
    return max(float(np.abs(place - next(formula)).max()) for place in ours)


@pytest.mark.parametrize(("name", "options", "rule"), PAPERS)
def test_an_optimizer_follows_its_paper(name: str, options: dict[str, Any], rule: Rule):
    assert furthest(path(name, options), rule) < NEAR.get(name, 1e-12)


def test_every_optimizer_is_held_against_its_paper():
    assert {name for name, _, _ in PAPERS} | {"lbfgs"} == set(NAMES), "lbfgs is in test_lbfgs.py"


@pytest.mark.parametrize(("name", "options", "rule"), OTHERS)
def test_another_formula_is_told_apart(name: str, options: dict[str, Any], rule: Rule):
    assert furthest(path(name, options), rule) > 1e-4


def kernel(layout: torch.memory_format) -> Tensor:
    return torch.tensor(np.random.default_rng(1).normal(size=(4, 3, 2, 2))).contiguous(memory_format=layout)


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_in_memory_changes_no_step(name: str):
    plain, last = (descent(name, {}, kernel(layout)) for layout in (torch.contiguous_format, torch.channels_last))
    np.testing.assert_allclose(plain, last, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_converges_on_a_quadratic(name: str):
    """400 steps with the default options in float32, the rate falling to zero, on ½ (x − m)ᵀ A (x − m).

    In float64 the paths above are those of the papers.
    """
    steepness = torch.logspace(-0.5, 0.5, 12).view(3, 4)
    minimum = torch.full((3, 4), 0.5)
    parameter = nn.Parameter(torch.zeros(3, 4))
    options = {"lr": 0.05} | ({"weight_decay": 0.0} if "weight_decay" in OPTIMIZERS.get(name).options else {})
    optimizer = OPTIMIZERS.build(Choice(name, options), parameter_groups([parameter], apart=True))

    def look() -> float:
        optimizer.zero_grad()
        loss = (steepness * (parameter - minimum).square() / 2).sum()
        loss.backward()
        return float(loss.detach())

    for step in range(400):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 400)
        advance(name, optimizer, look)
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

        def look(parameter: nn.Parameter = moved) -> float:
            parameter.grad = parameter.detach().clone()
            return float(parameter.detach().square().sum() / 2)

        advance(name, optimizer, look)
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
