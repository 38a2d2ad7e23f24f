"""A few of many, where all would take too long."""

from __future__ import annotations

import numpy as np

__all__ = ["drawn"]


def drawn(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """(min(N, most),) some of N rows at random, in their order; all of them where they are not more."""
    return rows if len(rows) <= most else np.sort(generator.choice(rows, most, replace=False))
