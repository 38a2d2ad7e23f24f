"""How often values stand in a column, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["COUNTED_VALUES", "bounded", "most_frequent"]

COUNTED_VALUES = 100_000
"""How many values of a column are counted one by one."""


def bounded(totals: Mapping[Any, float], most: int = COUNTED_VALUES) -> tuple[dict[Any, float], float]:
    """The counts of at most ``most`` values, and the weight that was dropped.

    Source: Misra and Gries (1982), merged as in Agarwal et al. (2012, section 3.1): what the next value has is taken
    from every count, so that a count is too low by at most the whole weight / (most + 1), and never too high.
    """
    if len(totals) <= most:
        return dict(totals), 0.0
    cut = sorted(totals.values(), reverse=True)[most]
    kept = {value: total - cut for value, total in totals.items() if total > cut}
    return kept, sum(totals.values()) - sum(kept.values())


def most_frequent(totals: Mapping[Any, float], most: int) -> dict[Any, float]:
    """The ``most`` values that weigh most; of equal ones those that sort first."""
    if len(totals) <= most:
        return dict(totals)
    return {value: totals[value] for value in sorted(totals, key=lambda value: (-totals[value], value))[:most]}
