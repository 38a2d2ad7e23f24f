"""What is decided is written down, followed, and changed only by the clock."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fathom.errors import Interrupted, ModelError
from fathom.registry import Choice
from fathom.signals import Batch, Ragged
from fathom.training import engine, plan, planning
from tests.training.small import Sleep, Small, Trained, by_a_made_clock, same, stopping, trained

# The clock


@by_a_made_clock
def test_a_run_behind_its_clock_cools_down_early_and_its_plan_repeats_it(tmp_path: Path):
    sleep = Sleep(0.001, 0.01, share=0.2)
    slow = trained("2s", module=Small(dropout=0.2, before=sleep), hooks=(sleep,), directory=tmp_path / "slow", seed=5)
    written = slow.file("plan.json")
    assert written["steps"] > slow.outcome.steps
    assert written["hurries"][-1][1] == slow.outcome.steps
    assert slow.outcome.elapsed_s == pytest.approx(2, rel=0.25)
    assert_cools_down(slow.rates[written["hurries"][0][0] :])

    def repeated(hurries: list[list[int]]) -> Trained:
        directory = tmp_path / f"repeated{len(hurries)}"
        directory.mkdir()
        (directory / "plan.json").write_text(json.dumps(written | {"hurries": hurries}))
        return trained("2s", module=Small(dropout=0.2), directory=directory, seed=5)

    fast = repeated(written["hurries"])
    assert same(slow.weights, fast.weights)
    assert slow.file("log.jsonl") == fast.file("log.jsonl")
    assert not same(slow.weights, repeated([]).weights)


@by_a_made_clock
def test_a_run_that_falls_behind_while_it_cools_down_ends_earlier(tmp_path: Path):
    sleep = Sleep(0.001, 0.01, share=0.5)
    run = trained("4s", module=Small(before=sleep), hooks=(sleep,), directory=tmp_path / "run", cooldown=0.7)
    written = run.file("plan.json")
    assert run.outcome.steps == written["hurries"][-1][1] < written["steps"]
    assert run.outcome.elapsed_s < 1.25 * 4
    assert_cools_down(run.rates[round(written["steps"] * 0.3) + 1 :])


def assert_cools_down(rates: Sequence[float]) -> None:
    """The rate falls all the way, nearly to zero, though the end came nearer meanwhile."""
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert 0 < rates[-1] < 0.5 * rates[0]


@by_a_made_clock
def test_a_run_that_was_slow_for_a_while_waits_whether_it_must_hurry(tmp_path: Path):
    planned = plan.Plan(plan.Setting(16, 1, False), steps=600, open_ended=False, seconds=2.4, evaluate_every=100)
    planned.save(tmp_path / "plan.json")
    sleep = Sleep(0.02, 0.001, share=0.1)
    run = trained("2.4s", module=Small(before=sleep), hooks=(sleep,), directory=tmp_path)
    assert run.file("plan.json")["hurries"] == []
    assert run.rates[20:480] == [1.0] * 460
    assert run.outcome.steps == 600


@by_a_made_clock
def test_a_budget_of_time_is_known_to_an_annealing_schedule():
    run = trained("1s", module=Small(before=Sleep(0.004)), schedule=Choice("cosine"))
    assert run.rates[len(run.rates) // 2] == pytest.approx(0.5, abs=0.25)


@by_a_made_clock
def test_a_run_in_time_changes_no_plan(tmp_path: Path):
    run = trained("400steps", module=Small(before=Sleep(0.001)), directory=tmp_path / "run")
    assert run.file("plan.json")["hurries"] == []
    assert run.outcome.steps == 400


# What is written down


def test_the_plan_is_there_before_the_first_step(tmp_path: Path):
    seen: list[bool] = []
    module = Small(before=lambda: seen.append((tmp_path / "run" / "plan.json").exists()))
    trained("5steps", module=module, directory=tmp_path / "run")
    assert seen == [True] * 5


def test_a_measurement_leaves_the_module_as_it_was(tmp_path: Path):
    measured = trained("30steps", measured=True, directory=tmp_path / "measured")
    assert same(measured.weights, trained("30steps", directory=tmp_path / "plain").weights)


@by_a_made_clock
def test_a_step_takes_what_the_mean_batch_takes_though_the_first_ones_are_short():
    lengths = [10] * 10 + [100] * 20

    def draw(size: int) -> Iterator[Batch]:
        return ({"tokens": Ragged.of([torch.zeros(length)] * size)} for length in cycle(lengths))

    def slow(module: nn.Module, bfloat16: bool) -> Callable[[Batch, int, float], float]:
        def step(batch: Batch, number: int, rate: float) -> float:
            time.sleep(1e-4 * len(batch["tokens"].values))
            return 0.0

        return step

    rehearsal = plan.Rehearsal(Small(), draw, slow, budget_s=1e6)
    free = dict.fromkeys(("free_threads", "free_layout", "free_precision", "free_batch"), False)
    _, seconds = rehearsal.best(plan.Setting(4, 1, False), **free)
    assert seconds == pytest.approx(1e-4 * 4 * statistics.mean(lengths), rel=0.1)


def test_a_resumed_run_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = trained("60steps", measured=True, directory=tmp_path / "whole")
    (tmp_path / "run").mkdir()
    shutil.copy(tmp_path / "whole" / "plan.json", tmp_path / "run")
    monkeypatch.setattr(planning, "Rehearsal", None)
    with pytest.raises(Interrupted):
        trained("60steps", module=Small(before=stopping(30)), measured=True, directory=tmp_path / "run")
    with pytest.raises(TypeError):
        trained("60steps", measured=True, directory=tmp_path / "new")
    resumed = trained("60steps", measured=True, directory=tmp_path / "run")
    assert same(resumed.weights, whole.weights)
    assert resumed.outcome.steps == 60


@by_a_made_clock
def test_values_and_times_are_logged_apart(tmp_path: Path):
    first = trained("100steps", scores=[0.1, 0.2], directory=tmp_path / "first")
    second = trained(
        "100steps",
        scores=[0.1, 0.2],
        module=Small(before=Sleep(0.001)),
        directory=tmp_path / "second",
        checkpoint_s=0.0,
    )
    assert (tmp_path / "first/log.jsonl").read_bytes() == (tmp_path / "second/log.jsonl").read_bytes()
    assert first.file("times.jsonl") != second.file("times.jsonl")
    assert [line["step"] for line in first.file("times.jsonl")] == [25, 50, 75, 100]
    assert [sorted(line) for line in first.file("log.jsonl")] == [["epoch", "loss", "rate", "score", "step"]] * 4


def test_a_name_reaches_the_disk_before_a_checkpoint_relies_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order: list[Any] = []
    write = engine.write_checkpoint
    monkeypatch.setattr(engine, "fsync_directory", order.append)
    monkeypatch.setattr(engine, "write_checkpoint", lambda path, tree: (order.append(path), write(path, tree)))
    trained("30steps", directory=tmp_path / "run")
    assert order == [tmp_path / "run", tmp_path / "run" / "checkpoints" / "last.safetensors"]


@by_a_made_clock
def test_seconds_between_checkpoints_do_not_count_those_of_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved: list[int] = []
    monkeypatch.setattr(
        engine, "write_checkpoint", lambda path, tree: (saved.append(tree["progress"]["step"]), time.sleep(0.06))
    )
    trained("60steps", module=Small(before=Sleep(0.005)), directory=tmp_path / "run", checkpoint_s=0.05)
    assert 2 <= len(saved) <= 12


def test_a_plan_that_is_damaged_is_named(tmp_path: Path):
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(ModelError, match=r"plan\.json"):
        trained(directory=tmp_path)


@pytest.mark.parametrize(
    "altered",
    [
        {"steps": "x"},
        {"steps": -1},
        {"steps": 10**400},
        {"evaluate_every": 0},
        {"seconds": "x"},
        {"lr": "x"},
        {"lr": -0.1},
        {"setting": {"batch_size": 0, "threads": 1, "channels_last": False}},
        {"setting": {"batch_size": 4, "threads": 0, "channels_last": False}},
        {"setting": {"batch_size": 4, "threads": 10**9, "channels_last": False}},
    ],
)
def test_a_plan_that_nobody_made_is_refused(altered: dict[str, Any], tmp_path: Path):
    written = trained("2steps", directory=tmp_path).file("plan.json")
    (tmp_path / "plan.json").write_text(json.dumps(written | altered))
    with pytest.raises(ModelError, match=r"plan\.json is not a readable plan"):
        plan.Plan.load(tmp_path / "plan.json")
