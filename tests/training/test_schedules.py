"""Each schedule against torch's, or against what it says."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from fathom.training import SCHEDULES
from fathom.training.state import RunState

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


def factors(name: str, steps: int, **options: Any) -> list[float]:
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


def test_wsd_warms_up_and_stays():
    found = factors("wsd", 400, warmup_steps=30)
    assert found[:30] == pytest.approx([(step + 1) / 31 for step in range(30)])
    assert found[30:] == [1.0] * 370


def test_constant_is_constant():
    assert factors("constant", 40) == [1.0] * 40


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_linear_is_torchs(floor: float):
    theirs = torch_factors(lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, max(floor, 1e-12), 100), 100)
    assert factors("linear", 100, warmup=0.0, floor=floor) == pytest.approx(theirs, abs=1e-9)


def test_exponential_is_torchs():
    theirs = torch_factors(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / 99)), 100)
    assert factors("exponential", 100, end=0.01) == pytest.approx(theirs, abs=1e-9)


def test_step_is_torchs():
    theirs = torch_factors(lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [30, 60, 80], 0.3), 100)
    assert factors("step", 100, at=(0.3, 0.6, 0.8), factor=0.3) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(("first", "growth", "cycles"), [(20, 2, 4), (30, 1, 5), (9, 3, 3)])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_restarts_are_torchs(first: int, growth: int, cycles: int, floor: float):
    steps = sum(first * growth**cycle for cycle in range(cycles))

    def build(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first, growth, eta_min=floor)

    found = factors("restarts", steps, cycles=cycles, growth=growth, floor=floor)
    assert found == pytest.approx(torch_factors(build, steps), abs=1e-12)


def test_restarts_fill_any_number_of_steps():
    for steps in range(1, 60):
        found = factors("restarts", steps, cycles=3)
        assert found[0] == 1.0
        assert sum(later > earlier for earlier, later in pairwise(found)) == (
            2 if steps > 10 else pytest.approx(1, abs=1)
        )


def test_coslog4_is_what_realmlp_trains_with():
    """Holzmüller et al. 2024: 0.5 (1 - cos(2 pi log2(1 + 15 t))), here at the middle of each step."""
    progress = (np.arange(640) + 0.5) / 640
    theirs = 0.5 - 0.5 * np.cos(2 * np.pi * np.log2(1 + 15 * progress))
    assert factors("coslog4", 640) == pytest.approx(theirs.tolist(), abs=1e-12)
    assert [round(640 * t) for t in (1 / 15, 3 / 15, 7 / 15)] == [43, 128, 299], "where the cosines meet"
    assert max(factors("coslog4", 640)[step] for step in (42, 128, 298)) < 0.01


def test_flat_cosine_is_flat_and_then_a_cosine():
    theirs = torch_factors(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 120), 120)
    found = factors("flat_cosine", 200, warmup=0.0, flat=0.4)
    assert found[:80] == [1.0] * 80
    assert found[80:] == pytest.approx(theirs, abs=1e-12)


def test_plateau_is_torchs():
    """With torch's words for the same: its patience and threshold, the score growing."""
    scores = np.random.default_rng(3).normal(size=300).cumsum() / 5 + np.linspace(0, 3, 300)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.7, patience=4, threshold=0.05, threshold_mode="abs", eps=0.0
    )
    state, factory = RunState(), SCHEDULES.get("plateau").factory
    for score in scores.tolist():
        scheduler.step(score)
        state.watched(score, patience=4, min_delta=0.05)
        rate = optimizer.param_groups[0]["lr"]
        assert factory(100, 300, state.stalls, factor=0.7, warmup_steps=10) == pytest.approx(rate, rel=1e-9)
    assert state.stalls > 5


def test_another_schedule_is_told_apart():
    theirs = torch_factors(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 200), 200)
    assert factors("cosine", 200, warmup=0.0, floor=0.01) != pytest.approx(theirs, abs=1e-12)
    assert factors("one_cycle", 200) != pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_a_factor_is_never_below_zero_or_above_one(name: str, steps: int):
    found = factors(name, steps)
    assert all(0 <= factor <= 1 + 1e-12 and math.isfinite(factor) for factor in found)
    assert max(found) > 0.9 or steps < 10


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_anneals_as_it_declares(name: str):
    anneals = SCHEDULES.get(name).facts["anneals"]
    assert (factors(name, 1000)[-1] < 0.011) == anneals
    assert not (anneals and SCHEDULES.get(name).facts["cools"])
