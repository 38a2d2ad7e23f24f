"""Attention: tokens ask others; within a sequence, within one that is still being written, and across two.

Shapes have one letter more here: heads, which share the width between them, so that d = D / heads.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.nets.dropout import Dropout
from fathom.nets.positions import Turn, turned

__all__ = ["Cache", "CrossAttention", "Remembered", "SelfAttention", "attend", "seen_by_all", "shares_of"]

Remembered = tuple[Tensor, Tensor]
"""Keys and values, (B, heads, T, d) each."""


class Cache:
    """Keys and values of the tokens so far, so that each further token asks them and nothing is computed again.

    For writing, not for learning: no gradient passes through it.

    Args:
        capacity: the most tokens that it will hold.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.length = capacity, 0
        self._stored: Remembered | None = None

    def __len__(self) -> int:
        return self.length

    def extended(self, key: Tensor, value: Tensor) -> Remembered:
        """Take further keys and values, (B, heads, T, d), and give all so far, (B, heads, length, d)."""
        if self._stored is None:
            shape = (*key.shape[:2], self.capacity, key.shape[3])
            self._stored = key.new_empty(shape), value.new_empty(shape)
        first, self.length = self.length, self.length + key.shape[2]
        assert self.length <= self.capacity, f"a cache of {self.capacity} tokens was given {self.length}"
        for stored, further in zip(self._stored, (key, value), strict=True):
            stored[:, :, first : self.length] = further
        return self._stored[0][:, :, : self.length], self._stored[1][:, :, : self.length]

    def select(self, rows: Tensor) -> None:
        """Keep the rows named by (B,) int64, in that order, some perhaps more than once: the beams of a search."""
        if self._stored is not None:
            self._stored = (self._stored[0].index_select(0, rows), self._stored[1].index_select(0, rows))


class SelfAttention(nn.Module):
    """Every token asks those of its own sequence.

    Source: Vaswani et al. 2017, section 3.2. One matrix gives queries, keys and values, in this order.

    Args:
        width: of the tokens.
        heads: they divide the width.
        causal: whether a token asks only itself and those before it.
        dropout: share of attention that is silenced while training.
        bias: whether the matrices have a bias.
    """

    def __init__(
        self, width: int, heads: int, *, causal: bool = False, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__()
        self.heads, self.causal = _checked_heads(width, heads), causal
        self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(
        self, state: Tensor, seen: Tensor | None = None, turn: Turn | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Tokens to what each has asked of the others.

        Args:
            state: (B, T, D); with a cache, only the tokens that it does not hold yet.
            seen: which tokens may be asked, bool of a shape that widens to (B, heads, T, all tokens); None is all.
            turn: the rotary positions of the tokens in ``state``.
            cache: takes their keys and values, and gives those before.

        Returns:
            (B, T, D).
        """
        query, key, value = self._asked(state, turn)
        if cache is not None:
            key, value = cache.extended(key, value)
        return self.out(_merged(attend(query, key, value, seen, causal=self.causal, dropout=self.dropout)))

    def shares(self, state: Tensor, seen: Tensor | None = None, turn: Turn | None = None) -> Tensor:
        """How much each token of ``forward`` without a cache asks of each, (B, heads, T, T): for whoever looks on."""
        query, key, _ = self._asked(state, turn)
        if self.causal:
            time = query.shape[2]
            before = torch.ones(time, time, dtype=torch.bool, device=query.device).tril()
            seen = before if seen is None else seen & before
        return shares_of(query, key, seen)

    def _asked(self, state: Tensor, turn: Turn | None) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = _split(self.query_key_value(state), 3, self.heads)
        return (query, key, value) if turn is None else (turned(query, turn), turned(key, turn), value)


class CrossAttention(nn.Module):
    """Every token asks those of another sequence: a decoder its encoder's.

    Source: Vaswani et al. 2017, section 3.2.3.

    Args:
        width: of the tokens that ask.
        memory: width of the tokens that are asked.
        heads: they divide the width.
        dropout: share of attention that is silenced while training.
        bias: whether the matrices have a bias.
    """

    def __init__(self, width: int, memory: int, heads: int, *, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.heads = _checked_heads(width, heads)
        self.query = nn.Linear(width, width, bias=bias)
        self.key_value = nn.Linear(memory, 2 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.dropout = Dropout(dropout)

    def remember(self, memory: Tensor) -> Remembered:
        """The other sequence's keys and values from its tokens (B, T, D): once, however often they are asked."""
        key, value = _split(self.key_value(memory), 2, self.heads)
        return key, value

    def forward(self, state: Tensor, remembered: Remembered, seen: Tensor | None = None) -> Tensor:
        """state (B, Q, D) and what was remembered of (B, T) tokens, of which those in seen (B, 1, 1, T) are asked."""
        (query,) = _split(self.query(state), 1, self.heads)
        return self.out(_merged(attend(query, *remembered, seen, dropout=self.dropout)))

    def shares(self, state: Tensor, remembered: Remembered, seen: Tensor | None = None) -> Tensor:
        """How much each token of ``forward`` asks of each of the other sequence, (B, heads, Q, T)."""
        (query,) = _split(self.query(state), 1, self.heads)
        return shares_of(query, remembered[0], seen)


def attend(
    query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None = None, *, causal: bool = False, dropout: nn.Dropout
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1).

    A query that sees no key at all gives 0.

    Args:
        query: (B, heads, Q, d), those of the last Q of T tokens.
        key: (B, heads, T, d).
        value: (B, heads, T, d).
        seen: bool that widens to (B, heads, Q, T), or None for all.
        causal: whether a query sees only its own token and those before.
        dropout: of attention, while training.

    Returns:
        (B, heads, Q, d).
    """
    asking, told = query.shape[2], key.shape[2]
    drops = dropout.training and dropout.p > 0
    ordered = causal and asking > 1  # a single query is the last token, before which all others stand
    if ordered and (drops or seen is not None or asking != told):
        before = torch.ones(asking, told, dtype=torch.bool, device=query.device).tril(told - asking)
        seen, ordered = before if seen is None else seen & before, False
    if not drops:
        return _attended(query, key, value, seen, ordered=ordered)
    # torch's kernels for processors know no dropout: it would draw a float for each pair of tokens.
    return dropout(shares_of(query, key, seen)) @ value


def _attended(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, *, ordered: bool) -> Tensor:
    """torch's kernel; processors get float32, for its gradient takes ten times as long in bfloat16 there."""
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return _attended(query.float(), key.float(), value.float(), seen, ordered=ordered)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=ordered)


def shares_of(query: Tensor, key: Tensor, seen: Tensor | None = None) -> Tensor:
    """How much of each value a query takes: (B, heads, Q, d) and (B, heads, T, d) to (B, heads, Q, T).

    They add up to 1, or to 0 where a query sees nothing by ``seen``.
    """
    logits = query @ key.mT / math.sqrt(query.shape[3])
    if seen is None:
        return logits.softmax(dim=3)
    return logits.masked_fill(~seen, torch.finfo(logits.dtype).min).softmax(dim=3).masked_fill(~seen, 0.0)


def seen_by_all(mask: Tensor | None) -> Tensor | None:
    """A mask of tokens, (B, T), as what every query of every head may see, (B, 1, 1, T)."""
    return None if mask is None else mask[:, None, None]


def _split(state: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B, T, parts·D) to ``parts`` of (B, heads, T, d)."""
    return state.unflatten(2, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def _merged(mixed: Tensor) -> Tensor:
    """(B, heads, T, d) to (B, T, D)."""
    return mixed.transpose(1, 2).flatten(2)


def _checked_heads(width: int, heads: int) -> int:
    if width % heads:
        raise ConfigError(f"attention of width {width} is not divided by {heads} heads (use a multiple)")
    return heads
