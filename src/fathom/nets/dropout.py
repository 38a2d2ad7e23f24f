"""Dropout, fast on processors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]

STEPS = 256  # one random byte decides on a unit
LOWEST = -(2**63)


class Dropout(nn.Dropout):
    """Silences a share of units while training, and makes up for it in the others (Srivastava et al. 2014).

    On a processor torch draws a float for each unit, which takes longer than the matrix before it; here a byte is
    enough, so that the share is rounded to a multiple of 1/256. Elsewhere it is torch's own.
    """

    def forward(self, input: Tensor) -> Tensor:
        """input (...) of any shape."""
        if not self.training or self.p == 0 or input.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(input)
        silenced = min(round(self.p * STEPS), STEPS - 1)
        drawn = torch.empty(-(-input.numel() // 8), dtype=torch.int64).random_(LOWEST, None).view(torch.uint8)
        kept = torch.empty_like(input, requires_grad=False)
        torch.ge(drawn[: input.numel()].view(input.shape), silenced, out=kept)
        return input * kept.mul_(STEPS / (STEPS - silenced))
