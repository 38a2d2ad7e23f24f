"""A tag for each word of a text that comes in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.heads.head import HEADS, Head, over_members, token_total
from fathom.heads.within import most_trusted, tokens_within
from fathom.registry import Range
from fathom.signals import Loss, Prediction, Ragged, Signal, SignalSpec, TagsSpec

__all__ = ["LabelTokens"]


@HEADS.register("label_tokens", target="tags", needs="tokens", metrics=("tag_accuracy", "entity_f1"))
class LabelTokens(Head):
    """Softmax over tags at the first token of each word, with cross-entropy; other tokens count nothing.

    Source: Devlin et al. 2019, section 5.3.

    Args:
        state: what the net gives.
        target: the tags; their counts give the baseline.
        label_smoothing: share of each label spread over all tags (Szegedy et al. 2016, section 7).
    """

    def __init__(
        self, state: SignalSpec, target: TagsSpec, *, label_smoothing: Annotated[float, Range(0, 0.99)] = 0.0
    ) -> None:
        super().__init__()
        self.within, self.label_smoothing = target.within, label_smoothing
        self.output = nn.Linear(state.width, max(1, len(target.counts)))
        shares = torch.tensor(target.counts, dtype=torch.float64)
        self.baseline_loss = float(torch.special.entr(shares / shares.sum()).sum()) or math.log(2)

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.tokens (M·B, T, D); target B rows of T: 1 to K at the first token of a word, and 0."""
        assert isinstance(target, Ragged)
        logits = self._logits(signal)
        labels, _ = target.padded()
        labels = F.pad(labels, (0, logits.shape[1] - labels.shape[1])).repeat(signal.members, 1)  # (M·B, T)
        asked = labels > 0
        costs = F.cross_entropy(
            logits[asked], labels[asked] - 1, reduction="none", label_smoothing=self.label_smoothing
        )
        total = token_total(costs, asked.nonzero()[:, 0], weight, signal.members)
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Ragged)
        asked = (target.values > 0).to(self.output.weight.dtype)
        if weight is not None:
            asked = asked * torch.repeat_interleave(weight.to(asked.dtype), target.lengths)
        return asked.sum()

    def predict(self, signal: Signal) -> Prediction:
        """``tag`` (B, T) int64, the likeliest of 1 to K at each token of the text, and its ``chance`` (B, T)."""
        chances = over_members(self._logits(signal).softmax(2), signal.members)
        chance, tag = chances.max(2)
        return {"tag": tag + 1, "chance": chance}

    def combined(self, predictions: Sequence[Prediction]) -> Prediction:
        """At each token the tag whose chances add up to the most."""
        return most_trusted(predictions, ("tag",))

    def _logits(self, signal: Signal) -> Tensor:
        """(M·B, T, K)."""
        tokens: Tensor = self.output(tokens_within(signal, self.within)[0])
        return tokens
