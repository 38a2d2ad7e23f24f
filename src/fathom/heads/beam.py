"""Beam search: the likeliest of several texts that are written side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fathom.heads.writing import Teller

__all__ = ["beam_search"]


def beam_search(
    teller: Teller,
    first: Tensor,
    *,
    end: int,
    beams: int,
    most_tokens: int,
    length_penalty: float,
    never: Sequence[int] = (),
) -> Tensor:
    """The text of each row with the best score: its logarithmic chance over the penalty of its length.

    Source: Wu et al. (2016, section 7 and equation 14), without the coverage penalty; |Y| counts the end, and a search
    is over once no text that is still being written can become better than those that have ended.

    Args:
        teller: of B rows, told of nothing yet.
        first: (B, T) int64, the tokens that stand there already.
        end: the token behind a text.
        beams: how many texts of each row are followed.
        most_tokens: of a text; one that has not ended then ends so.
        length_penalty: the power of a text's length; 0 prefers short ones.
        never: tokens that are never written.

    Returns:
        (B, most_tokens) int64, filled up with ``end``.
    """
    search = _Search(len(first), beams, most_tokens, end, length_penalty)
    told = teller(first)
    for step in range(most_tokens):
        told[:, list(never)] = -torch.inf
        rows, tokens = search.followed(told.cpu(), step)
        if search.over(step + 1):
            break
        teller.select(rows.to(told.device))
        told = teller(tokens.unsqueeze(1).to(told.device))
    return search.best


class _Search:
    """The texts that are followed, (B, beams), and those that ended best."""

    def __init__(self, rows: int, beams: int, most_tokens: int, end: int, penalty: float) -> None:
        self._beams, self._most, self._end, self._penalty = beams, most_tokens, end, penalty
        self._texts = torch.full((rows, beams, most_tokens), end)
        self._scores = torch.zeros(rows, 1)
        self.best = torch.full((rows, most_tokens), end)
        self._best_scores = torch.full((rows,), -math.inf)

    def followed(self, told: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Choose what to follow.

        Args:
            told: (B, V) the logarithms of chances at first, then (B·beams, V).
            step: how many tokens there are already.

        Returns:
            (B·beams,) int64 the row of ``told`` that each goes on from, and (B·beams,) its next token.
        """
        count, size = len(self._scores), told.shape[1]
        scores = (self._scores.unsqueeze(2) + told.view(count, -1, size)).flatten(1)  # (B, beams·V)
        best = scores.topk(min(2 * self._beams, scores.shape[1]), dim=1)
        origin, token = best.indices // size, best.indices % size
        ends = token == self._end
        self._end_some(best.values.masked_fill(~ends, -math.inf), origin, step)
        # Twice as many candidates as beams: at most one of each beam has ended.
        place = best.values.masked_fill(ends, -math.inf).topk(min(self._beams, ends.shape[1]), dim=1)
        origin, token = origin.gather(1, place.indices), token.gather(1, place.indices)
        self._scores = place.values
        self._texts = self._texts.gather(1, origin.unsqueeze(2).expand(-1, -1, self._most)).clone()
        self._texts[:, :, step] = token
        if step + 1 == self._most:
            self._keep(self._scores / self._divisor(self._most), self._texts)
        alive = told.shape[0] // count
        return (origin + alive * torch.arange(count).unsqueeze(1)).flatten(), token.flatten()

    def over(self, step: int) -> bool:
        """Whether nothing that is followed after so many tokens can become best; chances only fall."""
        possible = self._scores.max(1).values / self._divisor(self._most if self._penalty > 0 else step)
        return bool((possible <= self._best_scores).all())

    def _end_some(self, scores: Tensor, origin: Tensor, step: int) -> None:
        texts = self._texts.gather(1, origin.unsqueeze(2).expand(-1, -1, self._most)).clone()
        texts[:, :, step:] = self._end
        self._keep(scores / self._divisor(step + 1), texts)

    def _keep(self, scores: Tensor, texts: Tensor) -> None:
        """Of texts (B, n, most), scored (B, n), those that are better than the best so far."""
        best, place = scores.max(1)
        better = best > self._best_scores
        chosen = texts[torch.arange(len(texts)), place]
        self.best = torch.where(better.unsqueeze(1), chosen, self.best)
        self._best_scores = torch.where(better, best, self._best_scores)

    def _divisor(self, length: int) -> float:
        return float(((5 + length) / 6) ** self._penalty)
