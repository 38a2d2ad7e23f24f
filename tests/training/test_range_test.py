"""A learning rate that a test finds: near the best, far from where training diverges, and written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fathom.config import Config
from fathom.errors import ConfigError, Interrupted
from fathom.registry import Choice
from fathom.training import OPTIMIZERS, planning
from fathom.training.plan import Plan
from fathom.training.range_test import FEWEST_STEPS, MOST_STEPS, SHARE_OF_STEPS, chosen_rate, steps_of_test
from tests.training.small import Small, rows, same, stopping, trained

AUTO = {"lr": "auto"}
FOUND = [entry.name for entry in OPTIMIZERS if not entry.facts.get("full_batch", False)]


def loss(run: Any) -> float:
    store = rows(256)
    found: torch.Tensor = run.module.loss(store.batch(torch.arange(256)), "network")["y"].total
    return found.item() / 256


def test_a_test_takes_little_of_the_budget():
    assert [steps_of_test(steps) for steps in (1, 100, 1000)] == [0, 0, 0]
    assert all(steps_of_test(steps) <= SHARE_OF_STEPS * steps for steps in range(1, 20_000, 7))
    assert steps_of_test(round(FEWEST_STEPS / SHARE_OF_STEPS)) == FEWEST_STEPS
    assert steps_of_test(10**9) == MOST_STEPS


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_rate_is_below_that_of_the_lowest_loss(noise: float):
    rates = np.geomspace(1e-6, 1, 100)
    falls = 1 - 0.8 / (1 + (3e-4 / rates) ** 2)
    losses = falls + 3 * (rates / 0.1) ** 4 + noise * np.random.default_rng(0).normal(size=100)
    lowest = rates[np.argmin(falls + 3 * (rates / 0.1) ** 4)]
    assert lowest / 10 < chosen_rate(rates, losses, 1e-3) < lowest / 1.5


def test_a_single_lucky_batch_is_not_believed():
    rates = np.geomspace(1e-6, 1, 100)
    losses = 1 - 0.8 / (1 + (3e-4 / rates) ** 2) + 3 * (rates / 0.1) ** 4
    lucky = losses.copy()
    lucky[20] = -5.0
    assert chosen_rate(rates, lucky, 1e-3) == pytest.approx(chosen_rate(rates, losses, 1e-3), rel=0.3)


def test_where_the_loss_never_fell_the_rate_is_the_optimizers_own():
    rates = np.geomspace(1e-6, 1, 60)
    assert chosen_rate(rates, 1 + rates, 0.004) == 0.004
    assert chosen_rate(rates[:3], np.ones(3), 0.004) == 0.004


@pytest.mark.parametrize("name", FOUND)
def test_every_optimizer_trains_well_at_the_rate_found(name: str, tmp_path: Path):
    """Not much worse than at a larger rate, and far better than at one that is clearly too low."""
    tested = Small(before=stopping(steps_of_test(3000) + 1))  # the plan is written: the other steps tell nothing
    with pytest.raises(Interrupted):
        trained("3000steps", module=tested, optimizer=Choice(name, AUTO), directory=tmp_path)
    found = Plan.load(tmp_path / "plan.json").lr
    bound = OPTIMIZERS.get(name).options["lr"].range
    assert bound is not None
    assert bound.low <= found <= bound.high
    low, ours, high = (loss(trained("300steps", optimizer=Choice(name, {"lr": found * f}))) for f in (0.01, 1, 3))
    assert ours < 4 * high, "far too low"
    assert ours < 0.5 * low, "too low a rate is not told apart"


def test_a_wrong_rate_would_be_seen():
    options = [Choice("adamw", {"lr": rate}) for rate in (1e-5, 1e-2)]
    bad, good = (loss(trained("400steps", optimizer=option)) for option in options)
    assert bad > 2 * good


def test_a_test_leaves_the_module_the_order_and_the_chance_as_they_were(tmp_path: Path):
    auto = trained("2000steps", module=Small(dropout=0.2), optimizer=Choice("sgd", AUTO), directory=tmp_path / "auto")
    found = auto.file("plan.json")["lr"]
    fixed = trained("2000steps", module=Small(dropout=0.2), optimizer=Choice("sgd", {"lr": found}))
    assert same(auto.weights, fixed.weights)
    assert found != OPTIMIZERS.get("sgd").options["lr"].default


def test_a_short_run_takes_the_optimizers_own_rate(tmp_path: Path):
    run = trained("200steps", optimizer=Choice("sgd", AUTO), directory=tmp_path / "auto")
    assert run.file("plan.json")["lr"] == OPTIMIZERS.get("sgd").options["lr"].default
    assert same(run.weights, trained("200steps", optimizer=Choice("sgd")).weights)


def test_a_resumed_run_reads_its_rate_and_tests_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    options: dict[str, Any] = {"optimizer": Choice("adamw", AUTO)}
    whole = trained("1600steps", directory=tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        trained("1600steps", module=Small(before=stopping(60)), directory=tmp_path / "run", **options)
    monkeypatch.setattr(planning, "range_test", None)
    resumed = trained("1600steps", directory=tmp_path / "run", **options)
    assert same(resumed.weights, whole.weights)
    assert Plan.load(tmp_path / "run" / "plan.json").lr == whole.file("plan.json")["lr"]


def test_a_rate_is_given_as_a_number_or_as_auto():
    for place in ({"optimizer": {"lr": "auto"}}, {"training": {"optimizer": {"name": "sgd", "lr": "auto"}}}):
        assert Config.of(place).training["optimizer"].options == AUTO
    for wrong in ("fast", 0.0, 11.0, True):
        with pytest.raises(ConfigError, match=r"lr = "):
            Config.of({"optimizer": {"lr": wrong}})
    assert Config.of({"optimizer": {"lr": "auto"}}).plain()["training"]["optimizer"]["lr"] == "auto"


@pytest.mark.parametrize("name", [entry.name for entry in OPTIMIZERS if entry.name not in FOUND])
def test_an_optimizer_that_searches_along_each_step_needs_no_rate(name: str):
    with pytest.raises(ConfigError, match=f"of no use to {name}"):
        trained(optimizer=Choice(name, AUTO))
