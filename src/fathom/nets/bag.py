"""Texts as bags of tokens and of runs of neighbouring tokens."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.registry import Range
from fathom.signals import Ragged, Signal, SignalSpec, TextSpec

__all__ = ["Bag", "hashed_runs"]

FACTOR = 6_364_136_223_846_793_005  # Knuth's multiplier for 64 bits: neighbouring numbers come to lie far apart


@NETS.register("bag", takes="text", gives=("vector",), rates={"adamw": 2e-3})
class Bag(nn.Module):
    """The mean of learned vectors of a text's tokens, and of each run of neighbouring ones: word order, near by.

    Source: fastText (Joulin et al. 2017, section 2), whose runs of words share a table by their hash; that pairs of
    words are most of what there is to gain, Wang and Manning 2012. A missing text is 0.

    Args:
        spec: the texts.
        width: of a learned vector.
        ngrams: the longest run of tokens that has a vector; 1 leaves word order out.
        buckets: how many vectors runs of two and more share.
        pool: the vectors' "mean", their "sum", which grows with the text, or the "root" between the two: their sum over
            the root of their number, so that texts of any length vary alike.
    """

    def __init__(
        self,
        spec: TextSpec,
        *,
        width: Annotated[int, Range(1, 1024, log=True)] = 64,
        ngrams: Annotated[int, Range(1, 5)] = 2,
        buckets: Annotated[int, Range(1, 10_000_000, log=True)] = 65_536,
        pool: Literal["root", "mean", "sum"] = "root",
    ) -> None:
        super().__init__()
        self.size, self.ngrams, self.buckets = spec.size, ngrams, buckets
        self.nothing = spec.size + (buckets if ngrams > 1 else 0)  # one more vector, which is always 0
        self.table = nn.Parameter(torch.empty(self.nothing + 1, width).uniform_(-1 / width, 1 / width))
        with torch.no_grad():
            self.table[self.nothing] = 0.0
        self._pool = pool
        self.gives = SignalSpec(width)

    def forward(self, text: Ragged) -> Signal:
        """B rows of tokens to a vector (B, width)."""
        vectors, offsets = text.values, text.offsets
        if self.ngrams > 1:
            runs = hashed_runs(text, self.ngrams)  # (tokens, ngrams - 1)
            places = torch.where(runs < 0, self.nothing, self.size + runs % self.buckets)
            vectors, offsets = torch.cat([vectors.unsqueeze(1), places], dim=1).flatten(), offsets * self.ngrams
        pooled = F.embedding_bag(
            vectors,
            self.table,
            offsets,
            mode="mean" if self._pool == "mean" else "sum",
            include_last_offset=True,
            padding_idx=self.nothing,
        )
        if self._pool == "root":
            pooled = pooled / text.lengths.clamp(min=1).sqrt().unsqueeze(1)
        return Signal(vector=pooled)


def hashed_runs(text: Ragged, longest: int) -> Tensor:
    """A number for each run of two to ``longest`` tokens, the same for the same run; none crosses a row's end.

    Returns:
        (tokens, longest - 1) int64, at each token the runs that begin there; -1 where the row ends before.
    """
    values = text.values
    place = torch.arange(values.shape[0], device=values.device)
    ends = text.offsets[torch.searchsorted(text.offsets, place, right=True)]
    found, run = [], values
    for more in range(1, longest):
        following = F.pad(values[more:], (0, min(more, values.shape[0])))[: values.shape[0]]
        run = run * FACTOR + following + 1  # wraps around, as is meant
        mixed = (run ^ (run >> 32)) & (2**62 - 1)
        found.append(torch.where(place + more < ends, mixed, -1))
    return torch.stack(found, dim=1)
