"""Targets that are computed from the inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fathom.checks.check import CHECKS, Finding, without
from fathom.checks.examined import Examined, is_number, values_of

__all__ = ["identities"]

MOST_TERMS = 6
MOST_COLUMNS = 64
ROWS_A_COLUMN = 4
MOST_ROWS = 4_096
EXACT = 1e-6
"""Of the target's deviation: what rounding leaves, and chance does not."""


SMALL = 1e-4
"""A weight between standardised columns below which a column has no part in it."""


@CHECKS.register("identities", cost="cheap", needs=("inputs", "target"))
def identities(examined: Examined) -> Iterator[Finding]:
    """Targets that are a sum, a difference, a product or a quotient of inputs, to the last digit."""
    for target in examined.targets:
        if target.kind.name != "number" or not is_number(examined.train, target):
            continue
        values = values_of(examined.train[target.name])
        block = examined.block
        for words, used in _formulas(block.names, block.values, values):
            message = f"{target.name} is {words} in every row: the network would only learn to compute it"
            yield Finding(
                "identities", "warning", message, f"if they are not known beforehand, {without(used)}", used,
                count=examined.total,
            )  # fmt: skip
            break


def _formulas(names: tuple[str, ...], inputs: np.ndarray, target: np.ndarray) -> Iterator[tuple[str, tuple[str, ...]]]:
    whole = np.isfinite(target)
    inputs, target = _fewer_rows(inputs[whole], target[whole])
    if not len(target) or target.std() == 0:
        return
    usable = np.flatnonzero(np.isfinite(inputs).all(axis=0) & (inputs.std(axis=0) > 0))
    factors = linear(inputs[:, usable], target)
    if factors:
        terms = {names[usable[place]]: factor for place, factor in factors.items()}
        yield _sum_words(terms), tuple(terms)
    if not (target > 0).all():
        return
    positive = usable[(inputs[:, usable] > 0).all(axis=0)]
    powers = linear(np.log(inputs[:, positive]), np.log(target))
    if powers and all(power in (-1, 1) for power in powers.values()):
        terms = {names[positive[place]]: power for place, power in powers.items()}
        yield _product_words(terms), tuple(terms)


def _fewer_rows(inputs: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stride = max(1, -(-len(target) // MOST_ROWS))
    return inputs[::stride], target[::stride]


def linear(inputs: np.ndarray, target: np.ndarray) -> dict[int, float]:
    """Place to factor of the few columns whose weighted sum is the target up to a constant; else nothing.

    Where there are more columns than rows can tell apart, those most like the target are tried.
    """
    count, width = inputs.shape
    most = min(MOST_COLUMNS, count // ROWS_A_COLUMN)
    if not width or most < 1 or target.std() == 0:
        return {}
    # Standardised twice, so that a constant's rounding leaves no column without a deviation.
    scale = np.maximum(inputs.std(axis=0), 1e-300)
    columns, wanted = (inputs - inputs.mean(axis=0)) / scale, (target - target.mean()) / target.std()
    likest = np.argsort(-np.abs(columns.T @ wanted), kind="stable")[:most]
    weights = np.linalg.lstsq(columns[:, likest], wanted, rcond=1e-10)[0]
    used = np.sort(likest[np.abs(weights) > SMALL])
    if not 0 < len(used) <= MOST_TERMS:
        return {}
    weights = np.linalg.lstsq(columns[:, used], wanted, rcond=1e-10)[0]
    if np.abs(columns[:, used] @ weights - wanted).max() > EXACT:
        return {}
    factors = weights * target.std() / scale[used]
    return {int(place): float(f"{factor:.6g}") for place, factor in zip(used, factors, strict=True)}


def _sum_words(terms: dict[str, float]) -> str:
    words = [
        f"{'-' if factor < 0 else '+'} {'' if abs(factor) == 1 else f'{abs(factor):g} × '}{name}"
        for name, factor in terms.items()
    ]
    return " ".join(words).removeprefix("+ ")


def _product_words(terms: dict[str, float]) -> str:
    above = [name for name, power in terms.items() if power > 0] or ["1"]
    below = [name for name, power in terms.items() if power < 0]
    return " / ".join([" × ".join(above), *below])
