"""One update against the gradient that autograd alone gives, and against formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fathom.errors import ConfigError, Diverged
from fathom.registry import Choice
from fathom.signals import Batch, Loss
from fathom.training import update
from fathom.training.checkpoint import read_checkpoint
from tests.training.small import Small, poisoned, rows, same, trained

DEVICES = ["cpu", *([str(torch.accelerator.current_accelerator())] if torch.accelerator.is_available() else [])]


def one_update(batch: Batch, module: Small | None = None, **options: Any) -> tuple[Small, list[Tensor], float]:
    """A module after one step of plain descent at rate 1: before it, less its gradient."""
    module = module or Small()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    choice = options.pop("optimizer", Choice("sgd", {"lr": 1.0, "momentum": 0.0}))
    made = update.Update(module, choice, seed=0, **options)
    value = made(batch, 0, 1.0)
    steps = [b - parameter.detach() for b, parameter in zip(before, module.parameters(), strict=True)]
    return module, steps, value


def gradients(batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters of a new module, and the gradient of its mean loss, by autograd alone."""
    module = Small()
    total, weight, *_ = module.loss(batch, "network")["y"]
    found = torch.autograd.grad(total / weight, list(module.parameters()))
    return [parameter.detach() for parameter in module.parameters()], list(found)


# Divergence


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e20])
def test_a_loss_that_is_no_number_or_explodes_is_caught_before_the_update(value: float, tmp_path: Path):
    module, store = poisoned(33, value)
    before: list[dict[str, Tensor]] = []
    module.before = lambda: before.append({name: p.detach().clone() for name, p in module.named_parameters()})
    with pytest.raises(Diverged, match=r"step 33: the loss of price is (nan|inf|\d)") as raised:
        trained("60steps", module=module, store=store, directory=tmp_path / "run", checkpoint_s=0.0)
    assert raised.value.exit_status == 3
    assert same(dict(module.named_parameters()), before[-1])
    assert not same(before[-1], before[-2])
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")["progress"]["step"] == 33


def test_a_batch_norm_that_is_given_one_row_is_refused_in_words():
    with pytest.raises(ConfigError, match="batch norm needs two rows"):
        one_update(rows(4).batch(torch.arange(1)), Small(norm=True))
    with pytest.raises(ConfigError, match="batch norm needs two rows"):
        one_update(rows(4).batch(torch.arange(4)), Small(norm=True), accumulate=4)


def test_a_gradient_that_is_no_number_is_caught_before_the_update():
    class Rooted(Small):
        def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
            found = super().loss(batch, part)["y"]
            root = (self.layers[0].bias * 0).square().sum().sqrt()  # its value is 0, its slope no number
            return {"y": found._replace(total=found.total + root)}

    module = Rooted()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    with pytest.raises(Diverged, match="step 0: the gradient's norm is nan"):
        trained(module=module)
    assert all(torch.equal(b, parameter) for b, parameter in zip(before, module.parameters(), strict=True))


# The gradient


def test_the_gradient_is_that_of_the_mean_over_known_rows():
    batch = rows(known=0.7).batch(torch.arange(30))
    _, expected = gradients(batch)
    _, steps, value = one_update(batch)
    module = Small()
    torch.testing.assert_close(steps, expected)
    known = batch["known"].bool()
    assert value == pytest.approx(float((module.layers(batch["x"]) - batch["y"])[known].square().mean().detach()))


@pytest.mark.parametrize("pieces", [2, 3, 7, 30, 100])
def test_micro_batches_give_the_gradient_of_the_whole(pieces: int):
    batch = rows(known=0.5).batch(torch.arange(30))
    _, whole, value = one_update(batch)
    _, cut, cut_value = one_update(batch, accumulate=pieces)
    torch.testing.assert_close(cut, whole)
    assert cut_value == pytest.approx(value)


def test_a_batch_without_any_target_changes_nothing():
    batch = rows(known=0.0).batch(torch.arange(8))
    assert all(not step.any() for step in one_update(batch)[1])


@pytest.mark.parametrize("largest", [0.01, 1e6])
def test_the_gradient_is_clipped_to_its_norm(largest: float):
    batch = rows().batch(torch.arange(16))
    _, expected = gradients(batch)
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in expected))
    scale = min(1.0, largest / norm)
    _, steps, _ = one_update(batch, clip_norm=largest)
    torch.testing.assert_close(steps, [g * scale for g in expected])


def test_l1_and_l2_are_added_to_the_gradient_of_matrices():
    batch = rows().batch(torch.arange(16))
    parameters, expected = gradients(batch)
    _, steps, value = one_update(batch, l1=0.3, l2=0.7)
    for step, parameter, gradient in zip(steps, parameters, expected, strict=True):
        leaf = parameter.clone().requires_grad_()
        if leaf.dim() > 1:
            (added,) = torch.autograd.grad(0.3 * leaf.abs().sum() + 0.7 * leaf.square().sum() / 2, leaf)
            torch.testing.assert_close(step, gradient + added)
        else:
            torch.testing.assert_close(step, gradient)
    assert value == pytest.approx(one_update(batch)[2]), "the loss that is logged is without penalties"


def test_weight_decay_spares_biases_and_norms():
    module = Small(norm=True)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    batch = rows(known=0.0).batch(torch.arange(8))  # no target is known, so that the gradient is zero
    one_update(batch, module, optimizer=Choice("adamw", {"lr": 0.1, "weight_decay": 0.5}))
    for name, parameter in module.named_parameters():
        factor = 1 - 0.1 * 0.5 if parameter.dim() > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor, msg=name)


def test_frozen_parameters_stay():
    module = Small()
    module.layers[0].weight.requires_grad_(False)
    before = module.layers[0].weight.clone()
    trained(module=module, l2=0.1, optimizer=Choice("adamw", {"weight_decay": 0.5}))
    assert torch.equal(module.layers[0].weight, before)


@pytest.mark.parametrize("device", DEVICES)
def test_dropout_is_drawn_from_the_step(device: str):
    module = Small(dropout=0.5).to(device)
    batch = {key: value.to(device) for key, value in rows().batch(torch.arange(32)).items()}
    made = update.Update(module, Choice("sgd", {"lr": 1e-6}), seed=0)
    made(batch, 0, 0.0)
    values = [made(batch, step, 0.0) for step in (1, 2, 1)]
    assert values[0] == values[2] != values[1]
