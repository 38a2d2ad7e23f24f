"""Schedule-free AdamW: the authors' package, and the weights that are evaluated and kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathom.registry import Choice
from fathom.training.optimizers import parameter_groups
from fathom.training.schedule_free import schedule_free
from fathom.training.update import Update
from tests.training.small import Small, rows, same, trained


def weights() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in ((3, 4), (5,))]


def moved(optimizer: Any, parameters: list[nn.Parameter], rates: list[float]) -> None:
    for step, rate in enumerate(rates):
        draw = torch.Generator().manual_seed(step)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=draw) + 0.1 * parameter.detach()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()


@pytest.mark.parametrize("rates", [[0.05] * 20, [0.05 * k / 10 for k in range(1, 11)] + [0.05] * 10])
def test_it_is_the_package_of_its_authors(rates: list[float]):
    package = pytest.importorskip("schedulefree")
    ours, theirs = weights(), weights()
    own = schedule_free(parameter_groups(ours, apart=True), beta1=0.8, weight_decay=0.1)
    groups = [{"params": theirs[:1], "weight_decay": 0.1}, {"params": theirs[1:], "weight_decay": 0.0}]
    other = package.AdamWScheduleFree(groups, betas=(0.8, 0.999))
    other.train()
    moved(own, ours, rates)
    moved(other, theirs, rates)
    torch.testing.assert_close(ours, theirs)
    before = [parameter.detach().clone() for parameter in ours]
    other.eval()
    with own.averaged():  # type: ignore[attr-defined]
        torch.testing.assert_close(ours, theirs)
        assert not torch.equal(ours[0], before[0])
    assert all(torch.equal(parameter, b) for parameter, b in zip(ours, before, strict=True))


def test_the_average_is_that_of_where_z_has_been():
    (parameter,) = [nn.Parameter(torch.tensor([[1.0, -2.0]], dtype=torch.float64))]
    optimizer: Any = schedule_free(parameter_groups([parameter], apart=True), lr=0.1)
    been: list[Tensor] = []
    for step in range(5):
        moved(optimizer, [parameter], [0.1])
        been.append(optimizer.state[parameter]["z"].clone())
        with optimizer.averaged():
            torch.testing.assert_close(parameter.detach(), torch.stack(been).mean(0)), step


def test_the_engine_evaluates_and_keeps_the_average():
    run = trained("30steps", optimizer=Choice("schedule_free"), scores=[1.0, 2.0, 3.0])
    module = Small()
    update = Update(module, Choice("schedule_free"), seed=0, clip_norm=1.0)
    assert same(run.weights, run.looks[-1])
    assert not same(run.weights, dict(module.state_dict()))
    batch = rows().batch(torch.arange(8))
    for step in range(3):
        update(batch, step, 1.0)
    updated = {name: value.clone() for name, value in module.state_dict().items()}
    with update.averaged():
        assert not same(updated, dict(module.state_dict()))
    assert same(updated, dict(module.state_dict()))


def test_an_error_inside_the_block_leaves_the_weights_that_are_updated():
    (parameter,) = [nn.Parameter(torch.ones(2, 2))]
    optimizer: Any = schedule_free(parameter_groups([parameter], apart=True))
    moved(optimizer, [parameter], [0.1, 0.1])
    before = parameter.detach().clone()
    with pytest.raises(KeyError), optimizer.averaged():
        raise KeyError
    assert torch.equal(parameter, before)
