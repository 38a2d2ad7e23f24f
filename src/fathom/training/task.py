"""What the engine is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from fathom.signals import Batch
from fathom.training.hooks import Hook

__all__ = ["Drawn", "Task"]


class Drawn(Protocol):
    """Batches without end, whose place can be saved and restored."""

    per_epoch: int

    @property
    def epoch(self) -> float: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def __next__(self) -> Batch: ...


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and where it is kept.

    Attributes:
        module: what is trained; see ``update.Trainable``.
        draw: batches of at most a given number of samples.
        samples: how many samples an epoch has.
        validate: called in eval mode; returns what is to grow, and every score to be logged. None trains unwatched.
        directory: the run's directory, for plan, log and checkpoints, or None.
        seed: decides all that is random.
        hooks: what looks on.
        measured: whether settings may be chosen by measurement; without it a run depends on its arguments alone,
            but for a budget of time, which takes the measure of a step.
        perfect: the highest that ``validate`` can return, or None where that is not known.
        bears_bfloat16: whether the module learns as well where its products are computed in that precision.
        positions: how many positions of a sequence a sample has on average.
    """

    module: nn.Module
    draw: Callable[[int], Drawn]
    samples: int
    validate: Callable[[], tuple[float, Mapping[str, float]]] | None = None
    directory: Path | None = None
    seed: int = 0
    hooks: tuple[Hook, ...] = ()
    measured: bool = True
    perfect: float | None = None
    bears_bfloat16: bool = False
    positions: float = 1.0
