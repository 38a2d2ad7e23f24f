"""A piece of a text that comes in: from which token to which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.heads.head import HEADS, Head, for_members, over_members, row_weights
from fathom.heads.within import most_trusted, tokens_within
from fathom.registry import Range
from fathom.signals import Loss, Prediction, Ragged, Signal, SignalSpec, SpanSpec

__all__ = ["Span"]

NEVER = -1e9  # a logit; minus infinity would make a row without any token NaN


@HEADS.register("span", target="span", needs="tokens", metrics=("answer_f1", "exact_match"))
class Span(Head):
    """Two scores for each token of the text: that the answer begins there, and that it ends there.

    The loss is the mean cross-entropy of both over the text's own tokens; those of other texts, a question's, are asked
    by the net alone. Where training rows had none, the token before the text stands for "no answer".

    Source: Devlin et al. 2019, sections 4.2 and 4.3, but for the sum of logits, which is that of logarithms of
    probabilities here, so that members can be averaged.

    Args:
        state: what the net gives.
        target: the answers.
        longest: the most tokens of an answer.
        no_answer: how much the logarithm of its probability is raised for "no answer", where there is such.
    """

    def __init__(
        self,
        state: SignalSpec,
        target: SpanSpec,
        *,
        longest: Annotated[int, Range(1, 1000, log=True)] = 30,
        no_answer: Annotated[float, Range(-100, 100)] = 0.0,
    ) -> None:
        super().__init__()
        self.within, self.answers_none = target.within, target.unanswered > 0
        self.longest, self.no_answer = longest, no_answer
        self.output = nn.Linear(state.width, 2)
        self.baseline_loss = target.places or math.log(2)

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.tokens (M·B, T, D); target (B, 2) int64, the first and the last token, -1 where nothing is known."""
        assert isinstance(target, Tensor)
        logits, places = self._logits(signal), for_members(target, signal.members)
        known = places[:, 0] >= 0
        if logits.shape[1]:
            costs = F.cross_entropy(logits, places.clamp(min=0), reduction="none").mean(1).where(known, 0)  # (M·B,)
        else:
            costs = self.output.bias.sum() * places[:, 0].to(logits.dtype) * 0
        of_rows = row_weights(weight, signal.members)
        total = costs.sum() if of_rows is None else (costs * of_rows).sum()
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Tensor)
        known = (target[:, 0] >= 0).to(self.output.weight.dtype)
        return (known if weight is None else known * weight).sum()

    def predict(self, signal: Signal) -> Prediction:
        """``begin`` and ``end`` (B,) int64, the first and the last token, both 0 for none; ``chance`` (B,)."""
        chances = over_members(self._logits(signal).softmax(1), signal.members)
        if not chances.shape[1]:
            nowhere = torch.zeros(len(chances), dtype=torch.int64, device=chances.device)
            return {"begin": nowhere, "end": nowhere, "chance": chances.new_zeros(len(chances))}
        begins, ends = chances.clamp(min=torch.finfo(chances.dtype).tiny).log().unbind(2)  # (B, T)
        none = begins[:, 0] + ends[:, 0]
        # Of each beginning the best end among the tokens that follow it closely.
        windows = F.pad(ends, (0, self.longest - 1), value=NEVER).unfold(1, self.longest, 1)  # (B, T, longest)
        best, further = windows.max(2)
        scores = (begins + best).index_fill(1, torch.zeros(1, dtype=torch.int64, device=best.device), NEVER)
        score, begin = scores.max(1)
        end = begin + further.gather(1, begin.unsqueeze(1)).squeeze(1)
        answered = score >= none + self.no_answer if self.answers_none else torch.ones_like(begin, dtype=torch.bool)
        chance = torch.where(answered, score, none).exp()
        return {"begin": begin.where(answered, 0), "end": end.where(answered, 0), "chance": chance}

    def combined(self, predictions: Sequence[Prediction]) -> Prediction:
        """The answer whose chances add up to the most."""
        return most_trusted(predictions, ("begin", "end"))

    def _logits(self, signal: Signal) -> Tensor:
        """(M·B, T, 2), NEVER where no answer can begin or end: behind the text, at its end, and at its begin."""
        tokens, mask = tokens_within(signal, self.within)
        inside = mask & F.pad(mask[:, 1:], (0, 1))  # all but the last
        if not self.answers_none:
            inside = inside & (torch.arange(mask.shape[1], device=mask.device) > 0)
        return self.output(tokens).masked_fill(~inside.unsqueeze(2), NEVER)
