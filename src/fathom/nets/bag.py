"""Texts as bags of tokens and of runs of neighbouring tokens."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.registry import Range
from fathom.signals import Ragged, Signal, SignalSpec, TextSpec

__all__ = ["Bag", "hashed_runs"]

FACTOR = 6_364_136_223_846_793_005  # Knuth's multiplier for 64 bits: neighbouring numbers come to lie far apart


@NETS.register("bag", takes="text", gives=("vector",), rates={"adamw": 1e-3})
class Bag(nn.Module):
    """The sum of learned vectors of a text's tokens, and of its runs of neighbouring ones: word order, near by.

    Source: fastText (Joulin et al. 2017, section 2), whose runs of words share a table by their hash; that pairs of
    words are most of what there is to gain, Wang and Manning 2012; weights of tokens by how rare they are, Spärck Jones
    1972. Runs are many and mostly rare: many narrow vectors for them tell more than few wide ones, on which they
    collide. A missing text is 0.

    Args:
        spec: the texts; its counts tell how rare a token is.
        width: of a token's vector.
        ngrams: the longest run of tokens that has a vector; 1 leaves word order out.
        ngram_width: of a run's vector, which stands beside.
        buckets: how many vectors runs of two and more share.
        idf: whether a token weighs one and the logarithm of how many times as many training texts there are as have it;
            a run weighs as if its tokens met by chance, but no more than one that was never seen.
        pool: the weighted vectors' "mean", their "sum", which grows with the text, or the "root" between the two: their
            sum over the root of the squared weights' sum, so that texts of any length vary alike.
    """

    idf: Tensor

    def __init__(
        self,
        spec: TextSpec,
        *,
        width: Annotated[int, Range(1, 1024, log=True)] = 64,
        ngrams: Annotated[int, Range(1, 5)] = 2,
        ngram_width: Annotated[int, Range(1, 1024, log=True)] = 8,
        buckets: Annotated[int, Range(1, 10_000_000, log=True)] = 524_288,
        idf: bool = True,
        pool: Literal["root", "mean", "sum"] = "root",
    ) -> None:
        super().__init__()
        self.ngrams, self.buckets = ngrams, buckets
        self.table = nn.Parameter(torch.empty(spec.size, width).uniform_(-1 / width, 1 / width))
        self.runs: nn.Parameter | None = None
        if ngrams > 1:  # one vector more, which stays 0, stands for no run
            self.runs = nn.Parameter(torch.empty(buckets + 1, ngram_width).uniform_(-1 / width, 1 / width))
            with torch.no_grad():
                self.runs[buckets] = 0.0
        self.register_buffer("idf", _rarity(spec) if idf else torch.ones(spec.size), persistent=False)
        self._rarest = _rarest(spec) if idf else 1.0
        self._pool = pool
        self.gives = SignalSpec(width + (ngram_width if ngrams > 1 else 0))

    def forward(self, text: Ragged) -> Signal:
        """B rows of tokens to a vector (B, width + ngram_width)."""
        weights = self.idf[text.values].unsqueeze(1)  # (tokens, 1)
        pooled = [_summed(self.table, text.values, text.offsets, weights)]
        if self.runs is not None:
            hashed = hashed_runs(text, self.ngrams)  # (tokens, ngrams - 1)
            none = hashed < 0
            further = self._weights_of_runs(weights).masked_fill(none, 0.0)
            places = torch.where(none, self.buckets, hashed % self.buckets)
            pooled.append(_summed(self.runs, places.flatten(), text.offsets * (self.ngrams - 1), further))
            weights = torch.cat([weights, further], dim=1)
        return Signal(vector=torch.cat(pooled, dim=1) / self._size(weights, text))

    def _weights_of_runs(self, weights: Tensor) -> Tensor:
        """(tokens, 1) of each token, to (tokens, ngrams - 1) of the runs of two and more that begin there."""
        found, run = [], weights[:, 0]
        for more in range(1, self.ngrams):
            run = run + _moved(weights[:, 0], more) - 1
            found.append(run.clamp(max=self._rarest))
        return torch.stack(found, dim=1)

    def _size(self, weights: Tensor, text: Ragged) -> Tensor | float:
        """What sums are divided by, (B, 1)."""
        if self._pool == "sum":
            return 1.0
        each = weights if self._pool == "mean" else weights.square()
        whole = _summed(each, torch.arange(each.shape[0], device=each.device), text.offsets).sum(1, keepdim=True)
        return whole.clamp(min=1e-12) if self._pool == "mean" else whole.clamp(min=1e-12).sqrt()


def _summed(table: Tensor, places: Tensor, offsets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Rows of a table (K, D), named by places (L,) and weighted, summed between offsets (B + 1,), to (B, D)."""
    flat = None if weights is None else weights.flatten().to(table.dtype)
    return F.embedding_bag(places, table, offsets, mode="sum", include_last_offset=True, per_sample_weights=flat)


def _moved(values: Tensor, places: int) -> Tensor:
    """Each value that stands so many places further on; 0 behind the last."""
    return F.pad(values[places:], (0, min(places, values.shape[0])))


def _rarity(spec: TextSpec) -> Tensor:
    """(V,) inverse document frequencies as scikit-learn smooths them, a token standing once in a text."""
    if not spec.counts:
        return torch.ones(spec.size)
    counts = torch.tensor(spec.counts, dtype=torch.float64)
    rows = counts[spec.begin]
    return (1 + ((1 + rows) / (1 + counts.clamp(max=float(rows)))).log()).float()


def _rarest(spec: TextSpec) -> float:
    return 1 + math.log(1 + spec.counts[spec.begin]) if spec.counts else 1.0


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
        run = run * FACTOR + _moved(values, more) + 1  # wraps around, as is meant
        mixed = (run ^ (run >> 32)) & (2**62 - 1)
        found.append(torch.where(place + more < ends, mixed, -1))
    return torch.stack(found, dim=1)
