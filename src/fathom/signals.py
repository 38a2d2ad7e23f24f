"""What flows through fathom: roles, samples, batches, specs, signals, losses.

The one legend of shape letters, used in every docstring and trailing comment:

    N rows of a table          S samples of a store        B samples of a batch
    T positions of a sequence  D features                  K classes
    C channels                 H height                    W width
    M members of an ensemble (a member's rows stand together: M·B is M blocks of B)
    Q quantiles                R resamples
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from fathom.runtime import seed_from
from fathom.specs import (
    CategorySpec,
    DatetimeSpec,
    ImageSpec,
    MultilabelSpec,
    NumberSpec,
    SignalSpec,
    SpanSpec,
    TagsSpec,
    TextSpec,
)

__all__ = [
    "MEMBER_WEIGHT",
    "NOT_HIDDEN",
    "SAMPLE",
    "SHARE",
    "WEIGHT",
    "Batch",
    "CategorySpec",
    "DatetimeSpec",
    "ImageSpec",
    "Loss",
    "MultilabelSpec",
    "NumberSpec",
    "Prediction",
    "Ragged",
    "Role",
    "Samples",
    "Signal",
    "SignalSpec",
    "SpanSpec",
    "TagsSpec",
    "TextSpec",
    "batch_size",
    "beside_key",
    "doubled",
    "entered_key",
    "hidden_key",
    "input_key",
    "is_packed",
    "order",
    "pack_key",
    "partner_key",
    "split_batch",
    "target_key",
    "to_device",
    "weighted_targets",
]


class Role(StrEnum):
    """What a column is for."""

    INPUT = "input"
    TARGET = "target"
    GROUP = "group"
    TIME = "time"
    WEIGHT = "weight"
    PROTECTED = "protected"
    IGNORE = "ignore"


@dataclass(frozen=True)
class Ragged:
    """Rows of differing length, laid end to end.

    Attributes:
        values: (sum of lengths, ...) the rows, one after another.
        offsets: (N + 1,) int64; row i is ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, rows: list[Tensor]) -> Ragged:
        """Lay a non-empty list of tensors end to end."""
        lengths = torch.tensor([0, *(len(row) for row in rows)])
        return cls(torch.cat(rows), lengths.cumsum(0))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        return self.offsets[1:] - self.offsets[:-1]

    def select(self, rows: Tensor) -> Ragged:
        """The rows named by (B,) int64, by one vectorized index."""
        return self.windows(rows, torch.zeros_like(rows), self.lengths[rows])

    def windows(self, rows: Tensor, starts: Tensor, lengths: Tensor) -> Ragged:
        """Pieces ``[start, start + length)`` of rows, each argument (B,) int64."""
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        first = self.offsets[rows] + starts - offsets[:-1]
        index = torch.repeat_interleave(first, lengths) + torch.arange(int(offsets[-1]), device=first.device)
        return Ragged(self.values.index_select(0, index), offsets)

    def padded(self, fill: float = 0) -> tuple[Tensor, Tensor]:
        """The rows as one rectangle.

        Returns:
            (B, T, ...) values with ``fill`` behind each row's end, and (B, T) bool, true where a value stands.
        """
        longest = int(self.lengths.max()) if len(self) else 0
        if not torch.compiler.is_compiling() and len(self) * longest == len(self.values):  # a graph knows no lengths
            whole = self.values.reshape(len(self), longest, *self.values.shape[1:])
            return whole, torch.ones(len(self), longest, dtype=torch.bool, device=self.values.device)
        mask = torch.arange(longest, device=self.values.device) < self.lengths[:, None]  # (B, T)
        padded = self.values.new_full((len(self), longest, *self.values.shape[1:]), fill)
        padded[mask] = self.values
        return padded, mask


Batch: TypeAlias = dict[str, "Tensor | Ragged"]
Prediction: TypeAlias = dict[str, Tensor]

WEIGHT = "weight"  # (B,) float32, where the data carries sample weights
SAMPLE = "sample"  # (B,) int64, each sample's place in its store: augmentation draws from (seed, epoch, sample)
MEMBER_WEIGHT = "member weight"  # (B, M) float32, where each member learns from samples of its own
NOT_HIDDEN = -1  # in the place of a token that a net sees as it is, among those that it is to tell
SHARE = "share"  # (B,) float32 in 0 to 1, where samples are mixed: how much of each is its own, not its partner's


PACK = "pack/"


def pack_key(kind: str) -> str:
    """The batch's name for the one tensor in which all input columns of a packed kind travel."""
    return f"{PACK}{kind}"


def is_packed(key: str) -> bool:
    """Whether ``key`` names a tensor in which several columns may travel."""
    return key.startswith(PACK)


def input_key(column: str) -> str:
    """The batch's name for an input column that travels alone."""
    return f"input/{column}"


def beside_key(key: str, name: str) -> str:
    """The batch's name for what travels beside the tensor ``key``.

    It stands in front, because a column may have any name: ``x/size`` too, beside a picture ``x``.
    """
    return f"{name}/{key}" if name else key


def entered_key(key: str) -> str:
    """The batch's name for what an entry made of the input tensor ``key``, where that was computed before."""
    return beside_key(key, "entered")


def hidden_key(key: str) -> str:
    """The batch's name for the tokens of the input tensor ``key`` that are hidden from the net, which it is to tell."""
    return beside_key(key, "hidden")


def target_key(column: str) -> str:
    """The batch's name for a target."""
    return f"target/{column}"


def partner_key(key: str) -> str:
    """The batch's name for a target, or the sample weights, of the samples with which those of a batch are mixed."""
    return beside_key(key, "partner")


def weighted_targets(batch: Batch, key: str) -> list[tuple[Tensor | Ragged, Tensor | None]]:
    """A target of each sample, and where samples are mixed that of its partner, with weights.

    They are (B,), (M, B) where each member has its own, or None.
    """
    weight, of_members = _plain(batch.get(WEIGHT)), _plain(batch.get(MEMBER_WEIGHT))
    if of_members is not None:
        weight = of_members.mT if weight is None else of_members.mT * weight
    if partner_key(key) not in batch:
        return [(batch[key], weight)]
    own, others = _plain(batch[SHARE]), _plain(batch.get(partner_key(WEIGHT)))
    assert own is not None
    pairs = (own, weight), (1 - own, others)
    shares = [share if weights is None else share * weights for share, weights in pairs]
    return [(batch[key], shares[0]), (batch[partner_key(key)], shares[1])]


@dataclass(frozen=True)
class Samples:
    """What is split, shuffled, counted and resumed: rows, or windows of long rows.

    Attributes:
        rows: (S,) int64, the row of each sample.
        starts: (S,) int64, where in the row a window starts, or None where a sample is a whole row.
        lengths: (S,) int64, how long the window is, or None.
    """

    rows: Tensor
    starts: Tensor | None = None
    lengths: Tensor | None = None

    @classmethod
    def whole(cls, count: int) -> Samples:
        """One sample a row."""
        return cls(torch.arange(count))

    @classmethod
    def windowed(cls, row_lengths: Tensor, length: int, stride: int) -> Samples:
        """Windows of ``length`` positions (shorter where a row ends), starting every ``stride`` positions.

        The last one is the first that reaches the row's end; an empty row has one empty window.
        """
        reaching = -((length - row_lengths) // stride) + 1
        starting = -(-row_lengths // stride)
        counts = torch.minimum(reaching, starting).clamp(min=1)
        rows = torch.repeat_interleave(torch.arange(len(row_lengths)), counts)
        first = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        starts = (torch.arange(len(rows)) - first) * stride
        return cls(rows, starts, torch.clamp(row_lengths[rows] - starts, max=length))

    def __len__(self) -> int:
        return len(self.rows)


def order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of ``count`` samples in an epoch, (S,) int64: a pure function of its arguments."""
    generator = torch.Generator().manual_seed(seed_from("order", seed, epoch))
    return torch.randperm(count, generator=generator)


def batch_size(batch: Mapping[str, Tensor | Ragged]) -> int:
    """How many samples a batch holds."""
    return len(next(iter(batch.values())))


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """Cut a batch into at most ``parts`` micro-batches of nearly equal size, in order."""
    rows = torch.arange(batch_size(batch), device=_device(batch)).chunk(parts)
    return [{key: _rows(value, index) for key, value in batch.items()} for index in rows]


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on another device."""
    return {key: _moved(value, device) for key, value in batch.items()}


def doubled(batch: Batch) -> Batch:
    """The batch in double precision."""
    return {
        key: value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for key, value in batch.items()
    }


@dataclass(frozen=True)
class Signal:
    """The state of a network between its inputs and its heads.

    Attributes:
        vector: (M·B, D), or None; where nothing comes in, (B, 0).
        tokens: (M·B, T, D), or None.
        mask: (M·B, T) bool, true where a token stands, or None where all do.
        maps: (M·B, C, H, W) each, finest first.
        members: M; a head averages its predictions over members, as probabilities.
        frame: (B, 2) height and width in pixels of the picture behind the maps, as it came, or None.
        parts: which inputs' tokens these are, one after another: the batch's name for each, and how many.
    """

    vector: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None
    maps: tuple[Tensor, ...] = ()
    members: int = 1
    frame: Tensor | None = None
    parts: tuple[tuple[str, int], ...] = ()

    def repeated(self, members: int) -> Signal:
        """The same signal for each of ``members`` members, where it has one."""
        if self.members == members:
            return self
        assert self.members == 1, "members of two nets must agree"
        return replace(
            self,
            vector=_repeated(self.vector, members),
            tokens=_repeated(self.tokens, members),
            mask=_repeated(self.mask, members),
            maps=tuple(level.repeat(members, 1, 1, 1) for level in self.maps),
            members=members,
        )

    def float(self) -> Signal:
        """The same signal in float32, wherever a net computed it more coarsely."""
        return replace(
            self,
            vector=None if self.vector is None else self.vector.float(),
            tokens=None if self.tokens is None else self.tokens.float(),
            maps=tuple(level.float() for level in self.maps),
        )


class Loss(NamedTuple):
    """A loss before it is divided, so that it adds up however a batch is cut.

    Attributes:
        total: () sum over rows (tokens, boxes) of weight times loss.
        weight: () sum of the weights; depends on targets and sample weights alone.
        unit: what a loss of 1, a unit of weight, is worth: several losses are added up after division by it.
    """

    total: Tensor
    weight: Tensor
    unit: float = 1.0


def _plain(value: Tensor | Ragged | None) -> Tensor | None:
    assert not isinstance(value, Ragged)
    return value


def _device(batch: Batch) -> torch.device:
    first = next(iter(batch.values()))
    return first.offsets.device if isinstance(first, Ragged) else first.device


def _rows(value: Tensor | Ragged, index: Tensor) -> Tensor | Ragged:
    return value.select(index) if isinstance(value, Ragged) else value[index[0] : index[-1] + 1]


def _moved(value: Tensor | Ragged, device: torch.device) -> Tensor | Ragged:
    if isinstance(value, Ragged):
        return Ragged(value.values.to(device), value.offsets.to(device))
    return value.to(device, non_blocking=True)


def _repeated(value: Tensor | None, members: int) -> Tensor | None:
    return None if value is None else value.repeat(members, *[1] * (value.dim() - 1))
