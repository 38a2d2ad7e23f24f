"""Residual branches that are left out at random while training."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["StochasticDepth", "depth_rates"]


class StochasticDepth(nn.Module):
    """Leaves a residual branch out of a random share of the rows while training, each row by itself.

    Source: Huang et al. 2016, equations 2 and 5; there a whole batch shares one draw, and the branch is scaled down
    when predicting instead of up when training.

    Args:
        rate: share of the rows without the branch, 0 to 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(rate)

    def forward(self, branch: Tensor) -> Tensor:
        """branch (B, ...) to the same shape: each row 0 with probability ``rate``, else divided by 1 - ``rate``."""
        if not (self.training and self.dropout.p):
            return branch
        return branch * self.dropout(branch.new_ones(branch.shape[0], *[1] * (branch.dim() - 1)))


def depth_rates(last: float, blocks: int) -> list[float]:
    """The rate of each of ``blocks`` branches in order, growing by equal steps up to that of the last one.

    Source: Huang et al. 2016, equation 4.
    """
    return [last * (block + 1) / blocks for block in range(blocks)]
