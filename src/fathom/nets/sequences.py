"""Sequences of tokens with a mask, which may have holes: without the holes, packed without padding, as one vector."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Packing", "Pool", "Pooling", "compacted", "pack", "scattered"]

Pool = Literal["mean", "max", "first", "last", "attention"]


class Packing(NamedTuple):
    """The tokens that are there, as torch's recurrent kernels want them: the first of each row, the second, ...

    Attributes:
        places: (tokens,) int64, the place of each in the flattened (B·T, D).
        counts: (longest,) int64 on the processor, how many rows have so many tokens or more.
        rows: (B,) int64, the rows from the longest to the shortest.
    """

    places: Tensor
    counts: Tensor
    rows: Tensor


def compacted(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Move the tokens of each row that are there to its beginning, in their order.

    Args:
        tokens: (B, T, D).
        mask: (B, T) bool.

    Returns:
        (B, T, D) with 0 behind each row's end; (B, T) bool; and (B, T) int64, where each token came from, or None where
        none was moved.
    """
    if not _may_have_holes(mask):
        return tokens * mask.unsqueeze(2).to(tokens.dtype), mask, None
    origin = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
    there = mask.gather(1, origin)
    return _taken(tokens, origin) * there.unsqueeze(2).to(tokens.dtype), there, origin


def scattered(compact: Tensor, origin: Tensor | None) -> Tensor:
    """Move tokens (B, T, D) that ``compacted`` had moved back to where they came from."""
    return compact if origin is None else _taken(compact, origin.argsort(dim=1))


def pack(tokens: Tensor, mask: Tensor | None) -> Packing:
    """Where the tokens (B, T, D) stand that are there by mask (B, T) bool, from the longest row to the shortest."""
    (batch, time), device = tokens.shape[:2], tokens.device
    if mask is None:
        place = torch.arange(batch * time, device=device).view(batch, time)
        return Packing(place.mT.flatten(), torch.full((time,), batch), torch.arange(batch, device=device))
    lengths, rows = mask.sum(1).sort(descending=True, stable=True)
    place = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[rows] + rows.unsqueeze(1) * time
    there = torch.arange(time, device=device).unsqueeze(1) < lengths  # (T, B)
    counts = there.sum(1).cpu()
    return Packing(place.mT[there], counts[counts > 0], rows)


class Pooling(nn.Module):
    """All tokens of a row as one vector; 0 where a row has none.

    Args:
        how: their mean, the largest of each feature, the first, the last, or a mean whose weights are learned: a
            softmax over a perceptron's answers (Yang et al. 2016, equations 5 to 7).
        width: D.
    """

    def __init__(self, how: Pool, width: int) -> None:
        super().__init__()
        self._how = how
        asking = [nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False)] if how == "attention" else []
        self.score = nn.Sequential(*asking)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """tokens (B, T, D), mask (B, T) bool or None, to (B, D)."""
        if not tokens.shape[1]:
            return tokens.new_zeros(tokens.shape[0], tokens.shape[2])
        if mask is None:
            return self._of_all(tokens)
        there = mask.unsqueeze(2)
        if self._how == "max":
            largest = tokens.masked_fill(~there, torch.finfo(tokens.dtype).min).amax(1)
            return largest.masked_fill(~mask.any(1, keepdim=True), 0.0)
        weights = self._weights(tokens, mask).unsqueeze(2) * there
        return (tokens.masked_fill(~there, 0.0) * weights).sum(1)

    def _of_all(self, tokens: Tensor) -> Tensor:
        """The same where every token is there."""
        if self._how == "attention":
            return (tokens * self.score(tokens).softmax(dim=1)).sum(1)
        if self._how in ("first", "last"):
            return tokens[:, 0 if self._how == "first" else -1]
        return tokens.mean(1) if self._how == "mean" else tokens.amax(1)

    def _weights(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The share of each token in the vector, (B, T); that of one that is not there does not count."""
        if self._how == "attention":
            scores = self.score(tokens).squeeze(2)
            return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=1)
        if self._how == "mean":
            exact = mask.to(torch.promote_types(tokens.dtype, torch.float32))
            return (exact / exact.sum(1, keepdim=True).clamp(min=1)).to(tokens.dtype)
        place = mask.to(torch.int64).cumsum(1)
        wanted = place[:, -1:] if self._how == "last" else 1
        return (place == wanted).to(tokens.dtype)


def _may_have_holes(mask: Tensor) -> bool:
    """Whether a token may stand behind one that is missing: in a graph any may, and no graphics card is waited for."""
    if torch.compiler.is_compiling() or mask.device.type != "cpu":
        return True
    return bool((mask[:, 1:] & ~mask[:, :-1]).any())


def _taken(tokens: Tensor, place: Tensor) -> Tensor:
    return tokens.gather(1, place.unsqueeze(2).expand(-1, -1, tokens.shape[2]))
