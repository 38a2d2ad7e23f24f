"""One of K categories, for one column or for each of several."""

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
from fathom.signals import CategorySpec, Loss, Prediction, Ragged, Signal, SignalSpec

__all__ = ["Classify", "RebuildCategories"]


@HEADS.register(
    "classify",
    target="category",
    needs="vector",
    metrics=("accuracy", "balanced_accuracy", "macro_f1", "auc", "auc_pr", "log_loss", "brier", "ece"),
    stacks=True,
    probabilities="classes",
)
class Classify(Head):
    """Softmax over the known categories, with cross-entropy.

    Args:
        state: what the net gives.
        target: the category column; its counts give the trivial answer and the class weights.
        label_smoothing: share of each label spread over all classes (Szegedy et al. 2016, section 7).
        class_weight: "balanced" weighs each class by N / (K · its count), so that rare ones count as much.
        focal_gamma: power of what is missing from the label's probability, by which a row weighs (Lin et al. 2017,
            equation 4), so that rows that are easy count little; 0 is cross-entropy.
    """

    share: Tensor
    class_weight: Tensor | None

    def __init__(
        self,
        state: SignalSpec,
        target: CategorySpec,
        *,
        label_smoothing: Annotated[float, Range(0, 0.99)] = 0.0,
        class_weight: Literal["none", "balanced"] = "none",
        focal_gamma: Annotated[float, Range(0, 10)] = 0.0,
    ) -> None:
        super().__init__()
        counts = torch.tensor(target.counts[0], dtype=torch.float64)
        weights = counts.sum() / (len(counts) * counts) if class_weight == "balanced" else None
        self.output = output_layer(state, len(counts))
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma
        self.register_buffer("class_weight", None if weights is None else weights.float(), persistent=False)
        share = counts / counts.sum() if weights is None else torch.ones_like(counts) / len(counts)
        self.register_buffer("share", share.float(), persistent=False)
        self.baseline_loss = _baseline(counts, share, weights, label_smoothing, focal_gamma) or math.log(2)

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target (B, 1) int64, 0 where missing."""
        assert isinstance(target, Tensor) and signal.vector is not None
        label = for_members(target.squeeze(1) - 1, signal.members)
        row_weight = row_weights(weight, signal.members)
        logits = self.output(signal.vector)
        total = F.cross_entropy(
            logits,
            label,
            weight=self.class_weight,
            ignore_index=-1,
            label_smoothing=self.label_smoothing,
            reduction="none" if self.focal_gamma or row_weight is not None else "sum",
        )
        if self.focal_gamma:
            total = total * _missing(logits, label).pow(self.focal_gamma)
        if row_weight is not None:
            total = total * row_weight
        return Loss(total.sum(), self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Tensor)
        label = target.squeeze(1)
        if weight is None and self.class_weight is None:
            return torch.count_nonzero(label)
        rows = (label > 0).to(self.share.dtype)
        if self.class_weight is not None:
            rows = rows * self.class_weight[torch.clamp(label - 1, min=0)]
        return (rows if weight is None else rows * weight).sum()

    def predict(self, signal: Signal) -> Prediction:
        """``probability`` (B, K)."""
        assert signal.vector is not None
        probability = torch.softmax(self.output(signal.vector), dim=1)
        return {"probability": over_members(probability, signal.members)}

    def tempered(self, prediction: Prediction, temperature: float) -> Prediction:
        """The same classes first, each log probability divided by a temperature (Guo et al. 2017, equation 9)."""
        probability = prediction["probability"]
        logits = probability.clamp(min=torch.finfo(probability.dtype).tiny).log()
        return {"probability": torch.softmax(logits / temperature, dim=1)}

    def trivial(self, rows: int) -> Prediction:
        return {"probability": self.share.expand(rows, -1)}


@HEADS.register("rebuild_categories", target="category", needs="vector", metrics=("cell_accuracy",), stacks=True)
class RebuildCategories(Head):
    """Every category column that came in, each by a softmax of its own.

    Args:
        state: what the net gives.
        target: the columns.
    """

    share: Tensor

    def __init__(self, state: SignalSpec, target: CategorySpec) -> None:
        super().__init__()
        self.sizes = list(target.sizes)
        self.output = output_layer(state, sum(target.sizes))
        shares = [torch.tensor(counts, dtype=torch.float64) / sum(counts) for counts in target.counts]
        self.register_buffer("share", torch.cat(shares).float(), persistent=False)
        known = torch.tensor([sum(counts) for counts in target.counts], dtype=torch.float64)  # (columns,)
        entropies = torch.stack([torch.special.entr(share).sum() for share in shares])
        self.baseline_loss = float(known @ entropies / known.sum().clamp(min=1)) or math.log(2)

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target (B, columns) int64, 0 where missing."""
        assert isinstance(target, Tensor) and signal.vector is not None
        labels = for_members(target - 1, signal.members)
        row_weight = row_weights(weight, signal.members)
        logits = self.output(signal.vector).split(self.sizes, dim=1)
        rows = torch.stack(
            [F.cross_entropy(x, labels[:, j], ignore_index=-1, reduction="none") for j, x in enumerate(logits)]
        ).sum(0)  # (M·B,)
        total = rows.sum() if row_weight is None else (rows * row_weight).sum()
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Tensor)
        known = (target > 0).sum(1)
        return (known if weight is None else known * weight).sum()

    def predict(self, signal: Signal) -> Prediction:
        """``probability`` (B, sum of K), the columns side by side, and ``index`` (B, columns), the likeliest from 1."""
        assert signal.vector is not None
        parts = [torch.softmax(x, dim=1) for x in self.output(signal.vector).split(self.sizes, dim=1)]
        return self._answer(over_members(torch.cat(parts, dim=1), signal.members))

    def combined(self, predictions: Sequence[Prediction]) -> Prediction:
        return self._answer(torch.stack([prediction["probability"] for prediction in predictions]).mean(0))

    def trivial(self, rows: int) -> Prediction:
        return self._answer(self.share.expand(rows, -1))

    def _answer(self, probability: Tensor) -> Prediction:
        index = torch.stack([_likeliest(part) for part in probability.split(self.sizes, dim=1)], dim=1)
        return {"probability": probability, "index": index}


def _likeliest(probability: Tensor) -> Tensor:
    """(B, K) to (B,) from 1; 0 where there is no category at all."""
    return probability.argmax(1) + 1 if probability.shape[1] else probability.new_zeros(len(probability)).long()


def _missing(logits: Tensor, label: Tensor) -> Tensor:
    """(B,) what is missing from the probability of each row's label; never 0, where a root has no slope."""
    known = torch.log_softmax(logits, dim=1).gather(1, label.clamp(min=0).unsqueeze(1)).squeeze(1)
    return (-torch.expm1(known)).clamp(min=torch.finfo(logits.dtype).eps)


def _baseline(counts: Tensor, answer: Tensor, weights: Tensor | None, smoothing: float, focal: float) -> float:
    """The loss of always giving one answer, all (K,); smoothing spreads a label's cost over classes as torch does."""
    weights = torch.ones_like(counts) if weights is None else weights
    surprise = -weights * torch.log(answer)
    cost = ((1 - smoothing) * surprise + smoothing * surprise.mean()) * (1 - answer).pow(focal)
    return float(counts @ cost / (counts @ weights))
