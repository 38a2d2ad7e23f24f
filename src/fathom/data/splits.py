"""Which rows are for training, for choosing, and for the final score, and which of them belong together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import coded

__all__ = [
    "FEWEST_PER_STRATUM",
    "group_codes",
    "quantile_codes",
    "random_split",
    "time_blocks",
    "time_split",
    "unit_split",
]

FEWEST_PER_STRATUM = 5
NUM_QUANTILES = 10


def random_split(
    count: int,
    fractions: tuple[float, ...],
    strata: np.ndarray | None,
    seed: int,
    *,
    sizes: np.ndarray | None = None,
    fewest: int = FEWEST_PER_STRATUM,
) -> list[np.ndarray]:
    """Split rows at random, keeping the share of each stratum in each part within two rows (in the last, within one).

    Each part but the first is drawn by systematic sampling (every 1/fraction-th row, from a random start) from
    rows shuffled inside their stratum. With several labels a row, that holds for the first, and nearly so for the
    others, which are shared out inside each value of those before. However small its fraction is, a part has one
    row at least.

    Args:
        count: N, no less than there are parts.
        fractions: the share of each part; they add up to 1.
        strata: (N,) or (N, L) labels of each row, or None. Rows of a label too rare to be shared out
            stay in the first part, so that every label is learned.
        seed: decides the split.
        sizes: (N,) how much each row weighs; heavy and light ones are shared out alike.
        fewest: rows of one label that can be shared out.

    Returns:
        The row numbers of each part, sorted.
    """
    generator = np.random.default_rng(seed)
    rest, kept = generator.permutation(count), np.empty(0, np.int64)
    labels = [] if strata is None else [_places(column) for column in strata.reshape(count, -1).T]
    keys = ([] if sizes is None else [sizes]) + labels[::-1]
    if keys:
        rest = rest[np.lexsort([key[rest] for key in keys])]
    if labels:
        rare = np.any([np.bincount(label)[label[rest]] < fewest for label in labels], axis=0)
        rest, kept = (rest, kept) if rare.all() else (rest[~rare], rest[rare])
    remaining, held_out = 1.0, []
    for parts_before, fraction in zip(range(len(fractions) - 1, 0, -1), fractions[:0:-1], strict=True):
        steps = np.floor(np.arange(len(rest) + 1) * (fraction / remaining) + generator.random())
        chosen = np.diff(steps) > 0
        _leave_none_empty(chosen, len(rest) - parts_before, generator)
        held_out.append(np.sort(rest[chosen]))
        rest, remaining = rest[~chosen], remaining - fraction
    return [np.sort(np.concatenate([rest, kept])), *reversed(held_out)]


def unit_split(
    units: np.ndarray,
    fractions: tuple[float, ...],
    strata: np.ndarray | None,
    seed: int,
    *,
    fewest: int = FEWEST_PER_STRATUM,
) -> list[np.ndarray]:
    """Split rows at random, no unit between two parts.

    Args:
        units: (N,) int64 from 0 on, the unit of each row; no fewer units than parts.
        fractions: the share of each part; they add up to 1.
        strata: (N,) or (N, L) labels of each row, or None; a unit goes by the label that most of its rows have.
        seed: decides the split.
        fewest: units of one label that can be shared out.

    Returns:
        The row numbers of each part, sorted.
    """
    sizes = np.bincount(units)
    labels = None
    if strata is not None:
        labels = np.stack([_usual_label(units, column) for column in strata.reshape(len(units), -1).T], axis=1)
    parts = random_split(len(sizes), fractions, labels, seed, sizes=sizes, fewest=fewest)
    return _rows_of(parts, units)


def time_split(times: np.ndarray, fractions: tuple[float, ...], units: np.ndarray | None) -> list[np.ndarray]:
    """Split rows so that each part is later than the one before; rows of one time are not parted.

    Args:
        times: (N,) int64 from 0 on, the place of each row's time among all times.
        fractions: the share of each part; they add up to 1.
        units: (N,) int64, units that are not parted either, or None; a unit counts as its latest row.

    Returns:
        The row numbers of each part, sorted; a part is empty where there are too few times.
    """
    if units is not None:
        latest = np.zeros(units.max() + 1, np.int64)
        np.maximum.at(latest, units, times)
        times = latest[units]
    distinct, place, counts = np.unique(times, return_inverse=True, return_counts=True)
    ends = np.concatenate([[0], counts.cumsum()])  # rows before each cut that is possible
    wanted = np.cumsum(fractions[:-1]) * len(times)
    cuts, last = [], len(distinct)
    for k, rows in reversed(list(enumerate(wanted, start=1))):
        last = int(np.clip(np.abs(ends - rows).argmin(), min(k, last - 1), max(last - 1, 0)))
        cuts.append(last)
    part = np.searchsorted(np.array(cuts[::-1]), place, side="right")
    return [np.flatnonzero(part == k) for k in range(len(fractions))]


def group_codes(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64, one number for each distinct value, missing counting as a value."""
    return coded(column, missing="encode")[0]


def quantile_codes(values: np.ndarray) -> np.ndarray:
    """(N,) int64, the tenth of all values that each of (N,) numbers stands in; NaN has a code of its own."""
    bins = max(1, min(NUM_QUANTILES, len(values) // FEWEST_PER_STRATUM))
    inner = np.nanquantile(values, np.linspace(0, 1, bins + 1)[1:-1]) if np.isfinite(values).any() else np.empty(0)
    return np.where(np.isnan(values), bins, np.searchsorted(inner, values, side="right"))


def time_blocks(times: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64, the block of rows next to each other in time that each row stands in, as long as N's cube root.

    Source: Hall, Horowitz and Jing (1995) for the length's growth with N; the factor 1 is assumed, not measured.
    """
    length = max(1, round(len(times) ** (1 / 3)))
    blocks = np.empty(len(times), np.int64)
    blocks[pc.sort_indices(times).to_numpy()] = np.arange(len(times)) // length
    return blocks


def _places(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]


def _usual_label(units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(U,) the label that most rows of each unit have."""
    place = _places(labels)
    pairs, counts = np.unique(units * (place.max() + 1) + place, return_counts=True)
    usual = np.empty(units.max() + 1, np.int64)
    rising = np.argsort(counts, kind="stable")  # of two assignments to one unit the later one stays
    usual[pairs[rising] // (place.max() + 1)] = pairs[rising] % (place.max() + 1)
    return usual


def _rows_of(parts: list[np.ndarray], units: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(np.isin(units, part)) for part in parts]


def _leave_none_empty(chosen: np.ndarray, most: int, generator: np.random.Generator) -> None:
    """Bring the number of rows chosen into 1 to ``most``, where systematic sampling of few rows missed that."""
    if not chosen.any():
        chosen[generator.integers(len(chosen))] = True
    excess = np.count_nonzero(chosen) - most
    if excess > 0:
        chosen[generator.choice(np.flatnonzero(chosen), excess, replace=False)] = False
