"""The one training loop: for every kind of network, pretraining, distillation, a client's round."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from fathom.errors import ConfigError, Interrupted, ModelError
from fathom.registry import Choice, Range
from fathom.runtime import StopSignal, fsync_directory, seeded, threads
from fathom.signals import to_device
from fathom.training import ADAPTERS, AVERAGES, OPTIMIZERS, SCHEDULES
from fathom.training.budget import Budget
from fathom.training.checkpoint import read_checkpoint, write_checkpoint
from fathom.training.clock import Clock
from fathom.training.course import Course
from fathom.training.diagnostics import Depths, next_sample, read_depths
from fathom.training.freezing import Freezing
from fathom.training.hooks import Moment
from fathom.training.log import RunLog
from fathom.training.plan import Plan, apply_layout
from fathom.training.planning import new_plan
from fathom.training.range_test import is_auto, with_rate
from fathom.training.state import RunState
from fathom.training.task import Drawn, Task
from fathom.training.update import Update

__all__ = ["Drawn", "Outcome", "Task", "Trainer"]

TICK_SECONDS = 0.25


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        steps: updates done.
        epochs: times all samples were drawn.
        best_step: the step whose weights the module now has.
        best: what validation gave there, or None where it was not watched.
        ending: why training ended before its last planned step, in words, or nothing.
        elapsed_s: seconds of training.
        samples_per_s: samples drawn in a second of updating.
        depths: what ``diagnostics.Depths`` saw of the layers, step by step.
    """

    steps: int
    epochs: float
    best_step: int
    best: float | None
    ending: str
    elapsed_s: float
    samples_per_s: float
    depths: Sequence[Mapping[str, Any]] = ()


class Trainer:
    """Trains a task; its keyword-only parameters are the ``[training]`` table.

    Args:
        task: what is trained, on what, and where.
        optimizer: of every part.
        schedule: of the learning rate; "wsd" and "plateau" end with a cool-down to zero.
        average: of the weights, which is evaluated and kept in their place.
        batch_size: samples an update; 0 chooses by rows and by a short measurement.
        threads: of computation; 0 measures.
        layout: of kernels in memory; "auto" measures.
        precision: in which nets compute while they train; "auto" takes bfloat16 for nets that bear it, where a
            measurement shows it to be clearly faster. Weights, losses, validation and what is kept are float32.
        accumulate: micro-batches that a batch is cut into.
        clip_norm: the largest norm of the gradient; 0 does not clip.
        l1: weight of the sum of absolute values of matrices.
        l2: weight of half the sum of their squares.
        l1_proximal: times the learning rate, how far each number of a matrix moves towards zero after a step, to reach
            exact zeros; with an optimizer that rescales gradients it is decoupled, as weight decay is.
        group_l1: likewise of all weights of an input column in the first layer, so that columns are left out. With
            either the last weights are kept, not those that validation finds best, which have fewer zeros.
        patience: looks at validation without improvement before the cool-down starts, from the best weights, whatever
            the budget; 0 waits for USUAL_PATIENCE where the budget is open, and for ever where it is not.
        min_delta: what validation must gain for patience to wait on; "skill", which it watches, is 1 at most. 0 takes
            any gain where patience is given, and else a hundredth of what skill lacks of 1.
        cooldown: share of the steps in which the learning rate falls to zero at the end, or weights are averaged in its
            place; 0 ends at once.
        checkpoint_s: seconds between checkpoints.
        diagnostics: whether gradients, updates and activations of the layers are looked on at, in some sixty steps;
            weights come out the same, to the bit.
        freeze: names of parameters that stay as they are, as ``body`` or ``body.blocks.0``, or "all but heads".
        unfreeze: share of the steps after which one more layer below the heads begins to learn; 0 lets all learn.
        layer_decay: what the learning rate is multiplied by for each layer between a parameter and the heads.
        adapter: what learns in the place of matrices, and is added to them at the end.
    """

    def __init__(
        self,
        task: Task,
        *,
        optimizer: Annotated[Choice, OPTIMIZERS] = Choice("adamw"),
        schedule: Annotated[Choice, SCHEDULES] = Choice("wsd"),
        average: Annotated[Choice, AVERAGES] = Choice("none"),
        batch_size: Annotated[int, Range(0, 1_000_000)] = 0,
        threads: Annotated[int, Range(0, 256)] = 0,
        layout: Literal["auto", "contiguous", "channels_last"] = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        accumulate: Annotated[int, Range(1, 4096)] = 1,
        clip_norm: Annotated[float, Range(0, 1e6)] = 1.0,
        l1: Annotated[float, Range(0, 100)] = 0.0,
        l2: Annotated[float, Range(0, 100)] = 0.0,
        l1_proximal: Annotated[float, Range(0, 100)] = 0.0,
        group_l1: Annotated[float, Range(0, 100)] = 0.0,
        patience: Annotated[int, Range(0, 100_000)] = 0,
        min_delta: Annotated[float, Range(0, 1e6)] = 0.0,
        cooldown: Annotated[float, Range(0, 0.9)] = 0.2,
        checkpoint_s: Annotated[float, Range(0, 86_400)] = 20.0,
        diagnostics: bool = True,
        freeze: tuple[str, ...] = (),
        unfreeze: Annotated[float, Range(0, 1)] = 0.0,
        layer_decay: Annotated[float, Range(0.01, 1)] = 1.0,
        adapter: Annotated[Choice, ADAPTERS] = Choice("none"),
    ) -> None:
        self._task = task
        with seeded(task.seed):
            self._adapted = ADAPTERS.build(adapter, task.module)
        self._freezing = Freezing(task.module, freeze, unfreeze)
        self._optimizer, self._chosen_average = OPTIMIZERS.checked(optimizer), AVERAGES.checked(average)
        facts = OPTIMIZERS.get(optimizer.name).facts
        averages, searches = bool(facts.get("averages")), bool(facts.get("full_batch"))
        if is_auto(self._optimizer) and searches:
            raise ConfigError(f"optimizer.lr = 'auto' is of no use to {optimizer.name}, which searches along each step")
        if searches and (unfreeze or layer_decay != 1):
            raise ConfigError(f"optimizer {optimizer.name} moves all weights alike: leave out unfreeze and layer_decay")
        if precision == "bfloat16" and searches:
            raise ConfigError(f"optimizer {optimizer.name} compares losses: training.precision must be auto or float32")
        if averages and average.name != "none":
            raise ConfigError(f"optimizer {optimizer.name} averages weights itself: leave training.average at none")
        holds, watched = averages or bool(AVERAGES.get(average.name).facts["holds"]), task.validate is not None
        share = 0.0 if averages else cooldown
        self._course = Course(schedule, share, patience, min_delta, holds=holds, watched=watched, perfect=task.perfect)
        self._fixed = (batch_size, threads, layout, precision)
        if (l1_proximal or group_l1) and average.name != "none":
            raise ConfigError("averages of weights are not exactly zero: leave out training.average or the proximal L1")
        self._penalties: dict[str, Any] = {"accumulate": accumulate, "clip_norm": clip_norm, "l1": l1, "l2": l2}
        self._penalties |= {"l1_proximal": l1_proximal, "group_l1": group_l1, "layer_decay": layer_decay}
        self._sparse = l1_proximal + group_l1 > 0
        self._checkpoint_s = checkpoint_s
        self._log = RunLog(task.directory)
        self._depths = Depths(task.module) if diagnostics else None
        self._seen: list[Mapping[str, Any]] = []  # by a run without a directory
        self._best_weights: dict[str, Tensor] | None = None
        self._now, self._logged = RunState(), dict[str, float]()

    def run(self, budget: Budget) -> Outcome:
        """Train, resuming from the directory's checkpoint where there is one; the module ends with its best weights.

        Raises:
            Diverged: NaN, infinity or an explosion; the last checkpoint stays.
            Interrupted: SIGINT or SIGTERM came, and a checkpoint was written.
        """
        plan = self._planned(budget)
        with threads(plan.setting.threads), seeded(self._task.seed), StopSignal() as stop:
            apply_layout(self._task.module, channels_last=plan.setting.channels_last)
            draw = partial(self._task.draw, plan.setting.batch_size)
            optimizer = with_rate(self._optimizer, plan.lr)
            update, batches = self._update(self._task.module, optimizer, plan.setting.bfloat16), draw()
            self._average = AVERAGES.build(self._chosen_average, self._task.module, draw)
            self._resume(update, batches)
            if not self._now.finished:
                self._watched_loop(plan, update, batches, stop)
            if stop.number is not None:
                raise Interrupted(stop.number, f"stopped after step {self._now.step}; continue with --resume")
        if self._best_weights is None:
            with self._kept(update):
                self._best_weights = self._weights()
        self._task.module.load_state_dict(self._best_weights)
        self._adapted.merge()
        self._freezing.release()
        self._task.module.eval()
        return self._outcome(batches)

    @property
    def depths(self) -> tuple[Mapping[str, Any], ...]:
        """What was seen of the layers so far."""
        return tuple(self._seen if self._task.directory is None else read_depths(self._task.directory))

    def _planned(self, budget: Budget) -> Plan:
        """The directory's plan, or a new one, written before anything follows it."""
        path = None if self._task.directory is None else self._task.directory / "plan.json"
        if path is not None and path.exists():
            return Plan.load(path)
        with seeded(self._task.seed):
            plan = new_plan(
                self._task, budget, self._fixed, self._optimizer, self._update, self._validated, self._course.anneals
            )
        if path is not None:
            plan.save(path)
        return plan

    def _update(self, module: nn.Module, optimizer: Choice, bfloat16: bool) -> Update:
        return Update(module, optimizer, seed=self._task.seed, bfloat16=bfloat16, **self._penalties)

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
        self._freezing.to_train()
        sampled = next_sample(now.step)
        while now.step < self._course.last_step(plan, now):
            self._freezing.thaw(now.step / plan.steps)
            batch = next(batches) if device.type == "cpu" else to_device(next(batches), device)
            one = partial(update, batch, now.step, self._rate(plan, now.step))
            now.trained(one() if now.step < sampled else self._watched(one))
            sampled = next_sample(now.step) if now.step > sampled else sampled
            self._average.follow(ending=self._course.is_ending(plan, now))
            if now.step % plan.evaluate_every == 0 or now.step == self._course.last_step(plan, now):
                self._evaluate(plan, update, batches, clock)
                self._tell("looked", plan, batches, clock)
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

    def _watched(self, one: Callable[[], float]) -> float:
        """Carry an update out, and keep what is seen of the layers meanwhile."""
        if self._depths is None:
            return one()
        value, record = self._depths.watched(self._now.step, one)
        self._log.write_depths(record)
        if self._task.directory is None:
            self._seen.append(record)
        return value

    def _rate(self, plan: Plan, step: int) -> float:
        return self._course.factor(plan, self._now, step)

    def _hurried(self, plan: Plan, elapsed_s: float, pace_s: float | None) -> Plan:
        """The plan, its cool-down from here if the run is behind its clock; written before it is followed."""
        hurried = self._course.hurried(plan, self._now, elapsed_s, pace_s)
        if hurried is not plan and self._task.directory is not None:
            hurried.save(self._task.directory / "plan.json")
        return hurried

    @contextmanager
    def _kept(self, update: Update) -> Iterator[None]:
        """Inside the block the module has the weights that are evaluated and kept, which may not be those updated."""
        with update.averaged(), self._average.shown():
            yield

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self._task.module.state_dict().items()}

    def _validated(self) -> tuple[float, Mapping[str, float]]:
        if self._task.validate is None:
            return math.nan, {}
        self._task.module.eval()
        try:
            return self._task.validate()
        finally:
            self._freezing.to_train()

    def _evaluate(self, plan: Plan, update: Update, batches: Drawn, clock: Clock) -> None:
        """Look at the validation rows, keep the weights if they are the best, log, and see whether to cool down."""
        now = self._now
        factor = self._rate(plan, now.step - 1)
        with self._kept(update):
            score, scores = self._validated()
            now.scores = dict(scores)
            best = self._course.looked(plan, now, score)
            if self._sparse and not math.isnan(score):
                now.best, now.best_step, best = score, now.step, True
            if best:
                self._best_weights = self._weights()
        loss = now.loss_sum / max(1, now.loss_count)
        self._logged = {"step": now.step, "epoch": batches.epoch, "loss": loss, "rate": factor, **now.scores}
        self._log.write(self._logged, {"elapsed_s": clock.seconds})
        now.loss_sum, now.loss_count = 0.0, 0
        # What came after the best weights was no better, so the cool-down starts from them.
        if self._course.begins_to_end(plan, now) and self._best_weights is not None:
            self._task.module.load_state_dict(self._best_weights)
            self._average.forget()

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
            "average": self._average.state(),
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
            self._average.restore(tree["average"])
            batches.restore(tree["batches"])
            self._now = RunState(**tree["progress"])
            self._log.rewind(self._now.log_place)
        except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is no checkpoint of this run ({error!r:.200})") from error

    def _tell(self, what: str, plan: Plan, batches: Drawn, clock: Clock) -> None:
        now, last = self._now, self._course.last_step(plan, self._now)
        at = (now.step, last, batches.epoch, now.loss, now.scores, clock.seconds)
        moment = Moment(*at, plan.seconds, now.best_step, now.ending, self._logged)
        for hook in self._task.hooks:
            getattr(hook, what)(moment)

    def _outcome(self, batches: Drawn) -> Outcome:
        now = self._now
        rate = batches.epoch * self._task.samples / max(now.elapsed_s, 1e-9)
        best_step = now.step if now.best is None else now.best_step
        return Outcome(now.step, batches.epoch, best_step, now.best, now.ending, now.elapsed_s, rate, self.depths)
