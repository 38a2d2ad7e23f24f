"""What may watch a run: progress for a person now; whatever else needs to look on, later."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Hook", "Moment", "Progress"]


@dataclass(frozen=True)
class Moment:
    """Where a run is.

    Attributes:
        step: updates done.
        steps: updates planned; fewer are done where validation decides.
        epoch: times all samples were drawn.
        loss: the mean of the training loss since the last look.
        scores: the validation scores of the last look.
        elapsed_s: seconds of training, those before a resume included.
        seconds: the clock that the run keeps to, or None.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    scores: Mapping[str, float]
    elapsed_s: float
    seconds: float | None


class Hook:
    """Looks on; changes nothing. Override what is of interest."""

    def started(self, moment: Moment) -> None: ...

    def ticked(self, moment: Moment) -> None: ...

    def finished(self, moment: Moment) -> None: ...


class Progress(Hook):
    """A bar with an estimate of the time left, on stderr; without a terminal, a line now and then.

    Args:
        label: what is being trained, in front of the bar.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None
        self._task: Any = None

    def started(self, moment: Moment) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = [TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.percentage:>3.0f}%")]
        columns += [TextColumn("{task.fields[words]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=1.0, words="")
        self.ticked(moment)

    def ticked(self, moment: Moment) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=_share_done(moment), words=_words(moment))

    def finished(self, moment: Moment) -> None:
        if self._bar is not None:
            self._bar.stop()
            print(f"{self._label}: {_words(moment)}, {moment.elapsed_s:.1f} s", file=sys.stderr)


def _share_done(moment: Moment) -> float:
    by_step = moment.step / max(1, moment.steps)
    return min(1.0, max(by_step, moment.elapsed_s / moment.seconds if moment.seconds else 0.0))


def _words(moment: Moment) -> str:
    scores = "".join(f", {name} {value:.4g}" for name, value in list(moment.scores.items())[:1])
    return f"step {moment.step:,} (epoch {moment.epoch:.1f}), loss {moment.loss:.4g}{scores}"
