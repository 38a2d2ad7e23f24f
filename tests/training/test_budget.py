"""A budget is what a person writes, and becomes steps."""

from __future__ import annotations

import pytest

from fathom.errors import ConfigError
from fathom.training.budget import DEFAULT_SECONDS, Budget
from fathom.training.plan import (
    LARGEST_BATCH,
    MOST_EPOCHS,
    RAREST_EVALUATION_EPOCHS,
    SMALLEST_BATCH,
    USUAL_EPOCHS,
    USUAL_STEPS,
    Plan,
    Setting,
    make_plan,
    usual_batch_size,
)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        (None, Budget()),
        ("1step", Budget(steps=1)),
        ("5000steps", Budget(steps=5000)),
        (" 20 epochs ", Budget(epochs=20.0)),
        ("1epoch", Budget(epochs=1.0)),
        ("0.5epochs", Budget(epochs=0.5)),
        ("90s", Budget(seconds=90.0)),
        ("2m", Budget(seconds=120.0)),
        ("1.5h", Budget(seconds=5400.0)),
    ],
)
def test_a_budget_is_read(text: str | None, budget: Budget):
    assert Budget.parse(text) == budget
    assert budget.open_ended == (text is None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "steps",
        "-3steps",
        "0steps",
        "0s",
        "0.0m",
        "5 days",
        "1e3steps",
        "nan s",
        "5stepss",
        "2m 30s",
        "2.5steps",
        "1" * 25 + "h",
        "9" * 400 + "epochs",
        "9" * 5000 + "steps",
    ],
)
def test_what_is_no_budget_is_refused(text: str):
    with pytest.raises(ConfigError, match="allowed: 90s, 2m, 1h, 20epochs, 5000steps"):
        Budget.parse(text)


SETTING = Setting(batch_size=32, threads=1, channels_last=False)


def planned(text: str | None, *, per_epoch: int = 10, step_s: float = 0.0, watched: bool = True) -> Plan:
    return make_plan(Budget.parse(text), SETTING, per_epoch, step_s=step_s, evaluation_s=0.0, watched=watched)


def test_steps_and_epochs_become_steps():
    assert planned("70steps").steps == 70
    assert planned("7epochs").steps == 70
    assert planned("0.01epochs").steps == 1


def test_time_becomes_the_steps_that_fit():
    plan = planned("10s", step_s=0.01)
    assert (plan.steps, plan.seconds, plan.open_ended) == (pytest.approx(1000, rel=0.06), 10.0, False)
    assert plan.steps <= 1000


def test_looking_at_validation_rows_takes_no_more_than_its_share():
    plan = make_plan(Budget(seconds=600.0), SETTING, 2000, step_s=0.01, evaluation_s=5.0, watched=True)
    looks = plan.steps / plan.evaluate_every
    assert looks * 5.0 <= 0.12 * 600
    assert plan.steps * 0.01 + looks * 5.0 <= 600


def test_a_look_that_costs_much_is_taken_all_the_same():
    plan = make_plan(Budget(seconds=600.0), SETTING, 100, step_s=0.01, evaluation_s=50.0, watched=True)
    assert plan.evaluate_every == RAREST_EVALUATION_EPOCHS * 100


def test_an_open_budget_has_a_clock_and_a_bound():
    watched, unwatched = planned(None), planned(None, watched=False)
    assert (watched.open_ended, watched.seconds, watched.steps) == (True, DEFAULT_SECONDS, MOST_EPOCHS * 10)
    assert (unwatched.open_ended, unwatched.steps) == (False, max(USUAL_STEPS, USUAL_EPOCHS * 10))
    assert planned(None, step_s=1.0).steps < DEFAULT_SECONDS


@pytest.mark.parametrize("text", ["1steps", "3steps", "70steps", "9epochs", None])
def test_validation_is_looked_at_within_the_run(text: str | None):
    plan = planned(text)
    assert 1 <= plan.evaluate_every <= plan.steps


def test_a_usual_batch_is_within_bounds_and_grows_with_the_rows():
    sizes = [usual_batch_size(rows) for rows in (1, 100, 2_000, 20_000, 10**9)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (SMALLEST_BATCH, LARGEST_BATCH)
    assert all(size & (size - 1) == 0 for size in sizes)
