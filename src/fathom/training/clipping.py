"""The norm of gradients: of all together, or of each member's where members stand stacked in one tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["clip"]


def clip(gradients: Sequence[Tensor], most: float, *, stacked: bool) -> float:
    """Scale gradients whose norm is larger than ``most`` down to it.

    Args:
        gradients: of one part; altered only where their norm is finite.
        most: the largest norm; 0 leaves them as they are.
        stacked: whether each is (M, ...) and members are clipped each by its own norm, as if it were trained alone.

    Returns:
        The norm before, the largest of all members.
    """
    if stacked:
        return _clip_members(gradients, most)
    norm = math.hypot(*torch.stack(torch._foreach_norm(list(gradients))).tolist())
    if 0 < most < norm < math.inf:
        torch._foreach_mul_(list(gradients), most / norm)
    return norm


def _clip_members(gradients: Sequence[Tensor], most: float) -> float:
    norms = torch.linalg.vector_norm(torch.cat([gradient.flatten(1) for gradient in gradients], dim=1), dim=1)  # (M,)
    found = norms.tolist()
    if 0 < most < max(found) and all(map(math.isfinite, found)):
        factors = (most / norms).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
    return math.nan if any(map(math.isnan, found)) else max(found)
