"""Which rows are for training, for choosing, and for the final score, and which of them belong together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["group_codes", "random_split", "time_blocks"]

FEWEST_PER_STRATUM = 5


def random_split(count: int, fractions: tuple[float, ...], strata: np.ndarray | None, seed: int) -> list[np.ndarray]:
    """Split rows at random, keeping the share of each stratum in each part within two rows (in the last, within one).

    Each part but the first is drawn by systematic sampling (every 1/fraction-th row, from a random start) from
    rows shuffled inside their stratum. However small its fraction is, a part has one row at least.

    Args:
        count: N, no less than there are parts.
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
    for parts_before, fraction in zip(range(len(fractions) - 1, 0, -1), fractions[:0:-1], strict=True):
        steps = np.floor(np.arange(len(rest) + 1) * (fraction / remaining) + generator.random())
        chosen = np.diff(steps) > 0
        _leave_none_empty(chosen, len(rest) - parts_before, generator)
        held_out.append(np.sort(rest[chosen]))
        rest, remaining = rest[~chosen], remaining - fraction
    return [np.sort(np.concatenate([rest, kept])), *reversed(held_out)]


def group_codes(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64, one number for each distinct value, missing counting as a value."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def time_blocks(times: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64, the block of rows next to each other in time that each row stands in, as long as N's cube root.

    Source: Hall, Horowitz and Jing (1995) for the length's growth with N; the factor 1 is assumed, not measured.
    """
    length = max(1, round(len(times) ** (1 / 3)))
    blocks = np.empty(len(times), np.int64)
    blocks[pc.sort_indices(times).to_numpy()] = np.arange(len(times)) // length
    return blocks


def _leave_none_empty(chosen: np.ndarray, most: int, generator: np.random.Generator) -> None:
    """Bring the number of rows chosen into 1 to ``most``, where systematic sampling of few rows missed that."""
    if not chosen.any():
        chosen[generator.integers(len(chosen))] = True
    excess = np.count_nonzero(chosen) - most
    if excess > 0:
        chosen[generator.choice(np.flatnonzero(chosen), excess, replace=False)] = False
