"""L-BFGS, for data of which every step can see all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch

from fathom.errors import ConfigError
from fathom.registry import Range
from fathom.training import OPTIMIZERS
from fathom.training.optimizers import Groups, LearningRate
from fathom.training.stepping import tensors_of

__all__ = ["LineSearch", "full_batch"]

MOST_ROWS = 20_000
MOST_LOOKS_A_SEARCH = 25
# A line search looks at the loss a little more than once for each of its iterations.
LOOKS_AN_ITERATION = 1.25


@OPTIMIZERS.register("lbfgs", decays=False, full_batch=True)
def lbfgs(
    groups: Groups,
    *,
    lr: LearningRate = 1.0,
    history: Annotated[int, Range(1, 1000)] = 10,
    iterations: Annotated[int, Range(1, 1000)] = 10,
) -> LineSearch:
    """Limited-memory BFGS with a line search by the strong Wolfe conditions (Nocedal and Wright 2006, algorithm 7.5).

    Every step sees all rows, makes several iterations, and needs a loss without chance: no dropout. The learning rate
    is where a line search starts, and gradients are not clipped.
    """
    return LineSearch(groups, lr, history, iterations)


class LineSearch:
    """torch's L-BFGS, whose step looks at the loss as often as it needs to.

    Args:
        groups: parameters under ``params``, all treated alike.
        lr: where a line search starts, beside the length of the quasi-Newton step.
        history: steps that are remembered.
        iterations: in a step.
    """

    def __init__(self, groups: Groups, lr: float, history: int, iterations: int) -> None:
        self._looks = round(LOOKS_AN_ITERATION * iterations)
        self._torch = torch.optim.LBFGS(
            tensors_of(groups),
            lr,
            max_iter=iterations,
            max_eval=MOST_LOOKS_A_SEARCH * iterations,
            history_size=history,
            line_search_fn="strong_wolfe",
            # The budget says when to end.
            tolerance_grad=0.0,
            tolerance_change=0.0,
        )

    @property
    def param_groups(self) -> Groups:
        groups: Groups = self._torch.param_groups
        return groups

    @property
    def state(self) -> Any:
        return self._torch.state

    def step(self, look: Callable[[], float]) -> float:
        """Descend.

        Args:
            look: gives the loss at the parameters as they are, and puts its gradient beside them.

        Returns:
            The loss before the step.
        """
        if self.param_groups[0]["lr"] == 0:  # it cannot move, and takes as long as if it did
            return min(look() for _ in range(self._looks))
        return float(self._torch.step(lambda: self._flat(look)))

    def _flat(self, look: Callable[[], float]) -> float:
        """Look, and lay the gradients out as torch's L-BFGS takes them, whatever the layout of kernels."""
        value = look()
        for parameter in tensors_of(self.param_groups):
            if parameter.grad is not None:
                parameter.grad = parameter.grad.contiguous()
        return value

    def zero_grad(self) -> None:
        self._torch.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = self._torch.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._torch.load_state_dict(state_dict)


def full_batch(batch_size: int, rows: int) -> int:
    """The batch of an optimizer that needs all rows in each step.

    Args:
        batch_size: what was asked for; 0 where nothing was.
        rows: of an epoch.

    Raises:
        ConfigError: the rows are too many, or fewer were asked for.
    """
    if rows > MOST_ROWS:
        raise ConfigError(
            f"optimizer lbfgs looks at all {rows:,} rows in each step; it is for at most {MOST_ROWS:,} (use adamw)"
        )
    if 0 < batch_size < rows:
        raise ConfigError(
            f"optimizer lbfgs looks at all {rows:,} rows in each step; training.batch_size = {batch_size} is too few "
            "(leave it out)"
        )
    return rows
