"""Moments as numbers: the parts of the calendar as cycles, and the time that has passed."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.signals import DatetimeSpec, Signal, SignalSpec

__all__ = ["Calendar"]

CYCLES = {"month": (12, 1), "day": (31, 1), "weekday": (7, 0), "hour": (24, 0), "minute": (60, 0)}
"""How many steps each part goes round in, and its first number."""
SECONDS_A_DAY = 86_400


@NETS.register("calendar", takes="datetime", gives=("vector",), entry=True)
class Calendar(nn.Module):
    """The time since the earliest training row, the year, and each part of the calendar as a point on a circle.

    Source: the periodic part of Time2Vec (Kazemi et al. 2019, equation 1) with sine and cosine, its frequencies fixed
    to those of the calendar, so that December stands beside January. Only parts that vary in the training rows are
    there. Elapsed time and year go from -1 to 1 over those rows. A missing moment is 0 throughout, and its flag 1.

    Args:
        spec: the moments.
    """

    days: Tensor
    day_factor: Tensor
    years: Tensor
    year_factor: Tensor
    year_shift: Tensor
    cyclic: Tensor
    frequency: Tensor
    phase: Tensor
    flagged: Tensor

    def __init__(self, spec: DatetimeSpec) -> None:
        super().__init__()
        found = [
            (place + 2 + k, part, j)
            for j, (place, parts) in enumerate(zip(spec.places, spec.parts, strict=True))
            for k, part in enumerate(parts)
        ]
        years = [(place, *spec.years[j]) for place, part, j in found if part == "year"]
        cycles = [(place, *CYCLES[part]) for place, part, _ in found if part in CYCLES]
        of_years, of_cycles = ([j for _, part, j in found if (part in CYCLES) is cyclic] for cyclic in (False, True))
        self._register("days", list(spec.places), torch.int64)
        self._register("day_factor", [2 / span for span in spec.span])
        self._register("years", [place for place, _, _ in years], torch.int64)
        self._register("year_factor", [2 / (last - first) for _, first, last in years])
        self._register("year_shift", [(first + last) / 2 for _, first, last in years])
        self._register("cyclic", [place for place, _, _ in cycles], torch.int64)
        self._register("frequency", [2 * math.pi / steps for _, steps, _ in cycles])
        self._register("phase", [first for _, _, first in cycles])
        missing = [j for j, lacks in enumerate(spec.elapsed.missing) if lacks]
        self._register("flagged", [spec.places[j] for j in missing], torch.int64)
        columns = (*range(spec.count), *of_years, *of_cycles, *of_cycles, *missing)
        self.gives = SignalSpec(len(columns), columns=columns)

    def _register(self, name: str, values: list[int] | list[float], kind: torch.dtype = torch.float32) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=kind), persistent=False)

    def forward(self, moments: Tensor) -> Signal:
        """moments (B, sum of 2 + parts), NaN where missing, to a vector (B, D)."""
        day, second = moments.index_select(1, self.days), moments.index_select(1, self.days + 1)
        elapsed = day * self.day_factor + second * (self.day_factor / SECONDS_A_DAY) - 1  # (B, count)
        year = (moments.index_select(1, self.years) - self.year_shift) * self.year_factor
        angle = (moments.index_select(1, self.cyclic) - self.phase) * self.frequency
        flags = torch.isnan(moments.index_select(1, self.flagged)).to(moments.dtype)
        parts = [torch.nan_to_num(part) for part in (elapsed, year, angle.cos(), angle.sin())]
        return Signal(vector=torch.cat([*parts, flags], dim=1))
