"""Averages of weights: torch's, or the paper's; what is evaluated and kept is the average, what is updated is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import swa_utils

from fathom.data.store import Batches
from fathom.errors import ConfigError, Interrupted
from fathom.registry import Choice
from fathom.training import AVERAGES, OPTIMIZERS, SCHEDULES, averaging
from tests.training.small import Small, Trained, rows, same, stopping, trained

NAMES = [entry.name for entry in AVERAGES if entry.name != "none"]
SELF_AVERAGING = [entry.name for entry in OPTIMIZERS if entry.facts.get("averages", False)]


def draw() -> Any:
    return Batches(rows(), 16, seed=0)


def built(module: nn.Module, name: str, **options: Any) -> Any:
    return AVERAGES.build(Choice(name, options), module, draw)


def walk(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Move a module's weights at random; gives them after each move."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        with torch.no_grad():
            for value in module.state_dict().values():
                if value.is_floating_point():
                    value.add_(torch.randn(value.shape, generator=generator))
        yield {name: value.clone() for name, value in module.state_dict().items()}


def shown(average: Any, module: nn.Module) -> dict[str, Tensor]:
    with average.shown():
        return {name: value.clone() for name, value in module.state_dict().items()}


def noted(budget: str, **options: Any) -> tuple[Trained, list[dict[str, Tensor]]]:
    """A run, and the weights before each of its steps."""
    seen: list[dict[str, Tensor]] = []
    module = Small(before=lambda: seen.append({name: value.clone() for name, value in module.state_dict().items()}))
    return trained(budget, module=module, **options), seen


def assert_near(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-5, atol=1e-5, msg=name)


# Each against torch's


def test_swa_is_torchs_mean_of_the_last_steps():
    module = Small()
    average, theirs = built(module, "swa"), swa_utils.AveragedModel(module)
    for step, _ in enumerate(walk(module)):
        average.follow(ending=step >= 10)
        if step >= 10:
            theirs.update_parameters(module)
        else:
            assert same(shown(average, module), module.state_dict()), "before the end there is no average"
    assert_near(shown(average, module), dict(theirs.module.state_dict()))


def test_ema_is_torchs_once_it_is_warm():
    module = Small()
    average = built(module, "ema", decay=0.5)
    follow = swa_utils.get_ema_multi_avg_fn(0.5)
    theirs = swa_utils.AveragedModel(module, multi_avg_fn=follow)
    for step, weights in enumerate(walk(module)):
        average.follow(ending=False)
        if step <= 7:  # (1 + 8) / (10 + 8) is a half
            theirs.module.load_state_dict(shown(average, module))
            theirs.n_averaged.fill_(1)
        else:
            theirs.update_parameters(module)
        assert not same(shown(average, module), weights) or step == 0
    assert_near(shown(average, module), dict(theirs.module.state_dict()))


def test_ema_forgets_the_first_weights_soon():
    module = Small()
    average, mean = built(module, "ema", decay=0.999), {}
    for step, weights in enumerate(walk(module)):
        average.follow(ending=False)
        decay = (1 + step) / (10 + step) if step else 0.0
        mean = {name: decay * mean.get(name, 0) + (1 - decay) * value for name, value in weights.items()}
    assert_near(shown(average, module), mean)


def test_statistics_of_batch_norm_are_estimated_again_as_torch_does(monkeypatch: pytest.MonkeyPatch):
    def statistics(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value for name, value in weights.items() if "running" in name}

    ours = trained(module=Small(norm=True), average=Choice("swa"), cooldown=0.5)
    theirs = Small(norm=True)
    theirs.load_state_dict(ours.weights)
    batches = [batch["x"] for batch in islice(draw(), draw().per_epoch)]
    swa_utils.update_bn(batches, theirs.layers)
    assert_near(statistics(ours.weights), statistics(dict(theirs.state_dict())))
    monkeypatch.setattr(averaging.TailAverage, "_recalibrate", lambda self: None)
    without = trained(module=Small(norm=True), average=Choice("swa"), cooldown=0.5)
    with pytest.raises(AssertionError):
        assert_near(statistics(without.weights), statistics(ours.weights))


# In training


@pytest.mark.parametrize("name", NAMES)
def test_what_is_evaluated_and_kept_is_the_average_and_what_is_updated_is_not(name: str):
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 0.8]
    run, seen = noted("200steps", scores=scores, average=Choice(name), cooldown=0.5)
    _, plain = noted("200steps", scores=scores, cooldown=0.5 if name == "ema" else 0.0)
    assert run.outcome.best_step == 175
    assert same(run.weights, run.looks[6])
    averaged = [not same(look, seen[25 * k + 25]) for k, look in enumerate(run.looks[:-1])]
    assert averaged == ([True] * 7 if name == "ema" else [False] * 4 + [True] * 3)
    assert same(seen[-1], plain[-1]), "an average changed what is updated"


@pytest.mark.parametrize("name", NAMES)
def test_unwatched_the_last_average_is_kept(name: str):
    watched = trained("60steps", scores=[float(k) for k in range(9)], average=Choice(name))
    assert same(watched.weights, trained("60steps", average=Choice(name)).weights)
    assert not same(watched.weights, trained("60steps").weights)


def test_swa_holds_the_rate_where_it_would_fall():
    assert trained("200steps", average=Choice("swa"), cooldown=0.5).rates[20:] == [1.0] * 180
    assert trained("200steps", average=Choice("ema"), cooldown=0.5).rates[-1] < 0.1
    cosine = SCHEDULES.get("cosine").factory
    run = trained("200steps", average=Choice("swa"), schedule=Choice("cosine"))
    assert run.rates == [cosine(step, 200) for step in range(200)]


def test_swa_averages_what_follows_the_best_weights_where_validation_stops_improving():
    run, seen = noted("2000steps", scores=[1.0, 0.0], patience=4, cooldown=0.8, average=Choice("swa"))
    assert run.outcome.steps == 225
    assert same(seen[125], run.looks[0]), "it goes on from the best weights"
    later = {name: torch.stack([weights[name] for weights in seen[126:150]]) for name in seen[0]}
    average = {name: values.mean(0) for name, values in later.items()}
    far = max(float((average[name] - run.looks[5][name]).abs().max()) for name in average)
    moved = max(float((seen[149][name] - seen[126][name]).abs().max()) for name in average)
    assert far < 0.1 * moved, "the average is not that of the steps since then"


def test_ema_begins_anew_from_the_best_weights():
    run, seen = noted("2000steps", scores=[1.0, 0.0], patience=4, cooldown=0.8, average=Choice("ema", {"decay": 0.999}))
    mean: dict[str, Tensor] = {}
    for step, weights in enumerate(seen[126:151]):
        decay = (1 + step) / (10 + step) if step else 0.0
        mean = {name: decay * mean.get(name, 0) + (1 - decay) * value for name, value in weights.items()}
    assert same(seen[125], run.looks[0])
    assert_near(mean, run.looks[5])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_a_stopped_run_ends_as_one_that_nothing_stopped(name: str, schedule: str, tmp_path: Path):
    looks = [0.1, 0.5, *[0.2] * 20]
    options: dict[str, Any] = {
        "average": Choice(name),
        "schedule": Choice(schedule),
        "patience": 3 if schedule == "wsd" else 0,
        "cooldown": 0.6,
    }

    def run(place: str, scores: list[float], before: Callable[[], None] | None = None) -> Trained:
        module = Small(dropout=0.3, norm=True, before=before)
        return trained("200steps", module=module, directory=tmp_path / place, scores=scores, **options)

    whole = run("whole", looks)
    for stop in (7, 60, 131, 133):
        with pytest.raises(Interrupted):
            run(f"stopped at {stop}", looks, stopping(stop))
        resumed = run(f"stopped at {stop}", looks[(stop - 1) // 25 :])
        assert same(resumed.weights, whole.weights), stop
        assert resumed.file("log.jsonl") == whole.file("log.jsonl"), stop


def test_a_plateau_is_resumed_where_it_was(tmp_path: Path):
    options: dict[str, Any] = {"schedule": Choice("plateau", {"patience": 2}), "cooldown": 0.0}
    scores = [0.1, 0.9, *[0.2] * 20]
    whole = trained("300steps", scores=scores, directory=tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        trained("300steps", module=Small(before=stopping(190)), scores=scores, directory=tmp_path / "run", **options)
    resumed = trained("300steps", scores=[0.2], directory=tmp_path / "run", **options)
    assert resumed.file("log.jsonl") == whole.file("log.jsonl")
    assert len(set(whole.rates[30:])) == 4
    assert same(resumed.weights, whole.weights)


def test_an_average_of_another_network_is_refused():
    module = Small()
    average = built(module, "ema")
    average.follow(ending=False)
    for other in (nn.Linear(3, 2), nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))):
        with pytest.raises((RuntimeError, ValueError)):
            built(other, "ema").restore(average.state())


@pytest.mark.parametrize("name", SELF_AVERAGING)
def test_an_optimizer_that_averages_is_evaluated_at_its_average(name: str):
    run, seen = noted("200steps", scores=[0.1, 0.9, 0.2], optimizer=Choice(name))
    assert not same(run.looks[1], seen[50])
    assert same(run.weights, run.looks[1])
    assert run.rates[20:] == [1.0] * 180
    with pytest.raises(ConfigError, match=f"optimizer {name} averages weights itself"):
        trained(optimizer=Choice(name), average=Choice("ema"))


@pytest.mark.parametrize("name", NAMES)
def test_an_average_is_better_than_noisy_weights(name: str):
    """A large constant rate bounces around the minimum, and the mean of where it has been is nearer to it."""
    truth = rows(512)
    gains = []
    for seed in range(3):
        options: dict[str, Any] = {"optimizer": Choice("sgd", {"lr": 0.1}), "batch_size": 4, "seed": seed}
        schedule = Choice("constant")
        losses = [
            run.module.loss(truth.batch(torch.arange(512)), "network")["y"].total.item()
            for run in (
                trained("400steps", schedule=schedule, average=Choice(kept), cooldown=0.5, **options)
                for kept in ("none", name)
            )
        ]
        gains.append(losses[0] - losses[1])
    assert np.median(gains) > 0
