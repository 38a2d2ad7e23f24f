"""What may watch a run: progress for a person now; whatever else needs to look on, later."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Hook", "Moment", "Progress"]

LINE_SECONDS = 30.0  # between lines, where no terminal shows the bar


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
        best_step: where validation was best; 0 where it was not watched.
        ending: why training ends before its last planned step, in words, or nothing.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    scores: Mapping[str, float]
    elapsed_s: float
    seconds: float | None
    best_step: int = 0
    ending: str = ""


class Hook:
    """Looks on; changes nothing. Override what is of interest."""

    def started(self, moment: Moment) -> None: ...

    def ticked(self, moment: Moment) -> None: ...

    def looked(self, moment: Moment) -> None:
        """The validation rows were looked at. An exception raised by any of these ends the run, and passes through."""

    def finished(self, moment: Moment) -> None: ...

    def closed(self) -> None:
        """The run is over: it finished, was interrupted or diverged."""


class Progress(Hook):
    """A bar with an estimate of the time left, on stderr; without a terminal, a line now and then.

    Args:
        label: what is being trained, in front of the bar.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None
        self._task: Any = None
        self._told_s = 0.0

    def started(self, moment: Moment) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = [TextColumn("{task.description}"), BarColumn(10), TextColumn("{task.percentage:>3.0f}%")]
        columns += [TextColumn("{task.fields[words]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=1.0, words="")
        self._told_s = moment.elapsed_s
        self.ticked(moment)

    def ticked(self, moment: Moment) -> None:
        if self._bar is None:
            return
        self._bar.update(self._task, completed=_share_done(moment), words=_few_words(moment))
        if self._bar.disable and moment.elapsed_s - self._told_s > LINE_SECONDS:
            self._told_s = moment.elapsed_s
            self._tell(f"{_share_done(moment):.0%}, {_words(moment)}")

    def closed(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def finished(self, moment: Moment) -> None:
        self.closed()
        if self._bar is not None:
            self._tell(f"{_words(moment)}, {moment.elapsed_s:.1f} s{_ending(moment)}")

    def _tell(self, words: str) -> None:
        sys.stderr.write(f"{self._label}: {words}\n")
        sys.stderr.flush()


def _share_done(moment: Moment) -> float:
    by_step = moment.step / max(1, moment.steps)
    return min(1.0, max(by_step, moment.elapsed_s / moment.seconds if moment.seconds else 0.0))


def _ending(moment: Moment) -> str:
    best = f"; kept: step {moment.best_step:,}" if moment.best_step else ""
    return f"; it ended early: {moment.ending}{best}" if moment.ending else best


def _few_words(moment: Moment) -> str:
    """What fits beside the bar in 80 columns."""
    return f"epoch {moment.epoch:.1f}{_score(moment)}"


def _score(moment: Moment) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in list(moment.scores.items())[:1])


def _words(moment: Moment) -> str:
    # Just after a look at the validation rows there is no loss since.
    loss = "" if math.isnan(moment.loss) else f", loss {moment.loss:.4g}"
    return f"step {moment.step:,} (epoch {moment.epoch:.1f}){loss}{_score(moment)}"
