"""Whether rows are worse than others, by Welch's t-test (1947) of their errors: of one slice, or of many at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["FEWEST_ROWS", "Errors", "Tested", "contrasted", "is_worse", "moments", "p_of"]

FEWEST_ROWS, FEWEST_GROUPS = 20, 10
LARGEST_SHARE = 0.5


class Errors(NamedTuple):
    """Each row's error, centred (N,), its weight, and its group, or None where each row stands for itself."""

    error: np.ndarray
    weight: np.ndarray
    groups: np.ndarray | None

    def of(self, rows: np.ndarray) -> Errors:
        groups = None if self.groups is None else self.groups[rows]
        return Errors(self.error[rows], self.weight[rows], groups)


class Tested(NamedTuple):
    """What Welch's test says of many slices.

    Attributes:
        t: how far the mean error lies above that of the other rows, in standard errors; NaN of too few or many rows.
        freedom: its degrees of freedom.
        excess: how far, in the unit of the errors.
    """

    t: np.ndarray
    freedom: np.ndarray
    excess: np.ndarray


def moments(codes: np.ndarray, count: int, errors: Errors) -> np.ndarray:
    """(6, count) of the rows of each code: how many, and the sums of w, w·e, w², w²·e and w²·e²."""
    weight, error = errors.weight, errors.error
    alike = bool((weight == 1).all())
    parts = [None, error, error**2] if alike else [None, weight, weight * error, weight**2]
    parts += [] if alike else [weight**2 * error, np.square(weight * error)]
    sums = [np.bincount(codes, weights=part, minlength=count).astype(float) for part in parts]
    return np.stack([sums[k] for k in (0, 0, 1, 0, 1, 2)] if alike else sums)


def contrasted(sums: np.ndarray, total: np.ndarray, fewest: int) -> Tested:
    """Many slices at once, each against all other rows.

    The variance inside is at least that of all rows: few rows that are wrong alike would else seem certain.

    Args:
        sums: (6, ...) as ``moments`` gives them, of each slice.
        total: (6,) of all rows.
        fewest: how many rows a slice must have.
    """
    allowed = (sums[0] >= fewest) & (sums[0] <= LARGEST_SHARE * total[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        inside, outside, whole = (_spread(part) for part in (sums, (total - sums.T).T, total))
        pooled = whole[1] * total[1] ** 2 / total[3] * sums[3] / sums[1] ** 2
        excess = inside[0] - outside[0]
        t = excess / np.sqrt(np.maximum(inside[1], pooled) + outside[1])
        freedom = np.maximum(sums[1] ** 2 / sums[3] - 1, 1.0)
    return Tested(np.where(allowed, t, np.nan), np.where(allowed, freedom, 1.0), excess)


def _spread(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean error, and the variance of that mean."""
    count, weight, weighted, squares, squared, both = sums
    mean = weighted / weight
    variance = (both - 2 * mean * squared + mean**2 * squares) / weight**2 * count / np.maximum(count - 1, 1)
    return mean, np.maximum(variance, 0.0)


def p_of(t: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    from scipy.special import stdtr

    found: np.ndarray = stdtr(freedom, -t)
    return found


def is_worse(rows: np.ndarray, among: np.ndarray, errors: Errors, level: float) -> bool:
    """Whether rows are worse than the others among which they stand, groups of rows counting as one."""
    inside, outside = errors.of(rows), errors.of(among & ~rows)
    if len(inside.error) < FEWEST_ROWS or len(outside.error) < 2:
        return False
    parts = [_mean_and_variance(part) for part in (inside, outside)]
    pooled = _mean_and_variance(errors.of(among))[1] * among.sum() / rows.sum()
    spread = np.sqrt(max(parts[0][1], pooled) + parts[1][1])
    if parts[0][2] < (FEWEST_ROWS if errors.groups is None else FEWEST_GROUPS) or not spread > 0:
        return False
    t = (parts[0][0] - parts[1][0]) / spread
    return bool(p_of(np.array(t), np.array(parts[0][2] - 1)) <= level)


def _mean_and_variance(part: Errors) -> tuple[float, float, float]:
    """The mean error of rows, the variance of that mean, and how many rows (or groups) it stands on."""
    total = part.weight.sum()
    mean = float(part.weight @ part.error / total)
    gaps: np.ndarray = part.weight * (part.error - mean)
    if part.groups is not None:
        gaps = np.bincount(np.unique(part.groups, return_inverse=True)[1], weights=gaps)
    units = len(gaps)
    return mean, float(np.square(gaps).sum() / total**2 * units / max(1, units - 1)), units
