"""Tokens of a text that were hidden from the net, told from the others around them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.errors import ConfigError
from fathom.heads.head import HEADS, Head, over_members, token_total
from fathom.nets.token_embedding import TokenTable
from fathom.signals import NOT_HIDDEN, Loss, Prediction, Ragged, Signal, SignalSpec, TextSpec

__all__ = ["Masked"]

STILL_LABELS = "a token of a text is told at its own place, and the states that stand in for it here have fewer"


@HEADS.register(
    "masked",
    target="text",
    needs="tokens",
    metrics=(),
    hides=True,
    bfloat16=True,
    exempt={"round trip": STILL_LABELS, "truth": STILL_LABELS, "members": STILL_LABELS},
)
class Masked(Head):
    """Each hidden token told from the state at its place: a matrix, an activation, a norm, and the table of tokens.

    Which tokens are hidden is drawn anew each time; the tokens of the text are what comes in and what is asked, so that
    no column is asked for. Its skill is over telling each token by its share in the training rows.

    Source: Devlin et al. 2019, section 3.1, task 1, with the head of the published code: it has a bias for each token,
    and the table is that of the embeddings.

    Args:
        state: what the net gives.
        target: the text column that comes in.
        transform: whether a state passes a matrix, an activation and a norm of its own first.
    """

    def __init__(self, state: SignalSpec, target: TextSpec, *, transform: bool = True) -> None:
        super().__init__()
        width = state.width
        layers = (nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width, eps=1e-12)) if transform else ()
        self.transform = nn.Sequential(*layers)
        self.table = TokenTable(target, width)
        self.bias = nn.Parameter(torch.zeros(target.size))
        self.length, self.end = target.length, target.end
        self.baseline_loss = _entropy(target)

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """target B rows of the tokens that were hidden, NOT_HIDDEN in the place of each other one."""
        assert isinstance(target, Ragged)
        labels, _ = target.padded(NOT_HIDDEN)  # (B, T)
        labels = labels.repeat(signal.members, 1)
        asked = labels != NOT_HIDDEN
        logits = self._logits(_states(signal, labels.shape[1])[asked]).float()
        costs = F.cross_entropy(logits, labels[asked], reduction="none")
        total = token_total(costs, asked.nonzero()[:, 0], weight, signal.members)
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Ragged)
        asked = (target.values != NOT_HIDDEN).to(self.bias.dtype)
        if weight is not None:
            asked = asked * torch.repeat_interleave(weight.to(asked.dtype), target.lengths)
        return asked.sum()

    def predict(self, signal: Signal) -> Prediction:
        """``ids`` (B, T) int64: the likeliest token at each place of a text, filled up with the end."""
        assert signal.tokens is not None
        chances = over_members(self._logits(signal.tokens).softmax(2), signal.members)
        ids = chances.argmax(2)
        if signal.mask is not None:
            ids = ids.masked_fill(~signal.mask[: len(ids)], self.end)
        return {"ids": F.pad(ids[:, : self.length], (0, max(0, self.length - ids.shape[1])), value=self.end)}

    def _logits(self, state: Tensor) -> Tensor:
        """(..., D) to (..., V)."""
        return F.linear(self.transform(state), self.table.weight, self.bias)


def _states(signal: Signal, length: int) -> Tensor:
    """The states at the places of a text, (M·B, T, D).

    Raises:
        ConfigError: the net gives others.
    """
    tokens = signal.tokens
    assert tokens is not None
    if signal.mask is not None and tokens.shape[1] != length:
        raise ConfigError("head 'masked' needs a net that gives a state for each token that comes in, and no other")
    return F.pad(tokens[:, :length], (0, 0, 0, max(0, length - tokens.shape[1])))


def _entropy(spec: TextSpec) -> float:
    """The loss of telling each token by its share in the training rows; ``begin`` and ``end`` are never hidden."""
    counts = torch.tensor(spec.counts, dtype=torch.float64)
    if not len(counts):
        return math.log(spec.size)
    counts[[spec.begin, spec.end]] = 0
    return float(torch.special.entr(counts / counts.sum().clamp(min=1)).sum()) or math.log(2)
