"""Entries by which a number is a vector: its place between quantiles, or waves of it.

A single number is hard for a perceptron to treat otherwise here than there; a vector of it is not (Gorishniy et al.
2022). What is fixed of it, ``fixed``, is computed once for all rows; what is learned, ``learned``, at every step.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.nets.first_layer import columns_of
from fathom.nets.inputs import Scale
from fathom.nets.stacked import LAYERS, stack_of_members
from fathom.registry import Range
from fathom.signals import NumberSpec, Signal, SignalSpec

__all__ = ["Periodic", "PiecewiseEncoding", "PiecewiseLinear"]

FEWEST_STEPS = 1e-6  # of a scale between two edges: what is nearer is one edge, whose slope float32 can hold


class ScaledNumbers(nn.Module):
    """Numbers on a common scale, smoothly clipped; one that is missing where training rows lack some stays NaN.

    Args:
        spec: the numbers.
    """

    flagged: Tensor

    def __init__(self, spec: NumberSpec) -> None:
        super().__init__()
        plain = NumberSpec(**{**vars(spec), "missing": (False,) * spec.count})
        self.scale = Scale(plain)
        self.register_buffer("flagged", torch.tensor(spec.missing), persistent=False)
        self._any_flagged = any(spec.missing)

    def forward(self, numbers: Tensor) -> Tensor:
        """numbers (B, count), NaN where missing, to (B, count)."""
        scaled: Tensor = self.scale(numbers).vector
        return scaled.masked_fill(torch.isnan(numbers) & self.flagged, math.nan) if self._any_flagged else scaled

    def edges(self, spec: NumberSpec, bins: int) -> list[Tensor]:
        """Of each number at most ``bins`` + 1 increasing edges on the common scale, float64; one of a constant."""
        edges = torch.tensor(spec.edges, dtype=torch.float64)  # (count, edges)
        chosen = torch.linspace(0, edges.shape[1] - 1, min(bins + 1, edges.shape[1])).round().long()
        scaled: Tensor = self.scale.double()(edges[:, chosen].mT).vector.mT
        self.scale.float()
        return [_apart(row) for row in scaled]


class Fixed(nn.Module):
    """What of an entry is not learned: scaled numbers, and behind them which values those have that recur.

    Args:
        spec: the numbers.
    """

    columns: Tensor
    values: Tensor
    ranks: Tensor

    def __init__(self, spec: NumberSpec) -> None:
        super().__init__()
        self.scaled = ScaledNumbers(spec)
        columns, found = recurring_of(spec)
        values = torch.full((len(found), max(map(len, found), default=0)), math.nan)  # NaN equals nothing
        ranks = torch.zeros_like(values)
        first = 1
        for j, known in enumerate(found):
            values[j, : len(known)] = torch.tensor(known, dtype=torch.float64)  # rounded as the rows' are
            ranks[j, : len(known)] = torch.arange(first, first + len(known))
            first += len(known)
        for name, value in (
            ("columns", torch.tensor(columns, dtype=torch.int64)),
            ("values", values),
            ("ranks", ranks),
        ):
            self.register_buffer(name, value, persistent=False)
        self._any = bool(columns)

    def forward(self, numbers: Tensor) -> Tensor:
        """numbers (B, count), NaN where missing, to (B, count + R): behind them ranks, 0 where no value recurs."""
        scaled: Tensor = self.scaled(numbers)
        if not self._any:
            return scaled
        same = numbers.index_select(1, self.columns).unsqueeze(2) == self.values  # (B, R, values)
        return torch.cat([scaled, (same * self.ranks).sum(2)], dim=1)


class Recurring(nn.Module):
    """Vectors that are added to numbers of values that recur, one for each value; they start as 0.

    Args:
        spec: the numbers.
        width: of the vectors.
    """

    columns: Tensor

    def __init__(self, spec: NumberSpec, width: int) -> None:
        super().__init__()
        columns, values = recurring_of(spec)
        self.members, self.width = 1, width
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.vectors = nn.Parameter(torch.zeros(sum(map(len, values)) * width)) if columns else None

    def forward(self, ranks: Tensor, vectors: Tensor) -> Tensor:
        """vectors (M·B, count, width), with its own added to each number whose rank in ``ranks`` (M·B, R) is not 0."""
        if self.vectors is None:
            return vectors
        table = self.vectors.view(-1, self.width)
        place = (ranks.long() - 1).clamp(min=0)
        if self.members > 1:
            first = torch.arange(0, len(table), len(table) // self.members, device=table.device)
            place = (place.view(self.members, -1) + first.unsqueeze(1)).view(ranks.shape)
        own = F.embedding(place, table)
        return vectors.index_add(1, self.columns, (own * (ranks > 0).unsqueeze(2)).to(vectors.dtype))


def recurring_of(spec: NumberSpec) -> tuple[list[int], list[tuple[float, ...]]]:
    """The columns that have values which recur, and those values."""
    columns = [j for j, values in enumerate(spec.recurring) if values]
    return columns, [spec.recurring[j] for j in columns]


class Missing(nn.Module):
    """Vectors that stand for missing numbers, one for each column of which training rows lack some.

    Args:
        missing: which columns those are.
        width: of the vectors.
    """

    columns: Tensor

    def __init__(self, missing: tuple[bool, ...], width: int) -> None:
        super().__init__()
        self.members, self.width = 1, width
        self.register_buffer("columns", torch.tensor(missing).nonzero().squeeze(1), persistent=False)
        self.vectors = nn.Parameter(_uniform(len(self.columns) * width, inputs=width)) if any(missing) else None

    def forward(self, numbers: Tensor, vectors: Tensor) -> Tensor:
        """vectors (M·B, count, width), with those in the place of which ``numbers`` (M·B, count) is NaN."""
        if self.vectors is None:
            return vectors
        own = self.vectors.new_zeros(self.members, 1, vectors.shape[1], self.width)
        own = own.index_copy(2, self.columns, self.vectors.view(self.members, 1, -1, self.width))
        gone = torch.isnan(numbers).unsqueeze(2)
        return torch.where(gone, own.expand(-1, len(numbers) // self.members, -1, -1).flatten(0, 1), vectors)


class Encoding(nn.Module):
    """How far a number has come through each of its bins: 1 in those below it, 0 in those above, a share in its own.

    Source: piecewise linear encoding of Gorishniy et al. (2022, equation 1), in that layout of the authors' package in
    which every number's last bin stands in the last place. Below the first edge and above the last it goes on.

    Args:
        edges: of each number, on the scale in which it comes.
    """

    slope: Tensor
    shift: Tensor
    lowest: Tensor
    highest: Tensor
    used: Tensor

    def __init__(self, edges: list[Tensor]) -> None:
        super().__init__()
        counts = [len(row) - 1 for row in edges]
        self.num_bins = max([1, *counts])
        slope, shift = torch.zeros(2, len(edges), self.num_bins, dtype=torch.float64)
        lowest, highest = torch.zeros_like(slope), torch.ones_like(slope)
        for j, (row, count) in enumerate(zip(edges, counts, strict=True)):
            if count:
                places = torch.tensor([*range(count - 1), self.num_bins - 1])
                slope[j, places] = 1 / row.diff()
                shift[j, places] = -row[:-1] / row.diff()
                lowest[j, places[0]], highest[j, -1] = -math.inf, math.inf
        for name, value in (("slope", slope), ("shift", shift), ("lowest", lowest), ("highest", highest)):
            self.register_buffer(name, value.float(), persistent=False)
        self.register_buffer("used", slope > 0, persistent=False)

    def forward(self, scaled: Tensor) -> Tensor:
        """scaled (B, count) to (B, count, num_bins); NaN is 0."""
        steps = torch.addcmul(self.shift, self.slope, scaled.unsqueeze(2))
        return torch.clamp(steps, self.lowest, self.highest)


@NETS.register(
    "piecewise_encoding",
    takes="number",
    gives=("vector",),
    entry=True,
    exempt={"gradcheck": "the rows stand on its edges, where it has a slope to the left and another to the right"},
)
class PiecewiseEncoding(nn.Module):
    """How far each number has come through each of its bins, with a flag for each that can be missing.

    Source: piecewise linear encoding with quantiles of Gorishniy et al. (2022, section 3.2.1); nothing is learned.

    Args:
        spec: the numbers.
        bins: between quantiles, of each number; fewer where quantiles coincide.
    """

    used: Tensor
    flagged: Tensor

    def __init__(self, spec: NumberSpec, *, bins: Annotated[int, Range(2, 64, log=True)] = 16) -> None:
        super().__init__()
        self.scaled = ScaledNumbers(spec)
        self.encoding = Encoding(self.scaled.edges(spec, bins))
        self.register_buffer("used", self.encoding.used.flatten().nonzero().squeeze(1), persistent=False)
        self.register_buffer("flagged", torch.tensor(spec.missing).nonzero().squeeze(1), persistent=False)
        columns = (*columns_of(self.encoding.used.sum(1).tolist()), *self.flagged.tolist())
        self.gives = SignalSpec(len(columns), columns=columns)

    def forward(self, numbers: Tensor) -> Signal:
        """numbers (B, count), NaN where missing, to a vector (B, D)."""
        scaled = self.scaled(numbers)
        missing = torch.isnan(scaled)
        steps = self.encoding(scaled.masked_fill(missing, 0.0)).flatten(1).index_select(1, self.used)
        return Signal(vector=torch.cat([steps, missing.index_select(1, self.flagged).to(steps.dtype)], dim=1))


@NETS.register("piecewise_linear", takes="number", gives=("vector",), entry=True, fixed=True, stacks=True)
class PiecewiseLinear(nn.Module):
    """Each number as a vector that goes linearly from quantile to quantile.

    Source: piecewise linear embeddings of Gorishniy et al. (2022, section 3.2); version "B", of TabM (Gorishniy et al.
    2025), starts as a linear embedding, and learns the bends. A missing number has a vector of its own.

    Args:
        spec: the numbers.
        width: of each vector.
        bins: between quantiles, of each number; fewer where quantiles coincide.
        version: "B" adds the bends, which start at 0, to a line; "A" has no line.
        relu: whether negative parts of the bends are cut off.
    """

    def __init__(
        self,
        spec: NumberSpec,
        *,
        width: Annotated[int, Range(1, 128, log=True)] = 16,
        bins: Annotated[int, Range(2, 64, log=True)] = 32,
        version: Literal["A", "B"] = "B",
        relu: bool = False,
    ) -> None:
        super().__init__()
        self.fixed = Fixed(spec)
        self.encoding = Encoding(self.fixed.scaled.edges(spec, bins))
        self.members, self.count, self.relu = 1, spec.count, relu
        num_bins = self.encoding.num_bins
        bends = torch.zeros(spec.count, num_bins, width)
        self.bends = nn.Parameter(bends if version == "B" else _uniform(*bends.shape, inputs=num_bins))
        self.line = nn.Parameter(_uniform(spec.count * width, inputs=width)) if version == "B" else None
        self.bias = nn.Parameter(_uniform(spec.count * width, inputs=width if version == "B" else num_bins))
        self.recurring, self.missing = Recurring(spec, width), Missing(spec.missing, width)
        self.gives = SignalSpec(spec.count * width, columns=columns_of([width] * spec.count))

    def forward(self, numbers: Tensor) -> Signal:
        """numbers (B, count), NaN where missing, to a vector (B, count·width)."""
        return self.learned(self.fixed(numbers))

    def learned(self, fixed: Tensor) -> Signal:
        """fixed (M·B, count + R), as ``Fixed`` gives it, to a vector (M·B, count·width)."""
        scaled, ranks = fixed.tensor_split([self.count], dim=1)
        known = torch.nan_to_num(scaled)
        members, count, width = self.members, self.count, self.bends.shape[-1]
        steps = self.encoding(known).unflatten(0, (members, -1)).transpose(1, 2).flatten(0, 1)  # (M·count, B, bins)
        vectors = torch.bmm(steps, self.bends.flatten(0, -3))
        vectors = vectors.unflatten(0, (members, count)).transpose(1, 2)  # (M, B, count, width)
        bias = self.bias.view(members, 1, count, width)
        if self.line is None:
            vectors = vectors + bias
        vectors = torch.relu(vectors) if self.relu else vectors
        if self.line is not None:
            line = self.line.view(members, 1, count, width)
            vectors = vectors + torch.addcmul(bias, line, known.view(members, -1, count, 1))
        return Signal(vector=self.missing(scaled, self.recurring(ranks, vectors.flatten(0, 1))).flatten(1))


@NETS.register("periodic", takes="number", gives=("vector",), entry=True, fixed=True)
class Periodic(nn.Module):
    """Each number as a vector of waves of learned frequencies, mixed by a matrix.

    Source: periodic embeddings "PLR" of Gorishniy et al. (2022, section 3.3); "lite", whose matrix all numbers share,
    of TabR (Gorishniy et al. 2024); "pbld" of RealMLP (Holzmüller et al. 2024, section 3): waves with a phase, no
    relu, and the number itself in front. A missing number has a vector of its own.

    Args:
        spec: the numbers.
        width: of each vector.
        frequencies: of each number.
        sigma: the deviation of frequencies at the start; how fine a detail is seen.
        version: "plr", "lite" or "pbld".
    """

    def __init__(
        self,
        spec: NumberSpec,
        *,
        width: Annotated[int, Range(2, 128, log=True)] = 16,
        frequencies: Annotated[int, Range(1, 128, log=True)] = 32,
        sigma: Annotated[float, Range(1e-3, 10, log=True)] = 0.05,
        version: Literal["plr", "lite", "pbld"] = "plr",
    ) -> None:
        super().__init__()
        self.fixed = Fixed(spec)
        self.count, self.version = spec.count, version
        drawn = torch.empty(spec.count * frequencies)
        self.frequency = nn.Parameter(nn.init.trunc_normal_(drawn, 0.0, sigma, -3 * sigma, 3 * sigma))
        phase = torch.empty_like(drawn).uniform_(-math.pi, math.pi)
        self.phase = nn.Parameter(phase) if version == "pbld" else None
        waves = frequencies if version == "pbld" else 2 * frequencies
        mixed = width - 1 if version == "pbld" else width
        matrices = 1 if version == "lite" else spec.count
        self.mix = nn.Parameter(_uniform(matrices, waves, mixed, inputs=waves))
        self.bias = nn.Parameter(_uniform(matrices * mixed, inputs=waves))
        self.recurring, self.missing = Recurring(spec, width), Missing(spec.missing, width)
        self.gives = SignalSpec(spec.count * width, columns=columns_of([width] * spec.count))

    def forward(self, numbers: Tensor) -> Signal:
        """numbers (B, count), NaN where missing, to a vector (B, count·width)."""
        return self.learned(self.fixed(numbers))

    def learned(self, fixed: Tensor) -> Signal:
        """fixed (B, count + R), as ``Fixed`` gives it, to a vector (B, count·width)."""
        scaled, ranks = fixed.tensor_split([self.count], dim=1)
        known = torch.nan_to_num(scaled).unsqueeze(2)
        angle = 2 * math.pi * self.frequency.view(self.count, -1) * known  # (B, count, frequencies)
        if self.phase is not None:
            waves = torch.cos(angle + self.phase.view(self.count, -1))
        else:
            waves = torch.cat([angle.cos(), angle.sin()], dim=2)
        bias = self.bias.view(-1, self.mix.shape[2])
        if self.version == "lite":
            vectors = waves @ self.mix[0] + bias
        else:
            vectors = torch.bmm(waves.transpose(0, 1), self.mix).transpose(0, 1) + bias  # (B, count, mixed)
        vectors = torch.cat([known, vectors], dim=2) if self.version == "pbld" else torch.relu(vectors)
        return Signal(vector=self.missing(scaled, self.recurring(ranks, vectors)).flatten(1))


LAYERS[PiecewiseLinear] = stack_of_members


def _uniform(*shape: int, inputs: int) -> Tensor:
    """Drawn within 1 / sqrt(inputs), as nn.Linear starts."""
    bound = 1 / math.sqrt(inputs)
    return torch.empty(shape).uniform_(-bound, bound)


def _apart(edges: Tensor) -> Tensor:
    """The edges that are apart from the one before, in order."""
    kept = [edges[0]]
    for edge in edges[1:]:
        if edge - kept[-1] > FEWEST_STEPS:
            kept.append(edge)
    return torch.stack(kept)
