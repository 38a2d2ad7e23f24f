"""A set out of K labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fathom.heads.head import HEADS, Head, for_members, over_members, row_weights
from fathom.nets.members import output_layer
from fathom.registry import Range
from fathom.signals import Loss, MultilabelSpec, Prediction, Ragged, Signal, SignalSpec

__all__ = ["Multilabel"]

THRESHOLD = 0.5


@HEADS.register(
    "multilabel",
    target="multilabel",
    needs="vector",
    metrics=("micro_f1", "label_macro_f1", "subset_accuracy", "average_precision", "label_brier", "label_ece"),
    stacks=True,
    probabilities="labels",
)
class Multilabel(Head):
    """A sigmoid for each label, with binary cross-entropy.

    Chosen are the labels of a probability over a half; where none is, and no training row had an empty set, the
    likeliest one.

    Args:
        state: what the net gives.
        target: the labels; their counts give the trivial answer and the class weights.
        label_smoothing: share by which each label's 0 and 1 are moved to a half (Szegedy et al. 2016, section 7).
        class_weight: "balanced" weighs the rows that have a label so that they count as much as those that lack it.
        focal_gamma: power of what is missing from the probability of what a row has or lacks, by which that weighs (Lin
            et al. 2017, equation 4), so that what is easy counts little; 0 is cross-entropy.
    """

    share: Tensor
    positive: Tensor | None

    def __init__(
        self,
        state: SignalSpec,
        target: MultilabelSpec,
        *,
        label_smoothing: Annotated[float, Range(0, 0.99)] = 0.0,
        class_weight: Literal["none", "balanced"] = "none",
        focal_gamma: Annotated[float, Range(0, 10)] = 0.0,
    ) -> None:
        super().__init__()
        self.num_labels, self.never_empty = target.num_outputs, target.fewest > 0
        self.output = output_layer(state, self.num_labels)
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma
        share = torch.tensor(target.counts, dtype=torch.float64) / max(target.rows, 1e-9)
        # A label that every row has, or none, cannot be balanced.
        within = share.clamp(1e-6, 1 - 1e-6)
        positive = (1 - within) / within if class_weight == "balanced" else torch.ones_like(share)
        self.register_buffer("positive", positive.float() if class_weight == "balanced" else None, persistent=False)
        have, lack = positive * self._smoothed(share), 1 - self._smoothed(share)
        answer = have / (have + lack)
        self.register_buffer("share", answer.float(), persistent=False)
        self.baseline_loss = self._always(answer, share, positive) or math.log(2)

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target B rows of label indices; a row's loss is the sum over labels."""
        assert isinstance(target, Ragged) and signal.vector is not None
        chosen, known = _indicated(target, self.num_labels, self.share.dtype)
        logits, truth = self.output(signal.vector), for_members(chosen, signal.members)
        cells = F.binary_cross_entropy_with_logits(
            logits, self._smoothed(truth), reduction="none", pos_weight=self.positive
        )  # (M·B, K)
        if self.focal_gamma:
            cells = cells * (self.focal_gamma * F.logsigmoid(logits * (1 - 2 * truth))).exp()
        rows = cells.sum(1)
        counted = known if weight is None else known * weight
        row_weight = row_weights(counted, signal.members)
        assert row_weight is not None
        return Loss((rows * row_weight).sum(), self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Ragged)
        known = _indicated(target, self.num_labels, self.share.dtype)[1]
        return (known if weight is None else known * weight).sum()

    def predict(self, signal: Signal) -> Prediction:
        """``probability`` (B, K), and ``chosen`` (B, K) bool."""
        assert signal.vector is not None
        return self._answer(over_members(torch.sigmoid(self.output(signal.vector)), signal.members))

    def combined(self, predictions: Sequence[Prediction]) -> Prediction:
        return self._answer(torch.stack([prediction["probability"] for prediction in predictions]).mean(0))

    def tempered(self, prediction: Prediction, temperature: float) -> Prediction:
        """The same labels chosen, each log odds divided by a temperature (Guo et al. 2017, section 4.1)."""
        probability = prediction["probability"]
        log_odds = torch.logit(probability, eps=torch.finfo(probability.dtype).eps)
        return {**prediction, "probability": torch.sigmoid(log_odds / temperature)}

    def trivial(self, rows: int) -> Prediction:
        return self._answer(self.share.expand(rows, -1))

    def _always(self, answer: Tensor, share: Tensor, positive: Tensor) -> float:
        """The loss of always giving one answer to rows of which a share has each label, all (K,)."""
        cost = torch.zeros_like(share)
        for truth, rows, missing in ((torch.ones_like(share), share, 1 - answer), (0 * share, 1 - share, answer)):
            target = self._smoothed(truth)
            have, lack = rows * positive * target, rows * (1 - target)
            surprise = torch.special.xlogy(have, answer) + torch.special.xlogy(lack, 1 - answer)
            cost -= surprise * missing.pow(self.focal_gamma)
        return float(cost.sum())

    def _smoothed(self, chosen: Tensor) -> Tensor:
        return chosen if not self.label_smoothing else chosen * (1 - self.label_smoothing) + self.label_smoothing / 2

    def _answer(self, probability: Tensor) -> Prediction:
        chosen = probability > THRESHOLD
        if self.never_empty:
            likeliest = F.one_hot(probability.argmax(1), self.num_labels).bool()
            chosen = chosen | (likeliest & ~chosen.any(1, keepdim=True))
        return {"probability": probability, "chosen": chosen}


def _indicated(target: Ragged, num_labels: int, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """(B, K) 1 where a row has a label, and (B,) 1 where it has a value at all; a label never seen is left out."""
    rows = torch.repeat_interleave(torch.arange(len(target), device=target.values.device), target.lengths)
    table = torch.zeros(len(target), num_labels + 2, dtype=kind, device=target.values.device)
    table[rows, target.values] = 1
    return table[:, 1:-1], 1 - table[:, 0]
