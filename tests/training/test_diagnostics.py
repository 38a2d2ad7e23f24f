"""Diagnostics see what really happens, change nothing, and cost nothing between samples."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fathom
from fathom.errors import ConfigError, Interrupted, ModelError
from fathom.nets.stacked import stack_layers
from fathom.registry import Choice
from fathom.training.checkpoint import read_checkpoint, write_checkpoint
from fathom.training.diagnostics import Depths, next_sample, read_depths
from fathom.training.update import Update
from tests.training.small import Small, rows, same, stopping, trained

CLOSE = {"rel": 1e-4, "abs": 1e-7}  # five digits are kept


def seen(module: nn.Module, given: Tensor) -> dict[str, dict[str, float | None]]:
    """What is seen of the layers where a module answers, and learns to answer 0."""

    def update() -> float:
        loss = module(given).square().mean()
        loss.backward()
        return loss.item()

    _, record = Depths(module).watched(0, update)
    return record["layers"]


def with_bias(layer: nn.Module, values: list[float]) -> nn.Module:
    """A layer with weights of 0, so that it gives its biases."""
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(values))
    return layer


def test_figures_are_those_computed_by_hand():
    module, batch = Small(), next(iter(rows().in_order(16)))
    first, last = module.layers[0], module.layers[4]
    hidden = torch.relu(batch["x"] @ first.weight.T + first.bias)
    given = hidden @ last.weight.T + last.bias
    loss = ((given - batch["y"]) * batch["known"]).square().sum() / batch["known"].sum()
    gradients = torch.autograd.grad(loss, [first.weight, first.bias, last.weight, last.bias])
    given = given.detach()
    norms = [math.hypot(float(a.norm()), float(b.norm())) for a, b in zip(gradients[::2], gradients[1::2], strict=True)]
    before = [math.hypot(*(float(weight.detach().norm()) for weight in layer.parameters())) for layer in (first, last)]
    update = Update(module, Choice("sgd", {"lr": 0.1, "momentum": 0.0}), seed=0, clip_norm=0.1)
    value, record = Depths(module).watched(7, lambda: update(batch, 7, 1.0))
    assert value == pytest.approx(loss.item())
    assert record["step"] == 7
    one, other = record["layers"]["layers.0"], record["layers"]["layers.4"]
    assert [one["gradient"], other["gradient"]] == pytest.approx(norms, **CLOSE)  # before clipping
    share = 0.1 / math.hypot(*norms)  # what clipping leaves of them
    moved = [0.1 * share * norm / size for norm, size in zip(norms, before, strict=True)]
    assert [one["update"], other["update"]] == pytest.approx(moved, rel=1e-2)
    assert other["mean"] == pytest.approx(float(given.mean()), **CLOSE)
    assert other["deviation"] == pytest.approx(float(given.std(correction=0)), **CLOSE)
    assert one["dead"] == pytest.approx(float((hidden.detach().amax(0) == 0).float().mean()))
    assert [other["dead"], one["saturated"]] == [None, None]


def test_a_unit_is_dead_where_no_row_wakes_it():
    layer = nn.Linear(1, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [1.0], [1.0]]))
        layer.bias.copy_(torch.tensor([0.0, -2.0, -0.5]))
    module = nn.Sequential(layer, nn.ReLU())
    assert seen(module, torch.tensor([[-1.0], [1.0]]))["0"]["dead"] == pytest.approx(1 / 3, **CLOSE)
    assert seen(module, torch.tensor([[-1.0], [0.1]]))["0"]["dead"] == pytest.approx(2 / 3, **CLOSE)


@pytest.mark.parametrize("name", ["ReLU", "ReLU6", "GELU", "SiLU", "Mish"])
def test_whatever_is_0_far_below_0_can_be_dead(name: str):
    module = nn.Sequential(with_bias(nn.Linear(2, 4), [-100.0, -100.0, -100.0, 1.0]), getattr(nn, name)())
    assert seen(module, torch.ones(5, 2))["0"]["dead"] == 0.75


def test_what_lets_negative_numbers_through_cannot_be_dead():
    module = nn.Sequential(with_bias(nn.Linear(2, 2), [-100.0, 1.0]), nn.LeakyReLU())
    assert seen(module, torch.ones(5, 2))["0"]["dead"] is None


@pytest.mark.parametrize(("activation", "share"), [(nn.Sigmoid(), 0.5), (nn.Tanh(), 0.75)])
def test_a_unit_is_saturated_where_no_row_leaves_the_bound(activation: nn.Module, share: float):
    module = nn.Sequential(with_bias(nn.Linear(2, 4), [-9.0, 9.0, 3.0, 0.0]), activation)
    assert seen(module, torch.ones(5, 2))["0"]["saturated"] == share  # a sigmoid of 3 is 0.95


def test_units_are_channels_of_maps_and_features_of_tokens():
    maps = nn.Sequential(with_bias(nn.Conv2d(1, 4, 1), [-1.0, -1.0, -1.0, 1.0]), nn.ReLU())
    tokens = nn.Sequential(with_bias(nn.Linear(2, 4), [-1.0, -1.0, 1.0, 1.0]), nn.ReLU())
    assert seen(maps, torch.ones(3, 1, 5, 6))["0"]["dead"] == 0.75
    assert seen(tokens, torch.ones(3, 7, 2))["0"]["dead"] == 0.5


def test_each_member_of_a_stack_has_units_of_its_own():
    members = [nn.Sequential(with_bias(nn.Linear(2, 2), biases), nn.ReLU()) for biases in ([-1.0, 1.0], [1.0, 1.0])]
    stack_layers(members)
    assert seen(members[0], torch.ones(2 * 3, 2))["0"]["dead"] == 0.25


def test_of_micro_batches_the_gradient_is_that_of_all():
    batch = next(iter(rows().in_order(16)))
    records = []
    for pieces in (1, 4):
        update = Update(module := Small(), Choice("adamw"), seed=0, accumulate=pieces)
        records.append(Depths(module).watched(0, lambda update=update: update(batch, 0, 1.0))[1]["layers"])
    for layer in records[0]:
        assert records[0][layer]["gradient"] == pytest.approx(records[1][layer]["gradient"], rel=1e-4)


def test_a_weight_that_starts_at_0_moves_by_all_that_it_is():
    module = nn.Sequential(nn.Linear(2, 1, bias=False))
    nn.init.zeros_(module[0].weight)

    def update() -> float:
        with torch.no_grad():
            module[0].weight.add_(1.0)
        return 0.0

    assert Depths(module).watched(0, update)[1]["layers"]["0"]["update"] == 1.0


def test_no_hook_stays_behind_even_where_an_update_fails():
    module = Small()
    with pytest.raises(ZeroDivisionError):
        Depths(module).watched(0, lambda: 1 / 0)
    assert not any(inner._forward_hooks for inner in module.modules())
    assert not any(weight._post_accumulate_grad_hooks for weight in module.parameters())


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 4}, {"optimizer": Choice("lbfgs"), "average": Choice("none"), "batch_size": 64}]
)
def test_looking_on_changes_no_bit(options: dict[str, Any], tmp_path: Path):
    options = {"average": Choice("ema"), **options}
    dropout = 0.0 if "optimizer" in options else 0.3  # a line search takes no chances
    runs = [
        trained(
            "120steps",
            module=Small(dropout=dropout, norm=dropout > 0),
            directory=tmp_path / str(on),
            scores=[0.1, 0.2],
            diagnostics=on,
            **options,
        )
        for on in (True, False)
    ]
    assert same(runs[0].weights, runs[1].weights)
    assert runs[0].file("log.jsonl") == runs[1].file("log.jsonl")
    assert len(runs[0].file("depths.jsonl")) == 6
    assert not (tmp_path / "False" / "depths.jsonl").exists()


def test_steps_are_known_from_their_number_and_become_rarer():
    steps, step = [], 0
    while (step := next_sample(step)) < 100_000:
        steps.append(step)
        step += 1
    assert all(next_sample(step) == next(s for s in steps if s >= step) for step in range(0, 50_000, 37))
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert gaps == sorted(gaps)
    assert steps[:2] == [0, 20]
    assert 50 < len(steps) < 80


def test_a_run_without_a_directory_keeps_what_it_saw():
    run = trained("45steps")
    assert [record["step"] for record in run.outcome.depths] == [0, 20, 40]
    assert trained("45steps", diagnostics=False).outcome.depths == ()


@pytest.mark.parametrize("stop", [20, 21, 47, 61])
def test_a_stopped_run_sees_what_one_sees_that_nothing_stopped(stop: int, tmp_path: Path):
    whole = trained("100steps", module=Small(dropout=0.3), directory=tmp_path / "whole")
    with pytest.raises(Interrupted):
        trained("100steps", module=Small(dropout=0.3, before=stopping(stop)), directory=tmp_path / "run")
    with open(tmp_path / "run" / "depths.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 80, "layers": {}}\n')  # as a killed run may leave behind its checkpoint
    resumed = trained("100steps", module=Small(dropout=0.3), directory=tmp_path / "run")
    assert (tmp_path / "run" / "depths.jsonl").read_bytes() == (tmp_path / "whole" / "depths.jsonl").read_bytes()
    assert resumed.outcome.depths == whole.outcome.depths


def test_a_checkpoint_from_before_there_were_depths_is_resumed(tmp_path: Path):
    whole = trained("100steps", directory=tmp_path / "whole")
    with pytest.raises(Interrupted):
        trained("100steps", module=Small(before=stopping(50)), directory=tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "last.safetensors"
    tree = read_checkpoint(path)
    tree["progress"]["log_place"] = tree["progress"]["log_place"][:2]
    write_checkpoint(path, tree)
    (tmp_path / "run" / "depths.jsonl").unlink()
    resumed = trained("100steps", directory=tmp_path / "run")
    assert same(resumed.weights, whole.weights)
    assert [record["step"] for record in resumed.outcome.depths] == [60, 80]


def test_depths_are_read_as_they_were_written(tmp_path: Path):
    run = trained("30steps", directory=tmp_path)
    assert read_depths(tmp_path) == run.file("depths.jsonl") == list(run.outcome.depths)


def test_of_folds_trained_one_after_another_those_of_the_first_are_read(tmp_path: Path):
    assert read_depths(tmp_path) == []
    for fold in (1, 0):
        (tmp_path / "folds" / str(fold)).mkdir(parents=True)
        (tmp_path / "folds" / str(fold) / "depths.jsonl").write_text(json.dumps({"step": fold, "layers": {}}) + "\n")
    assert read_depths(tmp_path) == [{"step": 0, "layers": {}}]


@pytest.mark.parametrize(
    "text", ["{", "3\n", '{"step": 1}\n', '{"step": "x", "layers": {}}\n', '{"step": 1, "layers": 2}\n']
)
def test_depths_that_were_damaged_are_named(text: str, tmp_path: Path):
    (tmp_path / "depths.jsonl").write_text(text)
    with pytest.raises(ModelError, match=r"depths\.jsonl is not as fathom writes it"):
        read_depths(tmp_path)


@pytest.mark.parametrize("line", ["", "diagnostics = false"])
def test_a_run_that_says_nothing_of_diagnostics_or_the_contrary_is_resumed(line: str, tmp_path: Path):
    options: dict[str, Any] = {"net": "mlp", "budget": "2steps", "measure": False, "baseline": False, "folds": 0}
    fathom.fit("iris", out=tmp_path / "run", **options)
    config = tmp_path / "run" / "config.toml"
    text = config.read_text()
    assert "diagnostics = true" in text
    config.write_text(text.replace("diagnostics = true", line))
    fathom.fit("iris", out=tmp_path / "run", resume=True, **options)
    with pytest.raises(ConfigError, match=r"training\.clip_norm"):
        fathom.fit("iris", out=tmp_path / "run", resume=True, training={"clip_norm": 9.0}, **options)
