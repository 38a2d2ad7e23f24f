"""Steps in bfloat16: where they are taken, and what stays float32 all the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathom.errors import ConfigError, Interrupted
from fathom.registry import Choice
from fathom.runtime import seeded
from fathom.signals import Batch, Loss
from fathom.training.checkpoint import read_checkpoint
from tests.training.small import Small, by_a_made_clock, rows, same, stopping, trained


def coarse() -> bool:
    return torch.is_autocast_enabled("cpu")


class Kernels(Small):
    """A small module with a kernel too; it notes whether it was asked to compute coarsely."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        with seeded(0):
            kernel = nn.Conv2d(3, 3, 1)
        self.layers = nn.Sequential(nn.Unflatten(1, (3, 1, 1)), kernel, nn.Flatten(), *self.layers)
        self.asked: list[bool] = []

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        self.asked.append(coarse())
        return super().loss(batch, part)


def lasting(*, exact_s: float, coarse_s: float) -> Callable[[], None]:
    """What makes a step take that long, by its precision."""
    return lambda: time.sleep(coarse_s if coarse() else exact_s)


def taken(module: Small, directory: Path, **options: Any) -> bool:
    run = trained("2steps", module=module, directory=directory, **{"measured": True, "bears_bfloat16": True, **options})
    found: bool = run.file("plan.json")["setting"]["bfloat16"]
    return found


@by_a_made_clock
def test_what_is_clearly_faster_is_taken_where_it_is_borne(tmp_path: Path):
    fast = lasting(exact_s=0.02, coarse_s=0.01)
    assert taken(Kernels(before=fast), tmp_path / "borne")
    assert not taken(Kernels(before=fast), tmp_path / "not borne", bears_bfloat16=False)


@by_a_made_clock
def test_what_is_only_a_little_faster_is_left(tmp_path: Path):
    assert not taken(Kernels(before=lasting(exact_s=0.022, coarse_s=0.02)), tmp_path / "run")


@pytest.mark.parametrize(
    "options",
    [{"precision": "float32"}, {"measured": False}, {"optimizer": Choice("lbfgs"), "batch_size": 0}],
    ids=["named", "unmeasured", "lbfgs"],
)
def test_what_is_not_free_is_not_taken(options: dict[str, Any], tmp_path: Path):
    assert not taken(Kernels(before=lasting(exact_s=0.02, coarse_s=0.01)), tmp_path, **options)


def test_it_is_taken_without_a_measurement_where_it_is_named(tmp_path: Path):
    module = Kernels()
    assert taken(module, tmp_path, precision="bfloat16", measured=False)
    assert module.asked == [True, True]


def test_a_line_search_refuses_it():
    with pytest.raises(ConfigError, match=r"lbfgs compares losses: training\.precision"):
        trained(precision="bfloat16", optimizer=Choice("lbfgs"))


def test_weights_and_all_that_is_kept_of_them_stay_float32(tmp_path: Path):
    module = Kernels()
    trained("30steps", module=module, directory=tmp_path, precision="bfloat16")
    assert module.asked == [True] * 30
    tree = read_checkpoint(tmp_path / "checkpoints" / "last.safetensors")
    floating = [value for value in tensors_in(tree) if value.is_floating_point()]
    assert len(floating) > 3 * len(list(module.parameters()))
    assert {value.dtype for value in floating} == {torch.float32}


def tensors_in(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    branches = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list | tuple) else ()
    return [value for branch in branches for value in tensors_in(branch)]


def test_validation_rows_are_looked_at_in_float32(monkeypatch: pytest.MonkeyPatch):
    looked: list[bool] = []
    monkeypatch.setattr("tests.training.small.scripted", lambda *given: lambda: (looked.append(coarse()) or 0.0, {}))
    trained("60steps", module=Kernels(), scores=[0.0], precision="bfloat16")
    assert len(looked) > 1
    assert not any(looked)


def test_another_precision_gives_other_weights_but_not_much():
    exact, near = (trained("40steps", module=Kernels(), precision=name).weights for name in ("float32", "bfloat16"))
    assert not same(exact, near)
    assert all(torch.allclose(exact[name], near[name], atol=0.02) for name in exact)


def test_a_run_that_is_stopped_ends_as_one_that_is_not(tmp_path: Path):
    options: dict[str, Any] = {"precision": "bfloat16", "measured": True, "threads": 1}
    whole = trained("60steps", module=Kernels(dropout=0.3), directory=tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        trained("60steps", module=Kernels(dropout=0.3, before=stopping(40)), directory=tmp_path / "cut", **options)
    cut = trained("60steps", module=Kernels(dropout=0.3), directory=tmp_path / "cut", **options)
    assert same(cut.weights, whole.weights)


def test_a_net_with_kernels_gets_smaller_batches_of_many_rows(tmp_path: Path):
    def batch_of(module: Small, directory: Path) -> int:
        run = trained("1steps", module=module, store=rows(20_000), directory=directory, batch_size=0)
        size: int = run.file("plan.json")["setting"]["batch_size"]
        return size

    assert batch_of(Small(), tmp_path / "matrices") == 256
    assert batch_of(Kernels(), tmp_path / "kernels") == 128
