"""Text, written token after token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from fathom.heads.beam import beam_search
from fathom.heads.head import HEADS, Head, token_total
from fathom.heads.writing import Teller, Voice, Writer
from fathom.nets import DECODERS
from fathom.nets.decoder import DecoderSpec, Memory
from fathom.nets.token_embedding import TokenTable
from fathom.registry import Choice, Range
from fathom.signals import Loss, Prediction, Ragged, Signal, SignalSpec, TextSpec

__all__ = ["Generate"]

LOGITS_AT_ONCE = 1 << 21  # what a cache bears, where no gradient needs them all


@HEADS.register(
    "generate",
    target="text",
    needs=None,
    bfloat16=True,
    metrics=(
        "perplexity",
        "token_loss",
        "token_accuracy",
        "bits_per_character",
        "bleu",
        "chrf",
        "rouge_1",
        "rouge_2",
        "rouge_l",
        "exact_match",
        "answer_f1",
    ),
)
class Generate(Head):
    """A decoder that tells each token from those before it and from what comes in; with nothing, a language model.

    What comes in is asked token by token where there are tokens, else its vector as one. The output's matrix is the
    table of tokens (Press and Wolf 2017), which encoders of the same tokens and width share.

    Args:
        state: what the net gives.
        target: the text column; its counts give the trivial answer, the share of each token.
        net: the decoder.
        label_smoothing: share of each label spread over all tokens (Szegedy et al. 2016, section 7).
        most_tokens: of an answer; where it is not said, about half as many again as the longest training answer has,
            or as many as a text of the column may have, if those are fewer.
        beams: how many answers of each row are followed to find the likeliest; 1 takes the likeliest token each time.
        length_penalty: of beams: how much longer answers are favoured (Wu et al. 2016, equation 14).
    """

    def __init__(
        self,
        state: SignalSpec,
        target: TextSpec,
        *,
        net: Annotated[Choice, DECODERS] = Choice("transformer"),
        label_smoothing: Annotated[float, Range(0, 0.99)] = 0.0,
        most_tokens: Annotated[int | None, Range(1, 1_000_000)] = None,
        beams: Annotated[int, Range(1, 64)] = 1,
        length_penalty: Annotated[float, Range(0, 5)] = 0.6,
    ) -> None:
        super().__init__()
        self.spec, self.label_smoothing = target, label_smoothing
        self.most_tokens = most_tokens or min(target.length, target.longest or target.length)
        self.beams, self.length_penalty = beams, length_penalty
        self.asks = "tokens" in state.gives or ("vector" in state.gives and state.width > 0)
        self.net = DECODERS.build(net, DecoderSpec(target.length, state.width if self.asks else None))
        self.table = TokenTable(target, self.net.width, self.net.deviation)
        self.baseline_loss = _entropy(target)
        self.quoted = "bleu" if self.asks else None  # how well true texts are told says little of those it writes

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """target B rows of begin, tokens, end: each token but the first is told from those before it."""
        assert isinstance(target, Ragged)
        state, labels, rows = self._states(signal, target)
        total = token_total(self._cross_entropy(state, labels), rows, weight, signal.members)
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        assert isinstance(target, Ragged)
        labels = (target.lengths - 1).clamp(min=0)
        return (labels if weight is None else labels * weight).sum()

    def predict(self, signal: Signal) -> Prediction:
        """``ids`` (B, T) int64: what is written, filled up with the end; a language model has nothing to answer."""
        memory, rows = self.memory(signal), _rows(signal)
        if memory is None:
            return {"ids": torch.full((rows, 1), self.spec.end, device=self.table.weight.device)}
        if self.beams > 1:
            return {"ids": self.searched(signal, self.beams, self.most_tokens)}
        writer = Writer(
            self.teller(signal, rows, self.most_tokens), self.begun(rows), end=self.spec.end, never=self.never
        )
        ids = torch.full((rows, self.most_tokens), self.spec.end)
        for place in range(self.most_tokens):
            ids[:, place] = writer.step()
            if writer.ended.all():
                break
        return {"ids": ids}

    def searched(self, signal: Signal, beams: int, most_tokens: int) -> Tensor:
        """The likeliest of several texts of each row, (B, most_tokens) int64, filled up with the end."""
        rows = _rows(signal)
        return beam_search(
            self.teller(signal, rows, most_tokens),
            self.begun(rows),
            end=self.spec.end,
            beams=beams,
            most_tokens=most_tokens,
            length_penalty=self.length_penalty,
            never=self.never,
        )

    @torch.no_grad()
    def measured(self, signal: Signal, target: Tensor | Ragged) -> Prediction:
        """The prediction, where something comes in, and how well the true text was told.

        That is ``nll`` (B,) of its tokens, ``tokens`` (B,) how many, ``right`` (B,) how many of them were the
        likeliest, ``share_nll`` (B,) of telling each by its share in the training rows, and these themselves, ``told``
        (B, T).
        """
        assert isinstance(target, Ragged)
        told, _ = target.padded(self.spec.end)
        told = F.pad(told[:, 1:], (0, max(0, self.spec.length - told.shape[1] + 1)), value=self.spec.end)
        labels = (target.lengths - 1).clamp(min=0)
        well, places = self._told_well(signal, target), torch.arange(told.shape[1], device=told.device)
        by_share = -_shares(self.spec).to(told.device).log()[told].where(places < labels.unsqueeze(1), 0).sum(1)
        found = {**well, "share_nll": by_share, "tokens": labels, "told": told}
        return {**self.predict(signal), **found} if self.asks else found

    def combined(self, predictions: Sequence[Prediction]) -> Prediction:
        """The answer that most give, else the first; how well the truth is told is averaged, as chances."""
        found = dict(predictions[0])
        if "ids" in found:
            answers = torch.stack([prediction["ids"] for prediction in predictions])  # (M, B, T)
            agreeing = (answers.unsqueeze(0) == answers.unsqueeze(1)).all(3).sum(0)  # (M, B)
            found["ids"] = answers[agreeing.argmax(0), torch.arange(answers.shape[1], device=answers.device)]
        if "nll" in found:
            costs = torch.stack([prediction["nll"] for prediction in predictions])
            found["nll"] = math.log(len(predictions)) - (-costs).logsumexp(0)
            found["right"] = torch.stack([prediction["right"] for prediction in predictions]).float().mean(0)
        return found

    @property
    def never(self) -> tuple[int, ...]:
        """Tokens that no text holds."""
        return (self.spec.pad, self.spec.begin, self.spec.mask)

    def begun(self, rows: int) -> Tensor:
        """The tokens before the first of each text, (rows, 1) int64."""
        return torch.full((rows, 1), self.spec.begin, device=self.table.weight.device)

    def memory(self, signal: Signal) -> Memory | None:
        """What the decoder asks, of M·B rows, or None where nothing comes in."""
        if not self.asks:
            return None
        if signal.tokens is not None:
            return Memory(signal.tokens, signal.mask)
        assert signal.vector is not None
        return Memory(signal.vector.unsqueeze(1), None)

    def teller(self, signal: Signal, rows: int, capacity: int) -> Teller:
        """What tells the next tokens of ``rows`` texts, each of at most so many tokens."""
        voice = Voice(self.table, self.net, self._logits, signal.members)
        return Teller(voice, rows, self.memory(signal), capacity)

    def _states(self, signal: Signal, target: Ragged) -> tuple[Tensor, Tensor, Tensor]:
        """Of each label of each member's rows the state (L, D) that tells it, itself (L,), and its row (L,) of M·B."""
        ids, there = target.padded(self.spec.pad)
        if ids.shape[1] < 2:
            ids, there = (F.pad(part, (0, 2 - part.shape[1])) for part in (ids, there))
        ids, there = ids.repeat(signal.members, 1), there[:, 1:].repeat(signal.members, 1)
        state = self.net(self.table(ids[:, :-1]), self.memory(signal))
        rows = torch.arange(len(ids), device=ids.device).unsqueeze(1).expand(there.shape)
        if there.numel() == signal.members * (len(target.values) - len(target)):  # no row is shorter than another
            return state.flatten(0, 1), ids[:, 1:].flatten(), rows.flatten()
        return state[there], ids[:, 1:][there], rows[there]

    def _cross_entropy(self, state: Tensor, labels: Tensor) -> Tensor:
        """state (L, D), labels (L,) to (L,)."""
        size = max(1, len(labels)) if torch.is_grad_enabled() else self._at_once
        parts = zip(state.split(size), labels.split(size), strict=True)
        measure = partial(F.cross_entropy, label_smoothing=self.label_smoothing, reduction="none")
        return torch.cat([measure(self._logits(some).float(), label) for some, label in parts])

    def _told_well(self, signal: Signal, target: Ragged) -> Prediction:
        """``nll`` and ``right`` of each row, (B,), by the chances that members tell on average."""
        state, labels, rows = self._states(signal, target)
        members, count = signal.members, len(target)
        states, first = state.unflatten(0, (members, -1)), len(labels) // members
        nll, right = state.new_zeros(count), state.new_zeros(count)
        for part in torch.arange(first, device=state.device).split(self._at_once):
            told = torch.stack([self._logits(one[part]).log_softmax(1) for one in states]).logsumexp(0)
            label, row = labels[part], rows[part]
            nll.index_add_(0, row, math.log(members) - told.gather(1, label.unsqueeze(1)).squeeze(1))
            right.index_add_(0, row, (told.argmax(1) == label).to(right.dtype))
        return {"nll": nll, "right": right}

    @property
    def _at_once(self) -> int:
        """How many tokens' logits are there together, where no gradient needs them all."""
        return max(1, LOGITS_AT_ONCE // self.spec.size)

    def _logits(self, state: Tensor) -> Tensor:
        """(L, D) to (L, V)."""
        return F.linear(state, self.table.weight)


def _rows(signal: Signal) -> int:
    part = signal.tokens if signal.tokens is not None else signal.vector
    assert part is not None
    return len(part) // signal.members


def _shares(spec: TextSpec) -> Tensor:
    """(V,) of each token in the training rows, each as if it stood once more, so that none is impossible."""
    counts = 1 + torch.tensor(spec.counts or [0.0] * spec.size)
    counts[spec.begin] = 1
    return counts / counts.sum()


def _entropy(spec: TextSpec) -> float:
    """The loss of telling each token by its share in the training rows; nothing ever tells ``begin``."""
    counts = torch.tensor(spec.counts, dtype=torch.float64)
    if not len(counts):
        return math.log(spec.size)
    counts[spec.begin] = 0
    return float(torch.special.entr(counts / counts.sum()).sum()) or math.log(2)
