"""How long a run has taken, and how fast it is of late."""

from __future__ import annotations

import time
from bisect import bisect

__all__ = ["Clock"]

FEWEST_STEPS_TO_JUDGE_PACE = 50


class Clock:
    """Seconds of training, those before a resume included, and the pace at which steps are made.

    Args:
        before_s: seconds of training before this process.
        step: updates done before this process.
    """

    def __init__(self, before_s: float, step: int) -> None:
        self._started = time.perf_counter() - before_s
        self._ticks = [(before_s, step)]

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def tick(self, seconds: float, step: int) -> float | None:
        """Note that ``step`` updates are done; say how long each took of late, or None where too few were made.

        "Of late" is the later half of all time: it forgets how fast the run once was, and a look at the validation
        rows, which comes now and then, weighs in it no more than it costs.
        """
        latest_half = self._ticks[max(0, bisect(self._ticks, (seconds / 2, step)) - 1)]
        self._ticks.append((seconds, step))
        for since_s, first in (latest_half, self._ticks[0]):
            if step - first >= FEWEST_STEPS_TO_JUDGE_PACE:
                return (seconds - since_s) / (step - first)
        return None
