"""Learning-rate schedules by name: pure functions of the step, as a factor of the optimizer's rate.

Facts: ``anneals`` says that the schedule itself ends near zero, at a step that must be known beforehand; training
that stops when validation says so needs one that does not. ``cools`` says that the engine's cool-down ends it: the
rate falls to zero over the last share ``training.cooldown`` of the steps, or from where validation stopped improving.
``watches`` says that the schedule depends on validation: its third argument is how often that has stalled, which is
when more than ``patience`` looks in turn, both options of the schedule, were not better by more than ``min_delta``.
"""

from __future__ import annotations

import math
from bisect import bisect
from itertools import accumulate
from typing import Annotated

from fathom.registry import Range
from fathom.training import SCHEDULES

__all__: list[str] = []

Share = Annotated[float, Range(0, 1)]
Shares = Annotated[tuple[float, ...], Range(0, 1)]
Steps = Annotated[int, Range(0, 1_000_000)]
Rate = Annotated[float, Range(0, 1)]
Count = Annotated[int, Range(1, 1000)]


@SCHEDULES.register("wsd", anneals=False, cools=True)
def wsd(step: int, steps: int, *, warmup_steps: Steps = 20) -> float:
    """Warm-up, stable, decay: 1 after a linear warm-up, until it ends.

    Source: Hu et al. 2024 (MiniCPM), section 4; Hägele et al. 2024, section 3. The decay is the engine's, linear, of
    the share ``training.cooldown``: it can begin when validation says so.
    """
    return _warm(step, min(warmup_steps, steps // 10))


@SCHEDULES.register("constant", anneals=False, cools=False)
def constant(step: int, steps: int) -> float:
    """1 from the first step to the last."""
    return 1.0


@SCHEDULES.register("linear", anneals=True, cools=False)
def linear(step: int, steps: int, *, warmup: Share = 0.02, floor: Rate = 0.0) -> float:
    """A straight line from 1 to ``floor`` (torch's LinearLR), after a linear warm-up."""
    rising, progress = _progress(step, steps, warmup)
    return _warm(step, rising) if step < rising else floor + (1 - floor) * (1 - progress)


@SCHEDULES.register("cosine", anneals=True, cools=False)
def cosine(step: int, steps: int, *, warmup: Share = 0.02, floor: Rate = 0.0) -> float:
    """Half a cosine from 1 to ``floor`` (Loshchilov and Hutter 2017, equation 5), after a linear warm-up."""
    rising, progress = _progress(step, steps, warmup)
    return _warm(step, rising) if step < rising else _between(1.0, floor, progress)


@SCHEDULES.register("flat_cosine", anneals=True, cools=False)
def flat_cosine(step: int, steps: int, *, warmup: Share = 0.02, flat: Share = 0.5) -> float:
    """1 for the share ``flat`` of the steps, then half a cosine to 0 (``flat_cos`` of Holzmüller et al. 2024)."""
    rising = round(warmup * steps)
    return min(_warm(step, rising), _between(1.0, 0.0, _ratio(step - flat * steps, steps - flat * steps)))


@SCHEDULES.register("coslog4", anneals=True, cools=False)
def coslog4(step: int, steps: int, *, cycles: Annotated[int, Range(1, 10)] = 4) -> float:
    """Whole cosines from 0 to 1 and back, each twice as long (Holzmüller et al. 2024, equation 4; 4 are RealMLP's)."""
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + (2**cycles - 1) * (step + 0.5) / steps)))


@SCHEDULES.register("restarts", anneals=True, cools=False)
def restarts(
    step: int, steps: int, *, cycles: Count = 3, growth: Annotated[float, Range(1, 10)] = 2.0, floor: Rate = 0.0
) -> float:
    """Half a cosine from 1 to ``floor``, again and again, each ``growth`` times as long.

    Source: Loshchilov and Hutter 2017 (SGDR), section 3; ``cycles`` of them make up the steps.
    """
    lengths = [growth**cycle for cycle in range(cycles)]
    ends = [0, *(round(steps * length / sum(lengths)) for length in accumulate(lengths))]
    last = bisect(ends, min(step, steps - 1))
    return _between(1.0, floor, _ratio(step - ends[last - 1], ends[last] - ends[last - 1]))


@SCHEDULES.register("step", anneals=True, cools=False)
def in_steps(step: int, steps: int, *, at: Shares = (0.5, 0.75), factor: Rate = 0.1) -> float:
    """1, multiplied by ``factor`` at each share ``at`` of the steps (He et al. 2016; torch's MultiStepLR)."""
    return float(factor ** sum(step >= round(share * steps) for share in at))


@SCHEDULES.register("exponential", anneals=True, cools=False)
def exponential(step: int, steps: int, *, end: Annotated[float, Range(1e-9, 1, log=True)] = 1e-3) -> float:
    """From 1 to ``end``, in each step by one factor (torch's ExponentialLR)."""
    return float(end ** (step / max(1, steps - 1)))


@SCHEDULES.register("one_cycle", anneals=True, cools=False)
def one_cycle(
    step: int, steps: int, *, rise: Share = 0.3, start: Rate = 0.04, end: Annotated[float, Range(0, 1)] = 4e-6
) -> float:
    """From ``start`` up to 1 and down to ``end``, each half a cosine (Smith and Topin 2018, as torch has it)."""
    last, peak = max(1, steps - 1), rise * steps - 1
    if step <= peak:
        return _between(start, 1.0, step / max(1e-9, peak))
    return _between(1.0, end, (step - peak) / max(1e-9, last - peak))


@SCHEDULES.register("plateau", anneals=False, cools=True, watches=True)
def plateau(
    step: int,
    steps: int,
    stalls: int = 0,
    *,
    warmup_steps: Steps = 20,
    patience: Annotated[int, Range(0, 1000)] = 3,
    factor: Annotated[float, Range(0.001, 0.999)] = 0.5,
    min_delta: Annotated[float, Range(0, 1e6)] = 0.0,
) -> float:
    """1, multiplied by ``factor`` whenever validation has stalled (torch's ReduceLROnPlateau), after a warm-up."""
    return _warm(step, min(warmup_steps, steps // 10)) * factor**stalls


def _warm(step: int, rising: int) -> float:
    return min(1.0, (step + 1) / (rising + 1))


def _progress(step: int, steps: int, warmup: float) -> tuple[int, float]:
    """The steps of the warm-up, and the share done of what follows it."""
    rising = round(warmup * steps)
    return rising, _ratio(step - rising, steps - rising)


def _ratio(done: float, whole: float) -> float:
    return min(1.0, max(0.0, done / max(1.0, whole)))


def _between(first: float, second: float, progress: float) -> float:
    return second + (first - second) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
