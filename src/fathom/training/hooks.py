"""What may watch a run: progress for a person, and whatever else needs to look on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fathom.progress import Work, tell

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
        best_step: where validation was best; 0 where it was not watched.
        ending: why training ends before its last planned step, in words, or nothing.
        logged: what the log says of the last look: "step", "epoch", "loss", "rate", and the validation scores.
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
    logged: Mapping[str, float] = field(default_factory=dict)


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
    """Training as work whose progress is shown, and a line when it is over.

    Args:
        label: what is being trained.
        at_most: whether it may end before its last planned step.
        ends: whether a line is told when it is over.
    """

    def __init__(self, label: str, *, at_most: bool = False, ends: bool = True) -> None:
        self._label, self._at_most, self._ends = label, at_most, ends
        self._work: Work | None = None

    def started(self, moment: Moment) -> None:
        self._work = Work(self._label, 1.0, at_most=self._at_most)
        self._work.__enter__()
        self.ticked(moment)

    def ticked(self, moment: Moment) -> None:
        if self._work is not None:
            self._work(_share_done(moment), f"epoch {moment.epoch:.1f}{_score(moment)}")

    def closed(self) -> None:
        if self._work is not None:
            self._work.__exit__(None, None, None)
            self._work = None

    def finished(self, moment: Moment) -> None:
        self.closed()
        if self._ends:
            tell(f"{self._label}: {_words(moment)}, {moment.elapsed_s:.1f} s{_ending(moment)}")


def _share_done(moment: Moment) -> float:
    by_step = moment.step / max(1, moment.steps)
    return min(1.0, max(by_step, moment.elapsed_s / moment.seconds if moment.seconds else 0.0))


def _ending(moment: Moment) -> str:
    best = f"; kept: step {moment.best_step:,}" if moment.best_step else ""
    return f"; it ended early: {moment.ending}{best}" if moment.ending else best


def _score(moment: Moment) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in list(moment.scores.items())[:1])


def _words(moment: Moment) -> str:
    # Just after a look at the validation rows there is no loss since.
    loss = "" if math.isnan(moment.loss) else f", loss {moment.loss:.4g}"
    return f"step {moment.step:,} (epoch {moment.epoch:.1f}){loss}{_score(moment)}"
