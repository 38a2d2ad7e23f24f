"""Learning-rate schedules by name: pure functions of the step, as a factor of the optimizer's rate.

Facts: ``anneals`` says that the schedule itself ends near zero, at a step that must be known beforehand; training
that stops when validation says so needs one that does not, and ends it with the engine's cool-down.
"""

from __future__ import annotations

import math
from typing import Annotated

from fathom.registry import Range
from fathom.training import SCHEDULES

__all__: list[str] = []

Share = Annotated[float, Range(0, 1)]
Steps = Annotated[int, Range(0, 1_000_000)]


@SCHEDULES.register("constant", anneals=False)
def constant(step: int, steps: int, *, warmup_steps: Steps = 20) -> float:
    """1, after a linear warm-up."""
    return _warm(step, min(warmup_steps, steps // 10))


@SCHEDULES.register("cosine", anneals=True)
def cosine(step: int, steps: int, *, warmup: Share = 0.02, floor: Share = 0.0) -> float:
    """Half a cosine from 1 to ``floor`` (Loshchilov and Hutter 2017, equation 5), after a linear warm-up."""
    rising = round(warmup * steps)
    if step < rising:
        return _warm(step, rising)
    progress = (step - rising) / max(1, steps - rising)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


@SCHEDULES.register("one_cycle", anneals=True)
def one_cycle(
    step: int, steps: int, *, rise: Share = 0.3, start: Share = 0.04, end: Annotated[float, Range(0, 1)] = 4e-6
) -> float:
    """From ``start`` up to 1 and down to ``end``, each half a cosine (Smith and Topin 2018, as torch has it)."""
    last, peak = max(1, steps - 1), rise * steps - 1
    if step <= peak:
        return _between(start, 1.0, step / max(1e-9, peak))
    return _between(1.0, end, (step - peak) / max(1e-9, last - peak))


def _warm(step: int, rising: int) -> float:
    return min(1.0, (step + 1) / (rising + 1))


def _between(first: float, second: float, progress: float) -> float:
    return second + (first - second) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
