"""The engine keeps its promises on a module so small that each can be written down beside it."""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathom.data.store import Batches, TensorStore
from fathom.errors import Diverged, Interrupted, ModelError
from fathom.registry import Choice
from fathom.signals import Batch, Loss
from fathom.training import SCHEDULES, engine, plan, update
from fathom.training.budget import Budget
from fathom.training.checkpoint import read_checkpoint
from fathom.training.engine import Outcome, Task, Trainer
from fathom.training.hooks import Hook, Moment

ROWS = 64
DEVICES = ["cpu", *([str(torch.accelerator.current_accelerator())] if torch.accelerator.is_available() else [])]


class Small(nn.Module):
    """A perceptron and its squared error, under the name of a head; what is to go wrong can be put into it."""

    whole_batch = False

    def __init__(self, *, dropout: float = 0.0, norm: bool = False, before: Callable[[], None] | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layers = [nn.Linear(3, 8), nn.BatchNorm1d(8) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(dropout)]
            self.layers = nn.Sequential(*layers, nn.Linear(8, 1))
        self.before = before
        self.calls = 0

    @property
    def parts(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
        """batch["x"] (B, 3), batch["y"] (B, 1), batch["known"] (B, 1)."""
        self.calls += 1
        if self.before is not None:
            self.before()
        error = (self.layers(batch["x"]) - batch["y"]) * batch["known"]
        return {"y": Loss(error.square().sum(), self.weigh(batch, part)["y"])}

    def weigh(self, batch: Batch, part: str) -> dict[str, Tensor]:
        return {"y": batch["known"].sum()}


def rows(count: int = ROWS, *, known: float = 1.0) -> TensorStore:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 3, generator=generator)
    y = (x[:, :1] * 2 - x[:, 1:2]).tanh() + 0.1 * torch.randn(count, 1, generator=generator)
    return TensorStore({"x": x, "y": y, "known": (torch.rand(count, 1, generator=generator) < known).float()})


def scripted(scores: Sequence[float], weights: list[Any], module: nn.Module) -> Callable[[], tuple[float, Any]]:
    """A validation that answers with one score after another, the last one for ever, and keeps what it looked at."""

    def validate() -> tuple[float, dict[str, float]]:
        score = scores[min(len(weights), len(scores) - 1)]
        weights.append({name: value.clone() for name, value in module.state_dict().items()})
        return score, {"score": score}

    return validate


class Trained:
    """A small module, trained.

    Attributes:
        looks: the module's weights at each validation.
    """

    def __init__(
        self,
        budget: str | None = "40steps",
        *,
        module: Small | None = None,
        store: TensorStore | None = None,
        scores: Sequence[float] | None = None,
        directory: Path | None = None,
        hooks: tuple[Hook, ...] = (),
        measured: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.module, self.store, self.directory = module or Small(), store or rows(), directory
        self.looks: list[dict[str, Tensor]] = []
        self._rates: dict[int, float] = {}
        validate = None if scores is None else scripted(scores, self.looks, self.module)
        draw = partial(Batches, self.store, seed=seed)
        if directory is not None:
            directory.mkdir(exist_ok=True)
        task = Task(self.module, draw, len(self.store), validate, directory, seed, hooks, measured)
        self.trainer = Trainer(task, **{"threads": 1, "batch_size": 16, "layout": "contiguous", **options})
        self.budget = Budget.parse(budget)

    def run(self) -> Trained:
        rate = self.trainer._rate

        def noted(plan: Any, step: int) -> float:
            return self._rates.setdefault(step, rate(plan, step))

        self.trainer._rate = noted  # type: ignore[method-assign]
        self.outcome: Outcome = self.trainer.run(self.budget)
        return self

    @property
    def rates(self) -> list[float]:
        """The schedule's factor in each step."""
        return list(self._rates.values())

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.module.state_dict().items()}

    def file(self, name: str) -> Any:
        assert self.directory is not None
        text = (self.directory / name).read_text()
        return json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]


def trained(*arguments: Any, **named: Any) -> Trained:
    return Trained(*arguments, **named).run()


def same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def one_update(batch: Batch, module: Small | None = None, **options: Any) -> tuple[Small, list[Tensor], float]:
    """A module after one step of plain descent at rate 1: before it, less its gradient."""
    module = module or Small()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    choice = options.pop("optimizer", Choice("sgd", {"lr": 1.0, "momentum": 0.0}))
    made = update.Update(module, choice, seed=0, **options)
    value = made(batch, 0, 1.0)
    steps = [b - parameter.detach() for b, parameter in zip(before, module.parameters(), strict=True)]
    return module, steps, value


def gradients(batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters of a new module, and the gradient of its mean loss, by autograd alone."""
    module = Small()
    total, weight, *_ = module.loss(batch, "network")["y"]
    found = torch.autograd.grad(total / weight, list(module.parameters()))
    return [parameter.detach() for parameter in module.parameters()], list(found)


class Sleep(Hook):
    """Makes each step take time; a sleep hardly feels who else computes.

    Args:
        seconds: of a step.
        later: of a step after ``share`` of the steps that are planned when training starts.
        share: when the machine slows down.
    """

    def __init__(self, seconds: float, later: float = 0.0, share: float = 1.0) -> None:
        self._seconds, self._later, self._share = seconds, later, share
        self._slow_from, self._calls = math.inf, 0

    def started(self, moment: Moment) -> None:
        self._slow_from, self._calls = self._share * moment.steps, 0

    def __call__(self) -> None:
        self._calls += 1
        time.sleep(self._later if self._calls > self._slow_from else self._seconds)


# Budgets


def test_a_budget_of_steps_is_kept():
    assert trained("37steps").outcome.steps == 37


def test_a_budget_of_epochs_is_kept():
    outcome = trained("3epochs").outcome
    assert (outcome.steps, outcome.epochs) == (3 * ROWS / 16, 3.0)


@pytest.mark.parametrize("measured", [True, False])
def test_a_budget_of_three_seconds_ends_within_a_quarter(measured: bool):
    run = trained("3s", module=Small(before=Sleep(0.004)), measured=measured)
    assert run.outcome.elapsed_s == pytest.approx(3, rel=0.25)
    full = sum(rate == 1.0 for rate in run.rates)
    assert full > 0.7 * len(run.rates), "the cool-down takes a fifth of the steps, not all of the time"


def test_batches_of_one_sample_and_of_all():
    assert trained("10steps", batch_size=1).outcome.epochs == 10 / ROWS
    assert trained("10steps", batch_size=10_000).outcome.epochs == 10


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


def test_a_constant_schedule_cools_down_at_the_end():
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
    assert run.outcome.steps == STALE + 25 * engine.FEWEST_EVALUATIONS_TO_COOL


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
    run = trained("300steps", scores=WORSE, patience=1, schedule=Choice(schedule))
    factor = SCHEDULES.get(schedule).factory
    assert run.outcome.steps == 300
    assert list(dict.fromkeys(run.rates)) == list(dict.fromkeys(factor(step, 300) for step in range(300)))


@pytest.mark.parametrize("patience", [0, 3])
def test_an_open_ended_annealing_run_has_the_usual_length(patience: int):
    run = trained(None, scores=WORSE, schedule=Choice("cosine"), patience=patience)
    assert run.outcome.steps == max(plan.USUAL_STEPS, plan.USUAL_EPOCHS * ROWS // 16)


def test_an_open_ended_run_that_always_improves_ends_with_a_cool_down(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan, "MOST_EPOCHS", 100)
    run = trained(None, scores=BETTER)
    assert run.outcome.steps == 100 * ROWS // 16
    assert_falls_to_zero(run.rates[-80:])


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


# The clock


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


def test_a_run_that_falls_behind_while_it_cools_down_ends_earlier(tmp_path: Path):
    sleep = Sleep(0.001, 0.02, share=0.5)
    run = trained("1s", module=Small(before=sleep), hooks=(sleep,), directory=tmp_path / "run", cooldown=0.7)
    written = run.file("plan.json")
    assert run.outcome.steps == written["hurries"][-1][1] < written["steps"]
    assert run.outcome.elapsed_s < 1.6
    assert_cools_down(run.rates[round(written["steps"] * 0.3) + 1 :])


def assert_cools_down(rates: Sequence[float]) -> None:
    """The rate falls all the way, nearly to zero, though the end came nearer meanwhile."""
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert 0 < rates[-1] < 0.5 * rates[0]


def test_a_run_that_was_slow_for_a_while_waits_whether_it_must_hurry(tmp_path: Path):
    planned = plan.Plan(plan.Setting(16, 1, False), steps=600, open_ended=False, seconds=2.4, evaluate_every=100)
    planned.save(tmp_path / "plan.json")
    sleep = Sleep(0.02, 0.001, share=0.1)
    run = trained("2.4s", module=Small(before=sleep), hooks=(sleep,), directory=tmp_path)
    assert run.file("plan.json")["hurries"] == []
    assert run.rates[20:480] == [1.0] * 460
    assert run.outcome.steps == 600


def test_a_budget_of_time_is_known_to_an_annealing_schedule():
    run = trained("1s", module=Small(before=Sleep(0.004)), schedule=Choice("cosine"))
    assert run.rates[len(run.rates) // 2] == pytest.approx(0.5, abs=0.25)


def test_a_run_in_time_changes_no_plan(tmp_path: Path):
    run = trained("400steps", module=Small(before=Sleep(0.001)), directory=tmp_path / "run")
    assert run.file("plan.json")["hurries"] == []
    assert run.outcome.steps == 400


# Divergence


def poisoned(step: int, value: float) -> tuple[Small, TensorStore]:
    """A module whose loss is ``value`` in one step."""
    module = Small()
    original = module.loss

    def loss(batch: Batch, part: str) -> dict[str, Loss]:
        found = original(batch, part)["y"]
        return {"price": found._replace(total=found.total * value) if module.calls == step + 1 else found}

    module.loss = loss  # type: ignore[method-assign]
    return module, rows()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_caught_before_the_update(value: float, tmp_path: Path):
    module, store = poisoned(33, value)
    before: list[dict[str, Tensor]] = []
    module.before = lambda: before.append({name: p.detach().clone() for name, p in module.named_parameters()})
    with pytest.raises(Diverged, match=r"step 33: the loss of price is (nan|inf)") as raised:
        trained("60steps", module=module, store=store, directory=tmp_path / "run", checkpoint_s=0.0)
    assert raised.value.exit_status == 3
    assert same(dict(module.named_parameters()), before[-1])
    assert not same(before[-1], before[-2])
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")["progress"]["step"] == 33


def test_a_gradient_that_is_no_number_is_caught_before_the_update():
    class Rooted(Small):
        def loss(self, batch: Batch, part: str) -> dict[str, Loss]:
            found = super().loss(batch, part)["y"]
            root = (self.layers[0].bias * 0).square().sum().sqrt()  # its value is 0, its slope no number
            return {"y": found._replace(total=found.total + root)}

    module = Rooted()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    with pytest.raises(Diverged, match="step 0: the gradient's norm is nan"):
        trained(module=module)
    assert all(torch.equal(b, parameter) for b, parameter in zip(before, module.parameters(), strict=True))


# The gradient


def test_the_gradient_is_that_of_the_mean_over_known_rows():
    batch = rows(known=0.7).batch(torch.arange(30))
    _, expected = gradients(batch)
    _, steps, value = one_update(batch)
    module = Small()
    torch.testing.assert_close(steps, expected)
    known = batch["known"].bool()
    assert value == pytest.approx(float((module.layers(batch["x"]) - batch["y"])[known].square().mean().detach()))


@pytest.mark.parametrize("pieces", [2, 3, 7, 30, 100])
def test_micro_batches_give_the_gradient_of_the_whole(pieces: int):
    batch = rows(known=0.5).batch(torch.arange(30))
    _, whole, value = one_update(batch)
    _, cut, cut_value = one_update(batch, accumulate=pieces)
    torch.testing.assert_close(cut, whole)
    assert cut_value == pytest.approx(value)


def test_a_batch_without_any_target_changes_nothing():
    batch = rows(known=0.0).batch(torch.arange(8))
    assert all(not step.any() for step in one_update(batch)[1])


@pytest.mark.parametrize("largest", [0.01, 1e6])
def test_the_gradient_is_clipped_to_its_norm(largest: float):
    batch = rows().batch(torch.arange(16))
    _, expected = gradients(batch)
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in expected))
    scale = min(1.0, largest / norm)
    _, steps, _ = one_update(batch, clip_norm=largest)
    torch.testing.assert_close(steps, [g * scale for g in expected])


def test_l1_and_l2_are_added_to_the_gradient_of_matrices():
    batch = rows().batch(torch.arange(16))
    parameters, expected = gradients(batch)
    _, steps, value = one_update(batch, l1=0.3, l2=0.7)
    for step, parameter, gradient in zip(steps, parameters, expected, strict=True):
        leaf = parameter.clone().requires_grad_()
        if leaf.dim() > 1:
            (added,) = torch.autograd.grad(0.3 * leaf.abs().sum() + 0.7 * leaf.square().sum() / 2, leaf)
            torch.testing.assert_close(step, gradient + added)
        else:
            torch.testing.assert_close(step, gradient)
    assert value == pytest.approx(one_update(batch)[2]), "the loss that is logged is without penalties"


def test_weight_decay_spares_biases_and_norms():
    module = Small(norm=True)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    batch = rows(known=0.0).batch(torch.arange(8))  # no target is known, so that the gradient is zero
    one_update(batch, module, optimizer=Choice("adamw", {"lr": 0.1, "weight_decay": 0.5}))
    for name, parameter in module.named_parameters():
        factor = 1 - 0.1 * 0.5 if parameter.dim() > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor, msg=name)


def test_frozen_parameters_stay():
    module = Small()
    module.layers[0].weight.requires_grad_(False)
    before = module.layers[0].weight.clone()
    trained(module=module, l2=0.1, optimizer=Choice("adamw", {"weight_decay": 0.5}))
    assert torch.equal(module.layers[0].weight, before)


# What is written down


def test_the_plan_is_there_before_the_first_step(tmp_path: Path):
    seen: list[bool] = []
    module = Small(before=lambda: seen.append((tmp_path / "run" / "plan.json").exists()))
    trained("5steps", module=module, directory=tmp_path / "run")
    assert seen == [True] * 5


def test_a_measurement_leaves_the_module_as_it_was(tmp_path: Path):
    measured = trained("30steps", measured=True, directory=tmp_path / "measured")
    assert same(measured.weights, trained("30steps", directory=tmp_path / "plain").weights)


def test_a_resumed_run_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = trained("60steps", measured=True, directory=tmp_path / "whole")
    (tmp_path / "run").mkdir()
    shutil.copy(tmp_path / "whole" / "plan.json", tmp_path / "run")
    monkeypatch.setattr(engine, "Rehearsal", None)
    with pytest.raises(Interrupted):
        trained("60steps", module=Small(before=stopping(30)), measured=True, directory=tmp_path / "run")
    with pytest.raises(TypeError):
        trained("60steps", measured=True, directory=tmp_path / "new")
    resumed = trained("60steps", measured=True, directory=tmp_path / "run")
    assert same(resumed.weights, whole.weights)
    assert resumed.outcome.steps == 60


def stopping(step: int) -> Callable[[], None]:
    """What sends this process a signal to stop, in that step."""
    left = step

    def stop() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGTERM)

    return stop


def test_values_and_times_are_logged_apart(tmp_path: Path):
    first = trained("100steps", scores=WORSE, directory=tmp_path / "first")
    second = trained(
        "100steps", scores=WORSE, module=Small(before=Sleep(0.001)), directory=tmp_path / "second", checkpoint_s=0.0
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


@pytest.mark.parametrize("device", DEVICES)
def test_dropout_is_drawn_from_the_step(device: str):
    module = Small(dropout=0.5).to(device)
    batch = {key: value.to(device) for key, value in rows().batch(torch.arange(32)).items()}
    made = update.Update(module, Choice("sgd", {"lr": 1e-6}), seed=0)
    made(batch, 0, 0.0)
    values = [made(batch, step, 0.0) for step in (1, 2, 1)]
    assert values[0] == values[2] != values[1]


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
