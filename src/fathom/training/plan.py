"""What is measured or chosen before the first step, written down so that nobody measures it again."""

from __future__ import annotations

import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from fathom.errors import ModelError
from fathom.runtime import available_threads, threads, write_atomic
from fathom.signals import Batch, Ragged, batch_size
from fathom.training.budget import DEFAULT_SECONDS, LARGEST, Budget

__all__ = ["Plan", "Rehearsal", "Setting", "apply_layout", "make_plan", "usual_batch_size"]

# A trial is over after so many seconds, or steps: where those take no time, what is measured pays for itself no more.
ROUNDS, SECONDS_A_TRIAL, STEPS_A_TRIAL = 3, 0.06, 12
# Of a batch whose step takes longer a share is tried, which tells less; a long run can afford larger ones.
SHARE_OF_BUDGET_A_STEP = 5e-4
MOST_THREADS = 256
FEWEST_ROWS_TRIED = 8  # batch norm needs more than one
# What a setting must gain to be preferred to a plainer one: measurements on shared machines differ by less.
CLEAR_GAIN = 1.15
# What gains by larger products shows it on whole batches; they are tried where a share is no more than so much cheaper.
SHARE_NEAR_A_WHOLE = 0.25
# A larger batch makes fewer updates of an epoch, so it has to gain more.
LARGER_BATCH_GAIN = 1.6
BATCHES_COUNTED = 32  # to know how long the sequences of a batch are, for those of one batch are of like lengths
BATCHES_AN_EPOCH, SMALLEST_BATCH, LARGEST_BATCH = 50, 16, 256
LARGEST_BATCH_OF_POSITIONS = 2048
LARGEST_BATCH_OF_PICTURES = 128  # larger ones compute no faster there, and learn less in the same time
MOST_EPOCHS = 1000
# An open-ended run that nothing watches, or whose schedule needs an end, gets a usual length.
USUAL_EPOCHS, USUAL_STEPS = 60, 500
STEPS_BETWEEN_EVALUATIONS = (25, 2000)
EVALUATION_SHARE = 0.04
RAREST_EVALUATION_EPOCHS = 4
SHARE_FOR_EVALUATION_AND_SAVING = 0.05


MakeStep = Callable[[nn.Module, bool], Callable[[Batch, int, float], float]]


@dataclass(frozen=True)
class Setting:
    """How a step is computed.

    Attributes:
        batch_size: samples a batch.
        threads: of computation.
        channels_last: whether channels stand last in memory.
        bfloat16: whether products are computed in that precision.
    """

    batch_size: int
    threads: int
    channels_last: bool
    bfloat16: bool = False


@dataclass(frozen=True)
class Plan:
    """A run's decisions, in ``plan.json``.

    Attributes:
        setting: how a step is computed.
        steps: the last step; fewer where validation decides.
        open_ended: whether validation decides when to stop.
        seconds: the clock that the run keeps to, or None.
        evaluate_every: steps between looks at the validation rows.
        lr: the learning rate that a range test found, or None where none was asked for.
        hurries: first and last step of each cool-down that began early, because the run was behind its clock.
    """

    setting: Setting
    steps: int
    open_ended: bool
    seconds: float | None
    evaluate_every: int
    lr: float | None = None
    hurries: tuple[tuple[int, int], ...] = ()

    def save(self, path: Path) -> None:
        write_atomic(path, (json.dumps(asdict(self), indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what ``save`` wrote.

        Raises:
            ModelError: the file is not such a plan.
        """
        try:
            fields = json.loads(path.read_text())
            hurries = tuple((int(first), int(last)) for first, last in fields["hurries"])
            plan = cls(**{**fields, "setting": Setting(**fields["setting"]), "hurries": hurries})
            counts = (plan.setting.batch_size, plan.setting.threads, plan.steps, plan.evaluate_every)
            if not all(type(count) is int and 0 < count < LARGEST for count in counts):
                raise ValueError(f"these are no counts: {counts!r:.100}")
            if plan.setting.threads > MOST_THREADS:
                raise ValueError(f"these are too many threads: {plan.setting.threads}")
            if type(plan.setting.channels_last) is not bool or type(plan.setting.bfloat16) is not bool:
                raise ValueError(f"this is no setting: {plan.setting!r:.200}")
            if plan.lr is not None and not 0 < float(plan.lr) < LARGEST:
                raise ValueError(f"this is no learning rate: {plan.lr!r:.100}")
            return replace(plan, seconds=None if plan.seconds is None else float(plan.seconds))
        except (OSError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is not a readable plan ({type(error).__name__}: {error})") from error

    def hurried(self, step: int, last_step: int) -> Plan:
        """The same plan with its cool-down from ``step`` to ``last_step``."""
        return replace(self, hurries=(*self.hurries, (step, last_step)))


def make_plan(
    budget: Budget, setting: Setting, per_epoch: int, *, step_s: float, evaluation_s: float, watched: bool
) -> Plan:
    """Turn a budget into steps.

    Args:
        budget: how long to train.
        setting: how a step is computed.
        per_epoch: steps an epoch.
        step_s: seconds a step takes; 0 where nothing was measured.
        evaluation_s: seconds a look at the validation rows takes.
        watched: whether validation may decide when to stop.
    """
    fewest, most = STEPS_BETWEEN_EVALUATIONS
    affordable = round(evaluation_s / (EVALUATION_SHARE * step_s)) if step_s else 1
    every = max(fewest, min(per_epoch, most), min(affordable, RAREST_EVALUATION_EPOCHS * per_epoch))
    seconds = budget.seconds or (DEFAULT_SECONDS if budget.open_ended else None)
    if budget.steps is not None:
        steps = budget.steps
    elif budget.epochs is not None:
        steps = max(1, round(budget.epochs * per_epoch))
    else:
        assert seconds is not None
        a_step = max(step_s, 1e-6) * (1 + SHARE_FOR_EVALUATION_AND_SAVING) + evaluation_s / every
        steps = max(1, int(seconds / a_step))
    if budget.open_ended:
        steps = min(steps, MOST_EPOCHS * per_epoch if watched else max(USUAL_STEPS, USUAL_EPOCHS * per_epoch))
    return Plan(setting, steps, budget.open_ended and watched, seconds, min(every, steps))


def usual_batch_size(rows: int, *, pictures: bool = False, positions: float = 1.0) -> int:
    """A power of two that makes about BATCHES_AN_EPOCH batches of the rows, within bounds.

    Args:
        rows: how many there are.
        pictures: whether they are such.
        positions: how many of a sequence each has on average.
    """
    largest = LARGEST_BATCH_OF_PICTURES if pictures else LARGEST_BATCH
    largest = min(largest, max(SMALLEST_BATCH, int(LARGEST_BATCH_OF_POSITIONS / max(1.0, positions))))
    size = SMALLEST_BATCH
    while size < largest and size * BATCHES_AN_EPOCH < rows:
        size *= 2
    return size


class Rehearsal:
    """Times settings by steps on copies of a module, which stays as it is; no step moves a weight, so none diverges.

    Args:
        module: what is trained.
        draw: batches of a size.
        make_step: an update for a copy of the module, and whether it computes in bfloat16.
        budget_s: seconds that the run may take, or 0 where it does not go by a clock.
    """

    def __init__(
        self,
        module: nn.Module,
        draw: Callable[[int], Iterator[Batch]],
        make_step: MakeStep,
        budget_s: float = 0.0,
    ) -> None:
        self._module, self._draw, self._make_step = module, draw, make_step
        self._step_s = max(SECONDS_A_TRIAL, SHARE_OF_BUDGET_A_STEP * budget_s)
        self._amounts: dict[int, float] = {}

    def best(
        self, plain: Setting, *, free_threads: bool, free_layout: bool, free_precision: bool, free_batch: bool
    ) -> tuple[Setting, float]:
        """The fastest setting, and the seconds of one of its steps; a plainer one unless another is clearly faster.

        Args:
            plain: the setting to start from.
            free_threads: whether the number of threads may change.
            free_layout: whether the memory layout may change.
            free_precision: whether bfloat16 may take the place of float32.
            free_batch: whether the batch may be doubled.
        """
        counts = sorted({1, available_threads()}) if free_threads else [plain.threads]
        layouts = (False, True) if free_layout else (plain.channels_last,)
        settings = [replace(plain, threads=count, channels_last=layout) for count in counts for layout in layouts]
        share = self._affordable_share(plain)
        best, seconds = self._fastest(settings, CLEAR_GAIN, share)
        tried = share
        if free_precision:
            tried = 1 if share >= SHARE_NEAR_A_WHOLE else share
            best, seconds = self._fastest([best, replace(best, bfloat16=True)], CLEAR_GAIN, tried)
        if free_batch and share == 1:
            best, seconds = self._fastest([best, replace(best, batch_size=2 * best.batch_size)], LARGER_BATCH_GAIN, 1)
        return best, seconds if tried == 1 else self._seconds_of_whole_steps(best)

    def _seconds_of_whole_steps(self, setting: Setting) -> float:
        """What a step takes where only a share of a batch was tried, which is dearer than its share of the time."""
        trial = self._trial(setting, 1)
        for _ in range(ROUNDS):
            trial.run()
        return trial.seconds

    def _affordable_share(self, setting: Setting) -> float:
        """How much of a batch is tried: all, unless a step would take longer than a trial should."""
        trial = self._trial(setting, 1)
        trial.run()
        return min(1.0, self._step_s / trial.seconds)

    def _trial(self, setting: Setting, share: float) -> _Trial:
        amount = self._mean_amount(setting.batch_size)
        return _Trial(setting, share, amount, self._module, self._draw, self._make_step)

    def _mean_amount(self, size: int) -> float:
        """The mean amount of batches of a size."""
        if size not in self._amounts:
            batches = self._draw(size)
            first = next(batches)
            others = BATCHES_COUNTED - 1 if _amount(first) != batch_size(first) else 0
            amounts = [_amount(first), *(_amount(next(batches)) for _ in range(others))]
            self._amounts[size] = statistics.mean(amounts)
        return self._amounts[size]

    def _fastest(self, settings: list[Setting], gain: float, share: float) -> tuple[Setting, float]:
        """The last setting that takes samples ``gain`` times as fast as the best before it."""
        trials = [self._trial(setting, share) for setting in settings]
        for _ in range(ROUNDS):
            for trial in trials:
                trial.run()
            # What was no faster at all has no need to be timed again to be known as not clearly faster.
            trials = [trials[0], *(trial for trial in trials[1:] if trial.rate > trials[0].rate)]
            if len(trials) == 1:
                break
        best = trials[0]
        for trial in trials[1:]:
            if trial.rate > gain * best.rate:
                best = trial
        return best.setting, best.seconds


class _Trial:
    """One setting, timed a little in each round, on a share of batches whose mean amount is given."""

    def __init__(
        self,
        setting: Setting,
        share: float,
        amount: float,
        module: nn.Module,
        draw: Callable[[int], Iterator[Batch]],
        make_step: MakeStep,
    ) -> None:
        self.setting, self._amount = setting, amount
        twin = copy.deepcopy(module).train()
        apply_layout(twin, channels_last=setting.channels_last)
        rows = max(min(FEWEST_ROWS_TRIED, setting.batch_size), round(share * setting.batch_size))
        self._step, self._batches = make_step(twin, setting.bfloat16), draw(rows)
        self._paces: list[float] = []  # seconds that a step takes for each unit of its batch's amount

    @property
    def seconds(self) -> float:
        """What a step on a whole batch takes."""
        return statistics.median(self._paces) * self._amount

    @property
    def rate(self) -> float:
        return self.setting.batch_size / self.seconds

    def run(self) -> None:
        with threads(self.setting.threads):
            self._one()  # warms the caches and is not counted
            started = time.perf_counter()
            for _ in range(STEPS_A_TRIAL):
                self._paces.append(self._one())
                if time.perf_counter() - started > SECONDS_A_TRIAL:
                    break

    def _one(self) -> float:
        started = time.perf_counter()
        batch = next(self._batches)
        self._step(batch, len(self._paces), 0.0)
        return (time.perf_counter() - started) / _amount(batch)


def _amount(batch: Batch) -> int:
    """What the time of a step grows with: the positions of its sequences, or its samples where it has none."""
    return sum(len(value.values) for value in batch.values() if isinstance(value, Ragged)) or batch_size(batch)


def apply_layout(module: nn.Module, *, channels_last: bool) -> None:
    """Put a module's kernels into one memory layout or the other."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    module.to(memory_format=layout)  # type: ignore[call-overload]
