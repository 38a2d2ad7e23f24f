"""How a head writes: the next token's chances from a decoder, and one token drawn after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fathom.nets.decoder import Decoder, Memory, Written
from fathom.runtime import seed_from

__all__ = ["Sampling", "Teller", "Writer", "chances"]


class Sampling(NamedTuple):
    """How the next token is chosen.

    Attributes:
        temperature: what logits are divided by; 0 takes the likeliest token.
        top_k: only the k likeliest tokens are drawn from (Fan et al. 2018); 0 is all.
        top_p: only the fewest likeliest that together have this chance (Holtzman et al. 2020, section 3.1); 1 is all.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0


@dataclass(frozen=True)
class Voice:
    """What tells tokens: a decoder between a table of tokens and logits.

    Attributes:
        enter: ids (B, T) to tokens (B, T, D).
        net: the decoder.
        tell: tokens (N, D) to logits (N, V).
        members: M, whose chances are averaged; the rows of a memory stand there for each.
    """

    enter: Callable[[Tensor], Tensor]
    net: Decoder
    tell: Callable[[Tensor], Tensor]
    members: int = 1


class Teller:
    """Tells the chances of each row's next token, keeping what was computed of those before.

    Where a decoder looks at a window of tokens and it is full, the later half of it is taken up anew, and so on.

    Args:
        voice: what tells.
        rows: B.
        memory: of M·B rows, or None.
        capacity: the most tokens that will be told of.
    """

    def __init__(self, voice: Voice, rows: int, memory: Memory | None, capacity: int) -> None:
        self._voice, self._memory = voice, memory
        self._capacity = capacity if voice.net.window is None else min(capacity, voice.net.window)
        self._ids = torch.empty(rows, 0, dtype=torch.int64)
        self._written = self._started(rows)
        self._held = 0

    @torch.no_grad()
    def __call__(self, ids: Tensor) -> Tensor:
        """Further tokens (B, T) int64 of each row, to the logarithms of the chances of the next, (B, V)."""
        self._ids = torch.cat([self._ids.to(ids.device), ids], dim=1)
        window = self._voice.net.window
        if window is not None and self._held + ids.shape[1] > window:
            kept = min(window, max(ids.shape[1], window // 2))
            ids, self._held = self._ids[:, -kept:], 0
            self._ids = ids
            self._written = self._started(len(ids))
        self._held += ids.shape[1]
        members = self._voice.members
        state = self._voice.net.step(self._voice.enter(ids.repeat(members, 1)), self._written)
        told = torch.log_softmax(self._voice.tell(state[:, -1]), dim=1)
        return told if members == 1 else told.unflatten(0, (members, -1)).logsumexp(0) - np.log(members)

    def select(self, rows: Tensor) -> None:
        """Go on with the rows named by (B,) int64, some perhaps more than once."""
        members, count = self._voice.members, len(self._ids)
        of_members = torch.cat([rows + member * count for member in range(members)])
        self._written.select(of_members)
        if self._memory is not None:
            tokens, mask = self._memory
            kept = None if mask is None else mask.index_select(0, of_members)
            self._memory = Memory(tokens.index_select(0, of_members), kept)
        self._ids = self._ids.index_select(0, rows)

    @torch.no_grad()
    def _started(self, rows: int) -> Written:
        return self._voice.net.start(rows * self._voice.members, self._memory, self._capacity)


class Writer:
    """Draws one token after another; what is drawn for a row depends on its seed, not on the rows beside it.

    Rows that have ended are left out of the computation once they are half of those in it.

    Args:
        teller: of B rows, told of nothing yet.
        first: (B, T) int64, the tokens that stand there already.
        end: the token behind a text.
        sampling: how tokens are chosen.
        seeds: one a row; without them, which sampling at a temperature of 0 needs none of, all are 0.
        never: tokens that are never written.
    """

    def __init__(
        self,
        teller: Teller,
        first: Tensor,
        *,
        end: int,
        sampling: Sampling = Sampling(),  # noqa: B008 - it cannot be changed
        seeds: Sequence[int] = (),
        never: Sequence[int] = (),
    ) -> None:
        self._teller, self._end, self._sampling, self._never = teller, end, sampling, list(never)
        self.ended = torch.zeros(len(first), dtype=torch.bool)
        self._rows, self._further = torch.arange(len(first)), first
        seeds = seeds or (0,) * len(first)
        self._draws = [np.random.default_rng(seed_from("write", seed)) for seed in seeds]

    def step(self) -> Tensor:
        """The next token of each row, (B,) int64; ``end`` of those that have ended."""
        told = self._teller(self._further)
        told[:, self._never] = -torch.inf
        drawn = self._drawn(told).cpu()
        drawn = torch.where(self.ended[self._rows], self._end, drawn)
        tokens = torch.full_like(self.ended, self._end, dtype=torch.int64).scatter(0, self._rows, drawn)
        self.ended |= tokens == self._end
        self._leave_out(drawn.to(told.device))
        return tokens

    def stop(self, row: int) -> None:
        """Let a row end."""
        self.ended[row] = True

    def _drawn(self, told: Tensor) -> Tensor:
        if self._sampling.temperature == 0:
            return told.argmax(1)
        share = chances(told, self._sampling).double().cumsum(1)
        uniform = [self._draws[row].random() for row in self._rows.tolist()]
        place = told.new_tensor(uniform, dtype=torch.float64).unsqueeze(1) * share[:, -1:]
        return torch.searchsorted(share, place, right=True).squeeze(1).clamp(max=told.shape[1] - 1)

    def _leave_out(self, drawn: Tensor) -> None:
        going = ~self.ended[self._rows]
        if 2 * int(going.sum()) <= len(going) and going.any():
            kept = going.nonzero().squeeze(1)
            self._rows, drawn = self._rows[kept], drawn[kept.to(drawn.device)]
            self._teller.select(kept.to(drawn.device))
        self._further = drawn.unsqueeze(1)


def chances(told: Tensor, sampling: Sampling) -> Tensor:
    """The chances that tokens are drawn with, (B, V), from logits or their logarithms (B, V); a temperature above 0."""
    least_of_all = torch.finfo(told.dtype).tiny  # what is divided by less becomes infinite, and its chances NaN
    told = (told - told.amax(1, keepdim=True)) / max(sampling.temperature, least_of_all)
    if 0 < sampling.top_k < told.shape[1]:
        least = told.topk(sampling.top_k, dim=1).values[:, -1:]
        told = told.masked_fill(told < least, -torch.inf)
    share = told.softmax(dim=1)
    if sampling.top_p >= 1:
        return share
    ordered, place = share.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(1) - ordered
    ordered = ordered.masked_fill(before >= sampling.top_p, 0.0)
    kept = torch.zeros_like(share).scatter(1, place, ordered)
    return kept / kept.sum(1, keepdim=True)
