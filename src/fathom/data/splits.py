"""Which rows are for training, for choosing, and for the final score."""

from __future__ import annotations

import numpy as np

__all__ = ["random_split"]

FEWEST_PER_STRATUM = 5


def random_split(count: int, fractions: tuple[float, ...], strata: np.ndarray | None, seed: int) -> list[np.ndarray]:
    """Split rows at random, keeping the share of each stratum in each part within two rows (in the last, within one).

    Each part but the first is drawn by systematic sampling (every 1/fraction-th row, from a random start) from
    rows shuffled inside their stratum.

    Args:
        count: N.
        fractions: the share of each part; they add up to 1.
        strata: (N,) a label for each row, or None. Rows of a label too rare to be shared out
            stay in the first part, so that every label is learned.
        seed: decides the split.

    Returns:
        The row numbers of each part, sorted.
    """
    generator = np.random.default_rng(seed)
    rest, kept = generator.permutation(count), np.empty(0, np.int64)
    if strata is not None:
        _, place, sizes = np.unique(strata, return_inverse=True, return_counts=True)
        rest = rest[np.argsort(place[rest], kind="stable")]
        rare = sizes[place[rest]] < FEWEST_PER_STRATUM
        rest, kept = (rest, kept) if rare.all() else (rest[~rare], rest[rare])
    remaining, held_out = 1.0, []
    for fraction in fractions[:0:-1]:
        steps = np.floor(np.arange(len(rest) + 1) * (fraction / remaining) + generator.random())
        chosen = np.diff(steps) > 0
        held_out.append(np.sort(rest[chosen]))
        rest, remaining = rest[~chosen], remaining - fraction
    return [np.sort(np.concatenate([rest, kept])), *reversed(held_out)]
