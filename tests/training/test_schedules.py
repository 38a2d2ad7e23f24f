"""Each schedule against torch's, or against what it says."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from fathom.training import SCHEDULES

NAMES = SCHEDULES.names()
Build = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def torch_factors(build: Build, steps: int) -> list[float]:
    """The rate that torch's scheduler gives each step, from an optimizer of rate 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = build(optimizer), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer makes no step
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            scheduler.step()
    return found


def factors(name: str, steps: int, **options: float) -> list[float]:
    factory = SCHEDULES.get(name).factory
    return [factory(step, steps, **options) for step in range(steps)]


@pytest.mark.parametrize("steps", [12, 100, 1237])
@pytest.mark.parametrize("rise", [0.1, 0.3, 0.5])
def test_one_cycle_is_torchs(steps: int, rise: float):
    theirs = torch_factors(
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=steps, pct_start=rise), steps
    )
    assert factors("one_cycle", steps, rise=rise) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine_is_torchs(floor: float):
    theirs = torch_factors(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 200, eta_min=floor), 200)
    assert factors("cosine", 200, warmup=0.0, floor=floor) == pytest.approx(theirs, abs=1e-12)


def test_cosine_warms_up_and_then_is_torchs():
    found = factors("cosine", 220, warmup=20 / 220)
    theirs = torch_factors(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 200), 200)
    assert found[:20] == pytest.approx([(step + 1) / 21 for step in range(20)])
    assert found[20:] == pytest.approx(theirs, abs=1e-12)


def test_constant_warms_up_and_stays():
    found = factors("constant", 400, warmup_steps=30)
    assert found[:30] == pytest.approx([(step + 1) / 31 for step in range(30)])
    assert found[30:] == [1.0] * 370


def test_another_schedule_is_told_apart():
    theirs = torch_factors(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 200), 200)
    assert factors("cosine", 200, warmup=0.0, floor=0.01) != pytest.approx(theirs, abs=1e-12)
    assert factors("one_cycle", 200) != pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_a_factor_is_never_below_zero_or_above_one(name: str, steps: int):
    found = factors(name, steps)
    assert all(0 <= factor <= 1 + 1e-12 and math.isfinite(factor) for factor in found)
    assert max(found) > 0.9 or steps < 3


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_anneals_as_it_declares(name: str):
    anneals = SCHEDULES.get(name).facts["anneals"]
    assert (factors(name, 1000)[-1] < 0.01) == anneals
