"""Sets of labels as vectors."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.registry import Range
from fathom.signals import MultilabelSpec, Ragged, Signal, SignalSpec

__all__ = ["Bag"]


@NETS.register("label_bag", takes="multilabel", gives=("vector",), entry=True)
class Bag(nn.Module):
    """The mean of the learned vectors of a set's labels.

    Source: the bag of features of fastText (Joulin et al. 2017, section 2). Labels never seen are left out; an empty
    set is 0, a missing one too, and its flag is 1.

    Args:
        spec: the labels.
        width_max: the longest learned vector.
    """

    def __init__(self, spec: MultilabelSpec, *, width_max: Annotated[int, Range(1, 1024, log=True)] = 32) -> None:
        super().__init__()
        self.num_labels, self.flagged = spec.num_outputs, spec.missing
        width = min(width_max, max(1, round(1.6 * self.num_labels**0.56)))
        self.table = nn.Embedding(self.num_labels + 1, width, padding_idx=0)
        self.gives = SignalSpec(width + self.flagged)

    def forward(self, labels: Ragged) -> Signal:
        """labels, B rows of indices, to a vector (B, D)."""
        known = torch.where(labels.values > self.num_labels, 0, labels.values)
        mean = F.embedding_bag(
            known, self.table.weight, labels.offsets, mode="mean", include_last_offset=True, padding_idx=0
        )
        if not self.flagged:
            return Signal(vector=mean)
        return Signal(vector=torch.cat([mean, missing_rows(labels).to(mean.dtype).unsqueeze(1)], dim=1))


def missing_rows(labels: Ragged) -> Tensor:
    """(B,) bool: the rows that hold the one index 0."""
    marks = F.pad((labels.values == 0).to(torch.int64), (1, 0)).cumsum(0)  # how many stand before each place
    return marks[labels.offsets[1:]] > marks[labels.offsets[:-1]]
