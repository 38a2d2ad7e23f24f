"""The one training loop: for every kind of network, pretraining, distillation, a client's round."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from torch import Tensor, nn

from fathom.errors import Interrupted, ModelError
from fathom.registry import Choice, Range
from fathom.runtime import StopSignal, available_threads, fsync_directory, seeded, threads
from fathom.signals import Batch, to_device
from fathom.training import OPTIMIZERS, SCHEDULES
from fathom.training.budget import Budget
from fathom.training.checkpoint import read_checkpoint, write_checkpoint
from fathom.training.clock import Clock
from fathom.training.hooks import Hook, Moment
from fathom.training.log import RunLog
from fathom.training.plan import Plan, Rehearsal, Setting, apply_layout, make_plan, usual_batch_size
from fathom.training.update import Update

__all__ = ["Drawn", "Outcome", "Task", "Trainer"]

TICK_SECONDS = 0.25
BEHIND_THE_CLOCK = 1.25
# An open-ended run waits for an improvement at least this share of the steps it has made.
PATIENCE_SHARE = 0.15
USUAL_PATIENCE = 10
LOOK_THAT_NEEDS_NO_WARMING_S = 0.2
FEWEST_EVALUATIONS_TO_COOL = 3


class Drawn(Protocol):
    """Batches without end, whose place can be saved and restored."""

    per_epoch: int

    @property
    def epoch(self) -> float: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def __next__(self) -> Batch: ...


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and where it is kept.

    Attributes:
        module: what is trained; see ``update.Trainable``.
        draw: batches of at most a given number of samples.
        samples: how many samples an epoch has.
        validate: called in eval mode; returns what is to grow, and every score to be logged. None trains unwatched.
        directory: the run's directory, for plan, log and checkpoints, or None.
        seed: decides all that is random.
        hooks: what looks on.
        measured: whether settings may be chosen by measurement; without it a run depends on its arguments alone,
            but for a budget of time, which takes the measure of a step.
    """

    module: nn.Module
    draw: Callable[[int], Drawn]
    samples: int
    validate: Callable[[], tuple[float, Mapping[str, float]]] | None = None
    directory: Path | None = None
    seed: int = 0
    hooks: tuple[Hook, ...] = ()
    measured: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        steps: updates done.
        epochs: times all samples were drawn.
        best_step: the step whose weights the module now has.
        best: what validation gave there, or None where it was not watched.
        elapsed_s: seconds of training.
        samples_per_s: samples drawn in a second of updating.
    """

    steps: int
    epochs: float
    best_step: int
    best: float | None
    elapsed_s: float
    samples_per_s: float


@dataclass
class _Progress:
    """Everything about a run that changes and that a checkpoint holds beside weights, optimizers and order."""

    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_step: int = 0
    cooldown: list[int] | None = None
    scores: dict[str, float] = field(default_factory=dict)
    elapsed_s: float = 0.0
    log_place: list[int] = field(default_factory=list)
    finished: bool = False


class Trainer:
    """Trains a task; its keyword-only parameters are the ``[training]`` table.

    Args:
        task: what is trained, on what, and where.
        optimizer: of every part.
        schedule: of the learning rate; one that does not anneal is followed by a cool-down to zero.
        batch_size: samples an update; 0 chooses by rows and by a short measurement.
        threads: of computation; 0 measures.
        layout: of kernels in memory; "auto" measures.
        accumulate: micro-batches that a batch is cut into.
        clip_norm: the largest norm of the gradient; 0 does not clip.
        l1: weight of the sum of absolute values of matrices.
        l2: weight of half the sum of their squares.
        patience: evaluations without improvement before the cool-down starts; 0 waits for USUAL_PATIENCE where
            the budget is open, and for ever where it is not.
        cooldown: share of the steps in which the learning rate falls to zero at the end.
        checkpoint_s: seconds between checkpoints.
    """

    def __init__(
        self,
        task: Task,
        *,
        optimizer: Annotated[Choice, OPTIMIZERS] = Choice("adamw"),
        schedule: Annotated[Choice, SCHEDULES] = Choice("constant"),
        batch_size: Annotated[int, Range(0, 1_000_000)] = 0,
        threads: Annotated[int, Range(0, 256)] = 0,
        layout: Literal["auto", "contiguous", "channels_last"] = "auto",
        accumulate: Annotated[int, Range(1, 4096)] = 1,
        clip_norm: Annotated[float, Range(0, 1e6)] = 1.0,
        l1: Annotated[float, Range(0, 100)] = 0.0,
        l2: Annotated[float, Range(0, 100)] = 0.0,
        patience: Annotated[int, Range(0, 100_000)] = 0,
        cooldown: Annotated[float, Range(0, 1)] = 0.2,
        checkpoint_s: Annotated[float, Range(0, 86_400)] = 20.0,
    ) -> None:
        self._task = task
        self._optimizer, self._schedule = optimizer, SCHEDULES.checked(schedule)
        self._factor = SCHEDULES.get(self._schedule.name).factory
        self._anneals = bool(SCHEDULES.get(self._schedule.name).facts["anneals"])
        self._fixed = (batch_size, threads, layout)
        self._penalties: dict[str, Any] = {"accumulate": accumulate, "clip_norm": clip_norm, "l1": l1, "l2": l2}
        self._patience, self._cooldown, self._checkpoint_s = patience, cooldown, checkpoint_s
        self._log = RunLog(task.directory)
        self._best_weights: dict[str, Tensor] | None = None
        self._now = _Progress()

    def run(self, budget: Budget) -> Outcome:
        """Train, resuming from the directory's checkpoint where there is one; the module ends with its best weights.

        Raises:
            Diverged: NaN, infinity or an explosion; the last checkpoint stays.
            Interrupted: SIGINT or SIGTERM came, and a checkpoint was written.
        """
        plan = self._planned(budget)
        with threads(plan.setting.threads), seeded(self._task.seed), StopSignal() as stop:
            apply_layout(self._task.module, channels_last=plan.setting.channels_last)
            update, batches = self._update(self._task.module), self._task.draw(plan.setting.batch_size)
            self._resume(update, batches)
            if not self._now.finished:
                self._watched_loop(plan, update, batches, stop)
            if stop.number is not None:
                raise Interrupted(stop.number, f"stopped after step {self._now.step}; continue with --resume")
        if self._best_weights is not None:
            self._task.module.load_state_dict(self._best_weights)
        self._task.module.eval()
        return self._outcome(batches)

    def _planned(self, budget: Budget) -> Plan:
        """The directory's plan, or a new one, written before anything follows it."""
        path = None if self._task.directory is None else self._task.directory / "plan.json"
        if path is not None and path.exists():
            return Plan.load(path)
        with seeded(self._task.seed):
            plan = self._new_plan(budget)
        if path is not None:
            plan.save(path)
        return plan

    def _new_plan(self, budget: Budget) -> Plan:
        batch_size, count, layout = self._fixed
        usual = usual_batch_size(self._task.samples)
        plain = Setting(min(batch_size or usual, self._task.samples), count or 1, layout == "channels_last")
        step_s = evaluation_s = 0.0
        free = self._task.measured
        if free or budget.seconds is not None:
            rehearsal = Rehearsal(self._task.module, self._task.draw, self._update)
            convolves = any(parameter.dim() == 4 for parameter in self._task.module.parameters())
            plain, step_s = rehearsal.best(
                plain,
                free_threads=free and count == 0 and available_threads() > 1,
                free_layout=free and layout == "auto" and convolves,
                free_batch=free and batch_size == 0 and 2 * plain.batch_size <= self._task.samples // 20,
            )
            evaluation_s = self._evaluation_seconds(plain.threads)
        per_epoch = self._task.draw(plain.batch_size).per_epoch
        watched = self._task.validate is not None and not self._anneals
        return make_plan(budget, plain, per_epoch, step_s=step_s, evaluation_s=evaluation_s, watched=watched)

    def _evaluation_seconds(self, count: int) -> float:
        """The time of a look at the validation rows; of a second, if warming caches may have been much of the first."""
        with threads(count):
            for _ in range(2):
                started = time.perf_counter()
                self._validated()
                seconds = time.perf_counter() - started
                if seconds > LOOK_THAT_NEEDS_NO_WARMING_S:
                    break
            return seconds

    def _update(self, module: nn.Module) -> Update:
        return Update(module, self._optimizer, seed=self._task.seed, **self._penalties)

    def _watched_loop(self, plan: Plan, update: Update, batches: Drawn, stop: StopSignal) -> None:
        try:
            self._loop(plan, update, batches, stop)
        finally:
            for hook in self._task.hooks:
                hook.closed()

    def _loop(self, plan: Plan, update: Update, batches: Drawn, stop: StopSignal) -> None:
        clock = Clock(self._now.elapsed_s, self._now.step)
        device = next(self._task.module.parameters()).device
        now, saved_s, ticked_s = self._now, clock.seconds, clock.seconds
        self._tell("started", plan, batches, clock)
        self._task.module.train()
        while now.step < self._last_step(plan):
            batch = next(batches) if device.type == "cpu" else to_device(next(batches), device)
            loss = update(batch, now.step, self._rate(plan, now.step))
            now.step, now.loss_sum, now.loss_count = now.step + 1, now.loss_sum + loss, now.loss_count + 1
            if now.step % plan.evaluate_every == 0 or now.step == self._last_step(plan):
                self._evaluate(plan, batches, clock)
            seconds = clock.seconds
            if seconds - ticked_s > TICK_SECONDS:
                ticked_s = seconds
                plan = self._hurried(plan, seconds, clock.tick(seconds, now.step))
                self._tell("ticked", plan, batches, clock)
            if stop.number is not None or seconds - saved_s > self._checkpoint_s:
                self._save(update, batches, clock)
                saved_s = clock.seconds
            if stop.number is not None:
                raise Interrupted(stop.number, f"stopped at step {now.step}; continue with --resume")
        now.finished = True
        self._save(update, batches, clock)
        self._tell("finished", plan, batches, clock)

    def _rate(self, plan: Plan, step: int) -> float:
        """The schedule's factor; from the cool-down's start on, what it was there, falling to zero."""
        cooling = self._cooling(plan)
        starts = [start for start, _ in cooling]
        factor: float = self._factor(min([step, *starts]), plan.steps, **self._schedule.options)
        for (start, last), until in zip(cooling, [*starts, step][1:], strict=True):
            if step > start:
                factor *= (last - min(until, step)) / (last - start)
        return factor

    def _cooling(self, plan: Plan) -> list[tuple[int, int]]:
        """First and last step of the cool-down, as far as it is known, and of each by which it then ends earlier."""
        known = [] if self._anneals else [(plan.steps - round(self._cooldown * plan.steps), plan.steps)]
        known += [(self._now.cooldown[0], self._now.cooldown[1])] if self._now.cooldown is not None else []
        known = sorted([*known, *plan.hurries])
        return [span for k, span in enumerate(known) if all(span[1] < earlier[1] for earlier in known[:k])]

    def _is_cooling(self, plan: Plan) -> bool:
        return any(start < self._now.step for start, _ in self._cooling(plan))

    def _last_step(self, plan: Plan) -> int:
        return min([plan.steps, *(last for _, last in self._cooling(plan))])

    def _hurried(self, plan: Plan, elapsed_s: float, pace_s: float | None) -> Plan:
        """The plan with its cool-down from here, if the run is behind its clock; written before it is followed."""
        step, needed = self._now.step, self._last_step(plan) - self._now.step
        if plan.seconds is None or pace_s is None or needed <= 0:
            return plan
        left = max(1, int((plan.seconds - elapsed_s) / pace_s))
        cooling = self._is_cooling(plan)
        late = needed * pace_s + elapsed_s > BEHIND_THE_CLOCK * plan.seconds or (plan.open_ended and not cooling)
        # What was slow may be fast again: wait until no more steps are left than a cool-down takes.
        due = cooling or left <= max(1, self._cooldown * (step + left))
        if not (late and due) or left >= needed:
            return plan
        hurried = plan.hurried(step, step + left)
        if self._task.directory is not None:
            hurried.save(self._task.directory / "plan.json")
        return hurried

    def _validated(self) -> tuple[float, Mapping[str, float]]:
        if self._task.validate is None:
            return math.nan, {}
        self._task.module.eval()
        try:
            return self._task.validate()
        finally:
            self._task.module.train()

    def _evaluate(self, plan: Plan, batches: Drawn, clock: Clock) -> None:
        """Look at the validation rows, keep the weights if they are the best, log, and see whether to cool down."""
        now, (score, scores) = self._now, self._validated()
        now.scores = dict(scores)
        if score > (-math.inf if now.best is None else now.best):  # false where there is no score: it is NaN
            now.best, now.best_step = score, now.step
            self._best_weights = {name: value.clone() for name, value in self._task.module.state_dict().items()}
        loss = now.loss_sum / max(1, now.loss_count)
        factor = self._rate(plan, now.step - 1)
        values = {"step": now.step, "epoch": batches.epoch, "loss": loss, "rate": factor, **now.scores}
        self._log.write(values, {"elapsed_s": clock.seconds})
        now.loss_sum, now.loss_count = 0.0, 0
        if self._is_stale(plan) and not self._is_cooling(plan):
            # What came after the best weights was no better, so the cool-down starts from them.
            if self._best_weights is not None:
                self._task.module.load_state_dict(self._best_weights)
            length = max(self._cooldown * now.step, FEWEST_EVALUATIONS_TO_COOL * plan.evaluate_every)
            now.cooldown = [now.step, now.step + max(1, round(length))]

    def _is_stale(self, plan: Plan) -> bool:
        """Whether validation has not improved for as long as patience allows."""
        if self._task.validate is None or self._anneals or not (plan.open_ended or self._patience):
            return False
        waited = self._now.step - self._now.best_step
        patience = (self._patience or USUAL_PATIENCE) * plan.evaluate_every
        return waited >= (patience if self._patience else max(patience, PATIENCE_SHARE * self._now.step))

    def _save(self, update: Update, batches: Drawn, clock: Clock) -> None:
        self._now.elapsed_s, self._now.log_place = clock.seconds, self._log.place()
        if self._task.directory is None:
            return
        path = self._task.directory / "checkpoints"
        path.mkdir(exist_ok=True)
        fsync_directory(self._task.directory)
        tree = {
            "weights": dict(self._task.module.state_dict()),
            "best_weights": self._best_weights,
            "optimizers": update.state(),
            "batches": batches.state(),
            "progress": vars(self._now),
        }
        write_checkpoint(path / "last.safetensors", tree)

    def _resume(self, update: Update, batches: Drawn) -> None:
        """Take everything up where the last checkpoint left it, or start with a clean log."""
        directory = self._task.directory
        path = None if directory is None else directory / "checkpoints" / "last.safetensors"
        if path is None or not path.exists():
            self._log.rewind([])
            return
        tree = read_checkpoint(path)
        try:
            self._best_weights = tree["best_weights"]
            for weights in (self._best_weights, tree["weights"]):
                if weights is not None:
                    self._task.module.load_state_dict(weights)
            update.restore(tree["optimizers"])
            batches.restore(tree["batches"])
            self._now = _Progress(**tree["progress"])
            self._log.rewind(self._now.log_place)
        except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is no checkpoint of this run ({error!r:.200})") from error

    def _tell(self, what: str, plan: Plan, batches: Drawn, clock: Clock) -> None:
        now = self._now
        loss = now.loss_sum / now.loss_count if now.loss_count else math.nan
        moment = Moment(now.step, self._last_step(plan), batches.epoch, loss, now.scores, clock.seconds, plan.seconds)
        for hook in self._task.hooks:
            getattr(hook, what)(moment)

    def _outcome(self, batches: Drawn) -> Outcome:
        now = self._now
        rate = batches.epoch * self._task.samples / max(now.elapsed_s, 1e-9)
        best_step = now.best_step if self._best_weights is not None else now.step
        return Outcome(now.step, batches.epoch, best_step, now.best, now.elapsed_s, rate)
