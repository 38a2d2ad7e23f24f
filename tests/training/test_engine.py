"""The engine stops when it should, keeps the best, and hands back what it borrowed."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from fathom.errors import ConfigError, Diverged, Interrupted
from fathom.progress import shown
from fathom.registry import Choice
from fathom.training import SCHEDULES, course, plan
from fathom.training.hooks import Hook, Moment, Progress
from tests.training.small import ROWS, Sleep, Small, Trained, by_a_made_clock, poisoned, same, stopping, trained

# Budgets


def test_a_budget_of_steps_is_kept():
    assert trained("37steps").outcome.steps == 37


def test_a_budget_of_epochs_is_kept():
    outcome = trained("3epochs").outcome
    assert (outcome.steps, outcome.epochs) == (3 * ROWS / 16, 3.0)


@pytest.mark.parametrize("measured", [True, False])
@by_a_made_clock
def test_a_budget_of_three_seconds_ends_within_a_quarter(measured: bool):
    run = trained("3s", module=Small(before=Sleep(0.004)), measured=measured)
    assert run.outcome.elapsed_s == pytest.approx(3, rel=0.25)
    full = sum(rate == 1.0 for rate in run.rates)
    assert full > 0.7 * len(run.rates), "the cool-down takes a fifth of the steps, not all of the time"


def test_batches_of_one_sample_and_of_all():
    assert trained("10steps", batch_size=1).outcome.epochs == 10 / ROWS
    assert trained("10steps", batch_size=10_000).outcome.epochs == 10


@by_a_made_clock
def test_seconds_are_told_where_nothing_is_kept_on_disk():
    outcome = trained("20steps", module=Small(before=Sleep(0.002))).outcome
    assert outcome.elapsed_s > 0.04
    assert outcome.samples_per_s == pytest.approx(20 * 16 / outcome.elapsed_s)


# Where training stops, and how

BETTER = [float(k) for k in range(1000)]
WORSE = [1.0, *[0.0] * 1000]


def assert_falls_to_zero(rates: Sequence[float]) -> None:
    assert all(later < earlier for earlier, later in pairwise(rates)), "the rate does not fall"
    assert 0 < rates[-1] <= rates[0] / len(rates) * 1.01, "the rate does not fall to zero"


def test_the_usual_schedule_cools_down_at_the_end():
    rates = trained("200steps", cooldown=0.3).rates
    assert rates[20:141] == [1.0] * 121
    assert_falls_to_zero(rates[-60:])


STALE = 25 * (1 + 4)  # the first look was the best, and four more are waited for


@pytest.mark.parametrize("budget", [None, "2000steps"])
def test_early_stopping_starts_the_cool_down(budget: str | None):
    run = trained(budget, scores=WORSE, patience=4, cooldown=0.8)
    assert run.outcome.steps == STALE * 1.8
    assert run.rates[20 : STALE + 1] == [1.0] * (STALE - 19)
    assert_falls_to_zero(run.rates[STALE:])


def test_a_cool_down_that_validation_starts_is_long_enough_to_be_looked_at():
    run = trained(None, scores=WORSE, patience=4, cooldown=0.01)
    assert run.outcome.steps == STALE + 25 * course.FEWEST_EVALUATIONS_TO_COOL


def test_a_cool_down_that_validation_starts_goes_out_from_the_best_weights():
    seen: list[dict[str, Tensor]] = []
    module = Small(before=lambda: seen.append({name: value.clone() for name, value in module.state_dict().items()}))
    run = trained(None, module=module, scores=WORSE, patience=4)
    assert same(seen[STALE], run.looks[0])
    assert not same(seen[STALE - 1], run.looks[0])


def test_an_open_ended_run_without_scores_cools_down_too():
    run = trained(None, scores=[math.nan], patience=4, cooldown=0.8)
    assert (run.outcome.steps, run.outcome.best) == (100 * 1.8, None)
    assert_falls_to_zero(run.rates[100:])


def test_without_patience_a_budget_is_spent():
    assert trained("400steps", scores=WORSE).outcome.steps == 400


@pytest.mark.parametrize("schedule", [entry.name for entry in SCHEDULES if entry.facts["anneals"]])
def test_early_stopping_never_cuts_an_annealing_schedule(schedule: str):
    with pytest.raises(ConfigError, match=rf"schedule {schedule}, whose end is fixed.*constant, plateau, wsd"):
        trained("300steps", scores=WORSE, patience=1, schedule=Choice(schedule))
    run = trained("300steps", scores=WORSE, schedule=Choice(schedule))
    factor = SCHEDULES.get(schedule).factory
    assert run.outcome.steps == 300
    assert list(dict.fromkeys(run.rates)) == list(dict.fromkeys(factor(step, 300) for step in range(300)))


def test_an_open_ended_annealing_run_has_the_usual_length():
    run = trained(None, scores=WORSE, schedule=Choice("cosine"))
    assert run.outcome.steps == max(plan.USUAL_STEPS, plan.USUAL_EPOCHS * ROWS // 16)


def test_an_open_ended_run_that_always_improves_ends_with_a_cool_down(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan, "MOST_EPOCHS", 100)
    run = trained(None, scores=BETTER)
    assert run.outcome.steps == 100 * ROWS // 16
    assert_falls_to_zero(run.rates[-80:])


@pytest.mark.parametrize("options", [{"schedule": Choice("constant")}, {"cooldown": 0.0}])
@pytest.mark.parametrize("budget", [None, "2000steps", "200epochs", "60s"])
def test_without_a_cool_down_early_stopping_ends_at_once(budget: str | None, options: dict[str, Any]):
    run = trained(budget, scores=WORSE, patience=4, **options)
    assert (run.outcome.steps, run.outcome.best_step) == (STALE, 25)
    assert run.rates[20:] == [1.0] * (STALE - 20)
    assert same(run.weights, run.looks[-5])  # a budget of time has looks of its own before


def test_a_small_improvement_is_kept_but_not_waited_for():
    slowly = [0.5 + 0.001 * look for look in range(1000)]
    run = trained("2000steps", scores=slowly, patience=4, min_delta=0.01, cooldown=0.0)
    assert (run.outcome.steps, run.outcome.best_step) == (STALE, STALE), "all looks but the first gained too little"
    assert trained("300steps", scores=slowly, patience=4, cooldown=0.0).outcome.steps == 300
    quickly = trained("300steps", scores=[0.02 * look for look in range(1000)], patience=4, min_delta=0.01, cooldown=0)
    assert quickly.outcome.steps == 300


@pytest.mark.parametrize(("perfect", "stops"), [(None, False), (1.0, True)])
def test_what_is_hardly_gained_is_not_waited_for_where_more_is_left(perfect: float | None, stops: bool):
    # Each look gains a thousandth of what is left: of a score without a known end, that is a gain like any other.
    slowly = [1 - 0.5 * 0.999**look for look in range(3000)]
    run = trained(None, scores=slowly, perfect=perfect, cooldown=0.01)
    assert bool(run.outcome.ending) is stops
    asked_for = trained("1000steps", scores=slowly, perfect=perfect, patience=12)
    assert asked_for.outcome.steps == 1000  # patience that is asked for takes every gain


def test_a_score_that_is_nearly_perfect_is_not_improved_for_ever():
    scores = [1 - 0.5 * 0.9**look for look in range(1000)]
    assert trained(None, scores=scores, perfect=1.0, cooldown=0.01).outcome.ending
    assert not trained(None, scores=scores, cooldown=0.01).outcome.ending


def test_patience_without_validation_rows_is_refused():
    with pytest.raises(ConfigError, match=r"training\.patience = 4 needs validation rows"):
        trained("30steps", patience=4)
    with pytest.raises(ConfigError, match="schedule plateau needs validation rows"):
        trained("30steps", schedule=Choice("plateau"))


def test_why_a_run_ended_early_is_told(capsys: pytest.CaptureFixture[str]):
    with shown():
        run = trained("2000steps", scores=WORSE, patience=4, hooks=(Progress("training"),))
    assert run.outcome.ending == "validation had not improved for 4 looks (100 steps)"
    told = " ".join(capsys.readouterr().err.split())
    assert told.endswith("it ended early: validation had not improved for 4 looks (100 steps); kept: step 25")
    with shown():
        run = trained("200steps", scores=BETTER, patience=4, hooks=(Progress("training"),))
    assert run.outcome.ending == ""
    assert "early" not in capsys.readouterr().err


@pytest.mark.parametrize("cooldown", [0.0, 0.25])
def test_a_plateau_lowers_the_rate_each_time_validation_stalls(cooldown: float):
    plateau = Choice("plateau", {"patience": 1, "factor": 0.5, "warmup_steps": 0})
    run = trained("400steps", scores=[0.1, 0.2, *[0.2] * 100], schedule=plateau, cooldown=cooldown)
    # Looks after 25, 50, 75 ... steps; the second was the best, and every second one after it is one too many.
    expected = [0.5 ** (max(0, step // 25 - 2) // 2) for step in range(400 if not cooldown else 301)]
    assert run.rates[: len(expected)] == expected
    if cooldown:
        assert run.rates[300:] == pytest.approx([expected[300] * (1 - k / 100) for k in range(100)])


# The best weights


def test_the_weights_of_the_best_look_are_kept():
    run = trained("200steps", scores=[0.0, 0.1, 0.9, 0.5, 0.9, 0.2])
    assert (run.outcome.best, run.outcome.best_step) == (0.9, 75)
    assert same(run.weights, run.looks[2])
    assert not same(run.weights, run.looks[-1])
    assert not run.module.training


def test_a_look_without_a_score_is_never_the_best():
    run = trained("200steps", scores=[math.nan, 0.1, 0.9, math.nan, 0.5])
    assert (run.outcome.best, run.outcome.best_step) == (0.9, 75)
    assert same(run.weights, run.looks[2])


@pytest.mark.parametrize("scores", [None, [math.nan]])
def test_unwatched_the_last_weights_are_kept(scores: list[float] | None):
    run = trained("60steps", scores=scores)
    assert (run.outcome.best, run.outcome.best_step) == (None, 60)
    assert scores is None or same(run.weights, run.looks[-1])


# What is borrowed is handed back


@pytest.mark.parametrize("ending", ["finished", "diverged", "interrupted"])
def test_threads_random_state_and_signals_are_left_as_found(ending: str):
    module = {"finished": Small(), "diverged": poisoned(5, math.nan)[0], "interrupted": Small(before=stopping(5))}[
        ending
    ]
    torch.manual_seed(11)
    torch.rand(3)
    threads, random_state = torch.get_num_threads(), torch.get_rng_state()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        torch.set_num_threads(2)
        run = Trained(module=module, threads=1, measured=ending == "finished")
        if ending == "finished":
            run.run()
        else:
            with pytest.raises((Diverged, Interrupted)):
                run.run()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_the_seed_decides_and_nothing_else():
    torch.manual_seed(1)
    first = trained(module=Small(dropout=0.5), seed=3).weights
    torch.manual_seed(2)
    assert same(first, trained(module=Small(dropout=0.5), seed=3).weights)
    assert not same(first, trained(module=Small(dropout=0.5), seed=4).weights)


@pytest.mark.parametrize("ending", ["finished", "diverged", "interrupted"])
def test_hooks_learn_how_a_run_ends(ending: str):
    class Watching(Hook):
        def __init__(self) -> None:
            self.told: list[str] = []

        def started(self, moment: Moment) -> None:
            self.told.append("started")

        def finished(self, moment: Moment) -> None:
            self.told.append("finished")

        def closed(self) -> None:
            self.told.append("closed")

    module = {"finished": Small(), "diverged": poisoned(5, math.nan)[0], "interrupted": Small(before=stopping(5))}[
        ending
    ]
    watching = Watching()
    run = Trained(module=module, hooks=(watching,))
    try:
        run.run()
    except (Diverged, Interrupted):
        assert ending != "finished"
    assert watching.told == ["started", *(["finished"] if ending == "finished" else []), "closed"]


def test_a_hook_sees_the_steps_that_are_planned():
    moments: list[Moment] = []

    class Watching(Hook):
        def started(self, moment: Moment) -> None:
            moments.append(moment)

        finished = started

    trained("40steps", hooks=(Watching(),))
    assert [(moment.step, moment.steps) for moment in moments] == [(0, 40), (40, 40)]
