"""Muon: torch's own where it multiplies in the same type, which weights it takes, and AdamW for the rest."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathom.layout import Layout, choose_layout
from fathom.nets.stacked import Stacked, StackedLinear
from fathom.network import Network
from fathom.registry import Choice
from fathom.signals import CategorySpec, ImageSpec, NumberSpec
from fathom.training import OPTIMIZERS
from fathom.training.hidden import hidden_matrices
from fathom.training.muon import orthogonalized
from fathom.training.optimizers import parameter_groups

NUMBERS = NumberSpec(2, (0.0,) * 2, (1.0,) * 2, (0.0,) * 2, (1.0,) * 2, ((-1.0, 1.0),) * 2, (False,) * 2)
CATEGORIES = CategorySpec(1, (90,), ((1.0,) * 90,))
TARGETS = {"y": ("category", CategorySpec(1, (3,), ((1.0,) * 3,)))}


def gradient(value: Tensor, step: int) -> Tensor:
    return torch.randn(value.shape, generator=torch.Generator().manual_seed(step)) + 0.1 * value.detach()


def moved(optimizer: Any, parameters: list[nn.Parameter], steps: int = 5) -> list[Tensor]:
    for step in range(steps):
        for parameter in parameters:
            parameter.grad = gradient(parameter, step)
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


def weights(*shapes: tuple[int, ...]) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def built(name: str, parameters: list[nn.Parameter], **options: Any) -> Any:
    return OPTIMIZERS.build(Choice(name, options), parameter_groups(parameters, apart=True))


def test_it_is_the_muon_of_torch_but_for_its_sixteen_bits(monkeypatch: pytest.MonkeyPatch):
    shapes = [(4, 7), (7, 4), (5, 5), (4, 7)]
    options = {"weight_decay": 0.1, "momentum": 0.8}
    theirs = partial(torch.optim.Muon, lr=0.02, adjust_lr_fn="match_rms_adamw", **options)
    ours = moved(built("muon", (own := weights(*shapes)), lr=0.02, **options), own)
    rough = moved(theirs(other := weights(*shapes)), other)
    torch.testing.assert_close(ours, rough, atol=0.02, rtol=0)
    monkeypatch.setattr(Tensor, "bfloat16", lambda value: value)
    torch.testing.assert_close(ours, moved(theirs(other := weights(*shapes)), other), atol=1e-5, rtol=0)


def test_a_kernel_moves_as_the_matrix_that_it_is():
    (kernel,), (matrix,) = weights((6, 3, 2, 2)), weights((6, 12))
    with torch.no_grad():
        matrix.copy_(kernel.flatten(1))
    torch.manual_seed(1)
    slope = torch.randn(6, 3, 2, 2)
    kernel.grad, matrix.grad = slope, slope.flatten(1)
    for parameter in (kernel, matrix):
        built("muon", [parameter]).step()
    torch.testing.assert_close(kernel.detach().flatten(1), matrix.detach())


def test_members_move_as_each_would_alone():
    torch.manual_seed(0)
    stack, slope = Stacked(torch.randn(3, 4, 6)), torch.randn(3, 4, 6)
    alone = [nn.Parameter(stack.detach()[k].clone()) for k in range(3)]
    stack.grad = slope
    groups = parameter_groups([stack], apart=True, hidden={stack})
    OPTIMIZERS.build(Choice("muon"), groups).step()
    for k, member in enumerate(alone):
        member.grad = slope[k]
        built("muon", [member]).step()
        torch.testing.assert_close(stack.detach()[k], member.detach())


def test_singular_values_come_near_one():
    torch.manual_seed(0)
    for shape in ((3, 5, 9), (2, 9, 5)):
        values = torch.linalg.svdvals(orthogonalized(torch.randn(shape), 5))
        assert 0.6 < float(values.min()) <= float(values.max()) < 1.25
    assert float(torch.linalg.svdvals(orthogonalized(torch.randn(1, 9, 9), 1)).min()) < 0.5


def test_embeddings_outputs_and_vectors_go_by_adamw():
    inputs = {"pack/number": ("number", NUMBERS), "pack/category": ("category", CATEGORIES)}
    layout = choose_layout(inputs, TARGETS, net=Choice("mlp"))

    def trained(name: str) -> dict[str, Tensor]:
        torch.manual_seed(0)
        network = Network(inputs, TARGETS, layout)
        hidden = hidden_matrices(network)
        groups = parameter_groups(network.parameters(), apart=True, hidden=hidden if name == "muon" else None)
        moved(OPTIMIZERS.build(Choice(name), groups), list(network.parameters()), 2)
        return {key: value.detach() for key, value in network.named_parameters()}

    muon, adamw = trained("muon"), trained("adamw")
    differing = {key for key in muon if not torch.equal(muon[key], adamw[key])}
    assert differing == {key for key in muon if key.startswith("body") and key.endswith("weight")}
    assert any("tables" in key for key in muon)


def test_a_kernel_of_one_channel_is_no_matrix():
    layers = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 1), nn.Linear(2, 2), nn.Embedding(3, 2))
    stacked = StackedLinear([nn.Linear(2, 2), nn.Linear(2, 2)])
    found = hidden_matrices(nn.Sequential(layers, stacked, nn.LayerNorm(2)))
    assert found == {layers[1].weight, layers[2].weight, stacked.weight}


def test_pictures_are_trained_by_it():
    inputs = {"input/x": ("image", ImageSpec(1, 12, 12, (100.0,), (50.0,)))}
    layout: Layout = choose_layout(inputs, TARGETS)
    network = Network(inputs, TARGETS, layout)
    groups = parameter_groups(network.parameters(), apart=True, hidden=hidden_matrices(network))
    assert any(group.get("hidden") and group["params"][0].dim() == 4 for group in groups)
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
