"""What changes while a run goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["RunState"]


@dataclass
class RunState:
    """Everything about a run that changes and that a checkpoint holds beside weights, optimizers and order.

    Attributes:
        step: updates done.
        loss_sum: of the training losses since the last look at the validation rows.
        loss_count: how many they are.
        best: the best validation score, or None.
        best_step: where it was measured.
        gained: the last score that was better than the one before it by all that patience asks for, or None.
        gained_step: where it was measured.
        stalls: how often a schedule that watches validation has seen it stall.
        stall_best: the best score as that schedule sees it, or None.
        stall_looks: the looks since then, or since the last stall.
        cooldown: first and last step of the cool-down that validation began, or None.
        ending: why training ended before its last planned step, in words, or nothing.
        scores: what the last look gave.
        elapsed_s: seconds of training.
        log_place: how long the log's files are.
        finished: whether the last step is done.
    """

    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_step: int = 0
    gained: float | None = None
    gained_step: int = 0
    stalls: int = 0
    stall_best: float | None = None
    stall_looks: int = 0
    cooldown: list[int] | None = None
    ending: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    elapsed_s: float = 0.0
    log_place: list[int] = field(default_factory=list)
    finished: bool = False

    @property
    def loss(self) -> float:
        """The mean of the training loss since the last look; NaN just after one."""
        return self.loss_sum / self.loss_count if self.loss_count else math.nan

    def trained(self, loss: float) -> None:
        """Note an update, and the loss before it."""
        self.step, self.loss_sum, self.loss_count = self.step + 1, self.loss_sum + loss, self.loss_count + 1

    def looked(self, score: float, gain: float) -> bool:
        """Note a validation score, larger being better; say whether it is the best. NaN, no score, never is.

        Args:
            score: what was measured.
            gain: by how much it must be better for patience to wait on.
        """
        if score > (-math.inf if self.gained is None else self.gained + gain):
            self.gained, self.gained_step = score, self.step
        if not score > (-math.inf if self.best is None else self.best):
            return False
        self.best, self.best_step = score, self.step
        return True

    def watched(self, score: float, *, patience: int, min_delta: float) -> None:
        """Count a stall where this was one look too many that was no better: torch's rule, in its mode "max"."""
        self.stall_looks += 1
        if score > (-math.inf if self.stall_best is None else self.stall_best + min_delta):
            self.stall_best, self.stall_looks = score, 0
        elif self.stall_looks > patience:
            self.stalls, self.stall_looks = self.stalls + 1, 0
