"""Entries: what brings a kind's tensor into the form that other nets take, normalisation included.

Normalisation lives here, in buffers rebuilt from the spec and never saved, so that an exported network takes raw
numbers, category indices and pixels.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.registry import Range
from fathom.signals import CategorySpec, ImageSpec, NumberSpec, Signal, SignalSpec

__all__ = ["Embed", "Flatten", "Pixels", "Scale"]

FARTHEST = 1e9  # in clips: a value beyond this, squared, would soon be infinite in float32 and the value so scaled to 0


@NETS.register("scale", takes="number", gives=("vector",), entry=True)
class Scale(nn.Module):
    """Numbers on a common scale, with a flag for each that can be missing.

    Source: robust scaling and smooth clipping of RealMLP (Holzmüller et al. 2024, section 3); a missing number
    becomes the median, and its flag 1.

    Args:
        spec: the numbers.
        clip: values far outside the quartiles approach this bound; 0 scales by mean and deviation instead.
    """

    factor: Tensor
    shift: Tensor
    flagged: Tensor

    def __init__(self, spec: NumberSpec, *, clip: Annotated[float, Range(0, 100)] = 3.0) -> None:
        super().__init__()
        centre, scale = (spec.centre, spec.scale) if clip else (spec.mean, spec.deviation)
        factor = 1 / (torch.tensor(scale, dtype=torch.float64) * (clip or 1.0))
        self.clip, self._tame = clip, not any(spec.missing) and _farthest(spec) < FARTHEST * (clip or 1.0)
        self.register_buffer("factor", factor.float(), persistent=False)
        self.register_buffer("shift", (-torch.tensor(centre, dtype=torch.float64) * factor).float(), persistent=False)
        flagged = torch.tensor(spec.missing).nonzero().squeeze(1)
        self.register_buffer("flagged", flagged, persistent=False)
        self.gives = SignalSpec(spec.count + len(flagged), columns=(*range(spec.count), *flagged.tolist()))

    def forward(self, numbers: Tensor) -> Signal:
        """numbers (B, count), NaN where missing, to a vector (B, D)."""
        scaled = torch.addcmul(self.shift, numbers, self.factor)  # (B, count), in units of the clip
        if not (self.training and self._tame):
            scaled = torch.nan_to_num(scaled, nan=0.0).clamp(-FARTHEST, FARTHEST)
        if self.clip:
            scaled = scaled.square().add_(1).rsqrt() * scaled * self.clip
        if len(self.flagged):
            flags = torch.isnan(numbers.index_select(1, self.flagged)).to(scaled.dtype)
            scaled = torch.cat([scaled, flags], dim=1)
        return Signal(vector=scaled)


def _farthest(spec: NumberSpec) -> float:
    """The largest distance of a training value from its centre, in its scale."""
    columns = zip(spec.edges, spec.centre, spec.scale, strict=True)
    return max(max(edges[-1] - centre, centre - edges[0]) / scale for edges, centre, scale in columns)


@NETS.register("embed", takes="category", gives=("vector",), entry=True, stacks=True)
class Embed(nn.Module):
    """Categories as numbers: one-hot where they are few, a learned vector where they are many.

    Args:
        spec: the categories.
        one_hot_max: columns with more categories than this get a learned vector.
        width_max: the longest learned vector.
    """

    few: Tensor
    first: Tensor
    one: Tensor

    def __init__(
        self,
        spec: CategorySpec,
        *,
        one_hot_max: Annotated[int, Range(0, 10_000)] = 64,
        width_max: Annotated[int, Range(1, 1024, log=True)] = 32,
    ) -> None:
        super().__init__()
        few = [j for j, size in enumerate(spec.sizes) if size <= one_hot_max]
        self.many = [j for j, size in enumerate(spec.sizes) if size > one_hot_max]
        sizes = torch.tensor([spec.sizes[j] for j in few], dtype=torch.int64)
        self.register_buffer("few", torch.tensor(few, dtype=torch.int64), persistent=False)
        self.register_buffer("first", sizes.cumsum(0) - sizes, persistent=False)
        self.register_buffer("one", torch.ones(()), persistent=False)  # its type follows the network's
        self.num_hot = int(sizes.sum())
        widths = [min(width_max, round(1.6 * spec.sizes[j] ** 0.56)) for j in self.many]
        self.tables = nn.ModuleList(
            nn.Embedding(spec.sizes[j] + 1, width, padding_idx=0) for j, width in zip(self.many, widths, strict=True)
        )
        columns = [j for j in few for _ in range(spec.sizes[j])]
        columns += [j for j, width in zip(self.many, widths, strict=True) for _ in range(width)]
        self.gives = SignalSpec(len(columns), columns=tuple(columns))

    def forward(self, categories: Tensor) -> Signal:
        """categories (B, count) int64, 0 where unknown, to a vector (B, D)."""
        index = categories.index_select(1, self.few)
        # An unknown category points at one column too many, which is cut off.
        place = torch.where(index > 0, index - 1 + self.first, self.num_hot)
        hot = self.one.new_zeros(categories.shape[0], self.num_hot + 1)  # len() would fix the size of an export
        parts = [hot.scatter(1, place, 1.0)[:, : self.num_hot]]
        parts += [table(categories[:, j]) for j, table in zip(self.many, self.tables, strict=True)]
        return Signal(vector=torch.cat(parts, dim=1) if self.many else parts[0])


class Pixels(nn.Module):
    """Pictures as normalised numbers: the first layer of every net that takes pictures."""

    mean: Tensor
    factor: Tensor

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("factor", 1 / torch.tensor(spec.deviation).view(-1, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) in 0 to 255 to (B, C, H, W), each channel of mean 0 and deviation 1."""
        return (pictures.to(self.mean.dtype) - self.mean) * self.factor


@NETS.register("flatten", takes="image", gives=("vector",), entry=True)
class Flatten(nn.Module):
    """All pixels side by side."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.pixels = Pixels(spec)
        self.gives = SignalSpec(spec.channels * spec.height * spec.width)

    def forward(self, pictures: Tensor) -> Signal:
        """pictures (B, C, H, W) to a vector (B, C·H·W)."""
        return Signal(vector=self.pixels(pictures).flatten(1))
