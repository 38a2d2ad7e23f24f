"""Proximal steps: penalties that are no slope but a move towards zero after each update, and so reach exact zeros.

Source: Parikh and Boyd 2014, sections 4.2 (proximal gradient, there ISTA), 6.5.2 and 6.5.4. After plain gradient
descent this minimizes the loss plus the penalty; after an optimizer that rescales the gradient the penalty is
decoupled, as weight decay is: with Adam, a weight stays away from zero if the mean of its gradient is more than that
share of the gradient's root mean square.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from fathom.nets.first_layer import FirstLayer

__all__ = ["shrink", "shrink_groups"]

# How much further a column at zero is moved than one of mean size.
LARGEST_FACTOR = 10.0
SMALLEST = 1e-30


@torch.no_grad()
def shrink(matrices: Sequence[nn.Parameter], by: float) -> None:
    """Move every number of the matrices towards zero by that much, and no further than zero."""
    for matrix in matrices:
        matrix.copy_(F.softshrink(matrix, by))


@torch.no_grad()
def shrink_groups(weights: Sequence[nn.Parameter], layer: FirstLayer, by: float) -> None:
    """Move what each column has in each of some first matrices towards zero, all of it or nothing reaching zero.

    Source: group lasso (Yuan and Lin 2006, equation 2.1) on the groups of Scardapane et al. 2017, section 3: all
    weights that leave an input. It is adaptive (Wang and Leng 2008), its factors renewed at every step as Candes et
    al. 2008, equation 7, renew theirs: the smaller a column's weights, compared with the mean of all columns, the
    further it moves. So a column at zero is kept there against the noise of gradients, and large ones hardly shrink.

    Args:
        weights: (..., out, D) each.
        layer: of which they are, and which column each of its features comes of.
        by: how far a number moves, on average over a column, of a column whose weights are as large as the mean's.
    """
    for weight in weights:
        root = torch.sqrt(layer.sizes.clamp(min=1) * weight.shape[-2]).to(
            weight.dtype
        )  # (columns,) of how many weights each has
        size = layer.norms(weight) / root  # (..., columns) root mean square
        compared = size / size.mean(-1, keepdim=True).clamp(min=SMALLEST)
        reach = by / (compared + 1 / LARGEST_FACTOR)
        kept = torch.clamp(1 - reach / size.clamp(min=SMALLEST), min=0)
        weight.mul_(kept.index_select(-1, layer.columns).unsqueeze(-2))
