"""A learning rate from a short test, where ``lr = "auto"`` asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fathom.errors import Diverged
from fathom.registry import Choice, Range
from fathom.signals import Batch

__all__ = ["AUTO", "chosen_rate", "is_auto", "range_test", "steps_of_test", "with_rate"]

AUTO = "auto"
SHARE_OF_STEPS, FEWEST_STEPS, MOST_STEPS = 0.02, 30, 100
TIMES_THE_DEFAULT = 1000.0  # how far from the optimizer's own rate the test begins and ends
EXPLODED = 4.0  # times the loss at the beginning, and the test is over
# How far below the rate of the lowest loss. Measured on seven tables, adamw and sgd: 2 and 3 are alike, 1, 5 and 10 are
# worse, and so is the rate at which the loss falls fastest, which is far too low.
SAFETY = 3.0


def is_auto(optimizer: Choice) -> bool:
    return optimizer.options.get("lr") == AUTO


def with_rate(optimizer: Choice, rate: float | None) -> Choice:
    """The optimizer with another learning rate; with None, its own if it has one, else the default."""
    if rate is None and not is_auto(optimizer):
        return optimizer
    others = {name: value for name, value in optimizer.options.items() if name != "lr"}
    return Choice(optimizer.name, others if rate is None else {**others, "lr": rate})


def steps_of_test(steps: int) -> int:
    """How many steps of a run's budget a test takes; 0 where so few would tell nothing."""
    count = min(MOST_STEPS, int(SHARE_OF_STEPS * steps))
    return count if count >= FEWEST_STEPS else 0


def range_test(
    update: Callable[[Batch, int, float], float], batches: Iterator[Batch], steps: int, default: float, allowed: Range
) -> float:
    """Train with a rate that grows from step to step; tell the rate with which to train.

    Source: Smith 2017, section 3.3; what is read from the curve is ours, see ``chosen_rate``.

    Args:
        update: of a copy of what is to be trained, by an optimizer of rate 1; takes the rate as its factor.
        batches: training batches.
        steps: how many to take.
        default: the optimizer's own rate, in the middle of what is tried.
        allowed: the rates that the optimizer takes.
    """
    low, high = max(allowed.low, default / TIMES_THE_DEFAULT), min(allowed.high, default * TIMES_THE_DEFAULT)
    rates, losses = np.geomspace(low, high, steps), []
    for step, rate in enumerate(rates):
        try:
            losses.append(update(next(batches), step, float(rate)))
        except Diverged:
            break
        if losses[-1] > EXPLODED * (abs(losses[0]) + 1):
            break
    return chosen_rate(rates[: len(losses)], np.array(losses), default)


def chosen_rate(rates: np.ndarray, losses: np.ndarray, default: float) -> float:
    """A SAFETY-th of the rate at which the loss is lowest; the default where it never fell.

    Losses of single batches are noisy: each is replaced by the median of those around it, and these by their mean.
    """
    reach = max(2, len(losses) // 12)
    if len(losses) <= 2 * reach:
        return default
    smooth = _around(_around(losses, reach, np.median), reach, np.mean)
    lowest = int(smooth.argmin())
    return float(f"{rates[lowest] / SAFETY:.2g}") if lowest > reach else default


def _around(values: np.ndarray, reach: int, what: Callable[..., np.ndarray]) -> np.ndarray:
    padded = np.pad(values, reach, mode="edge")
    return what(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
