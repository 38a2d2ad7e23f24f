"""What a run decides before its first step: how a step is computed, how many there are, how long they are."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from fathom.nets.stacked import own_dimensions
from fathom.registry import Choice
from fathom.runtime import available_threads, threads
from fathom.signals import Batch, to_device
from fathom.training import OPTIMIZERS
from fathom.training.budget import DEFAULT_SECONDS, Budget
from fathom.training.lbfgs import full_batch
from fathom.training.plan import Plan, Rehearsal, Setting, apply_layout, make_plan, usual_batch_size
from fathom.training.range_test import is_auto, range_test, steps_of_test, with_rate
from fathom.training.task import Task
from fathom.training.update import Update

__all__ = ["new_plan"]

LOOK_THAT_NEEDS_NO_WARMING_S, FEW_LOOKS = 0.2, 3
MakeUpdate = Callable[[nn.Module, Choice, bool], Update]


def new_plan(
    task: Task,
    budget: Budget,
    fixed: tuple[int, int, str, str],
    optimizer: Choice,
    update: MakeUpdate,
    look: Callable[[], Any],
    anneals: bool,
) -> Plan:
    """Measure and choose what is free; the module stays as it is.

    Args:
        task: what is to be trained.
        budget: how long.
        fixed: batch size and threads, 0 where they are free, and layout and precision, "auto" where they are.
        optimizer: of every part.
        update: an update of a module by an optimizer, and whether it computes in bfloat16.
        look: looks at the validation rows.
        anneals: whether the schedule must know its end, so that validation may not decide it.
    """
    batch_size, count, layout, precision = fixed
    full = bool(OPTIMIZERS.get(optimizer.name).facts.get("full_batch"))
    if full:
        batch_size = full_batch(batch_size, task.samples)
    convolves = any(own_dimensions(parameter) == 4 for parameter in task.module.parameters())
    usual = usual_batch_size(task.samples, pictures=convolves, positions=task.positions)
    size = min(batch_size or usual, task.samples)
    setting = Setting(size, count or 1, layout == "channels_last", precision == "bfloat16")
    step_s = evaluation_s = 0.0
    free = task.measured
    if free or budget.seconds is not None:
        numeric = with_rate(optimizer, None)

        def make_step(module: nn.Module, bfloat16: bool) -> Update:
            return update(module, numeric, bfloat16)

        budget_s = budget.seconds or (DEFAULT_SECONDS if budget.open_ended else 0.0)
        rehearsal = Rehearsal(task.module, lambda size: _drawn(task, size), make_step, budget_s)
        setting, step_s = rehearsal.best(
            setting,
            free_threads=free and count == 0 and available_threads() > 1,
            free_layout=free and layout == "auto" and convolves,
            free_precision=free and precision == "auto" and task.bears_bfloat16 and not full,
            free_batch=free and batch_size == 0 and 2 * setting.batch_size <= task.samples // 20,
        )
        evaluation_s = _seconds_of(look, setting.threads)
    per_epoch = task.draw(setting.batch_size).per_epoch
    watched = task.validate is not None and not anneals
    plan = make_plan(budget, setting, per_epoch, step_s=step_s, evaluation_s=evaluation_s, watched=watched)
    return replace(plan, lr=_tested_rate(task, plan, optimizer, update)) if is_auto(optimizer) else plan


def _tested_rate(task: Task, plan: Plan, optimizer: Choice, update: MakeUpdate) -> float:
    """A learning rate for this plan, found on a copy of the module; the optimizer's own where the run is short."""
    option = OPTIMIZERS.get(optimizer.name).options["lr"]
    assert option.range is not None
    steps = steps_of_test(plan.steps)
    if steps == 0:
        return float(option.default)
    twin = copy.deepcopy(task.module).train()
    apply_layout(twin, channels_last=plan.setting.channels_last)
    with threads(plan.setting.threads):
        unit = update(twin, with_rate(optimizer, 1.0), plan.setting.bfloat16)
        return range_test(unit, _drawn(task, plan.setting.batch_size), steps, option.default, option.range)


def _drawn(task: Task, size: int) -> Iterator[Batch]:
    device = next(task.module.parameters()).device
    return (to_device(batch, device) for batch in task.draw(size))


def _seconds_of(look: Callable[[], Any], count: int) -> float:
    """The time of a look at the validation rows: the shortest of a few, the first of which warms caches."""
    seconds: list[float] = []
    with threads(count):
        while len(seconds) < FEW_LOOKS and (not seconds or seconds[-1] < LOOK_THAT_NEEDS_NO_WARMING_S):
            started = time.perf_counter()
            look()
            seconds.append(time.perf_counter() - started)
    return min(seconds)
