"""Rows that stand several times: within a part, in two parts, with different targets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from fathom.checks.check import CHECKS, Finding, Severity, counted, percent
from fathom.checks.examined import Examined, codes_of, is_number, values_of
from fathom.checks.pictures import named
from fathom.data.duplicates import row_codes
from fathom.errors import listed

__all__ = ["conflicts", "copies", "shared"]

PLAIN = 0.01
"""From this share of copies on scores are touched."""
BY_CHANCE = 0.01
"""Copies are told where rows that agree by chance make up less than this share of them, columns being taken as
independent of each other; as they are not, the share is small."""

LEAST = 1e-6
"""Of expected pairs: fewer are none."""


@CHECKS.register("copies", cost="cheap", needs=("inputs",))
def copies(examined: Examined) -> Iterator[Finding]:
    """Rows of which another is a copy, the target being the same."""
    codes = examined.equal_rows["train"]
    for target in examined.targets:
        pairs = np.stack([codes, row_codes(examined.train, [target.name])])
        codes = np.unique(pairs, axis=1, return_inverse=True)[1].ravel()
    rows = _later(codes)
    if not len(rows) or _expected_pairs(examined, len(codes)) > BY_CHANCE * _pairs(codes):
        return
    share = len(rows) / len(codes)
    are = "is a copy" if len(rows) == 1 else "are copies"
    message = f"{counted(len(rows), 'row')} ({percent(share)}) {are} of another{examined.sampled}"
    remedy = "" if share < PLAIN else "if they are no observations of their own, take them out of the data"
    yield Finding("copies", "note", message, remedy, rows=examined.numbers_of(rows), count=len(rows))


@CHECKS.register("shared", cost="cheap", needs=("inputs", "parts"))
def shared(examined: Examined) -> Iterator[Finding]:
    """Rows that stand in two parts: what was learned by heart is scored as if it were understood."""
    parts = ["train", *examined.parts]
    for first, second in combinations(parts, 2):
        codes = examined.equal_rows[second]
        rows = np.flatnonzero(np.isin(codes, examined.equal_rows[first]))
        if not len(rows) or _expected_pairs(examined, len(codes), apart=True) > BY_CHANCE * len(rows):
            continue
        share = len(rows) / len(codes)
        stand = "stands" if len(rows) == 1 else "stand"
        message = f"{counted(len(rows), 'row')} of {second} ({percent(share)}) also {stand} in {first}"
        remedy = f"take them out of {first if first == 'train' else second}; the scores are a little too good"
        severity: Severity = "warning" if share >= PLAIN else "note"
        yield Finding("shared", severity, message, remedy, rows=tuple(map(int, rows[:5])), count=len(rows))


@CHECKS.register("conflicts", cost="cheap", needs=("inputs", "target"))
def conflicts(examined: Examined) -> Iterator[Finding]:
    """Rows with equal inputs and another target."""
    codes = examined.equal_inputs
    for target in examined.targets:
        cells = examined.train[target.name]
        known = cells.is_valid().to_numpy(zero_copy_only=False)
        if target.kind.name == "category":
            labels, _ = codes_of(cells)
        elif target.kind.name == "number" and is_number(examined.train, target):
            labels = np.unique(values_of(cells), return_inverse=True)[1]
        else:
            continue
        rows = _in_conflict(codes, labels, known)
        if len(rows) and _expected_pairs(examined, len(codes)) <= BY_CHANCE * _pairs(codes):
            yield _conflict(rows, target.name, examined)


def _in_conflict(codes: np.ndarray, labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(R,) rows whose inputs come with several labels."""
    pairs = np.unique(np.stack([codes[known], labels[known]]), axis=1)
    values, counts = np.unique(pairs[0], return_counts=True)
    return np.flatnonzero(known & np.isin(codes, values[counts > 1]))


def _conflict(rows: np.ndarray, name: str, examined: Examined) -> Finding:
    share = len(rows) / examined.train.num_rows
    if examined.pictures:
        pairs = listed([_file_of(examined, int(row)) for row in rows], 6)
        message = f"{counted(len(rows), 'picture')} stand, byte for byte, under several values of {name}: {pairs}"
        return Finding(
            "conflicts", "warning", message, "take out the copies whose label is wrong", (name,),
            examined.numbers_of(rows, 20), len(rows),
        )  # fmt: skip
    message = (
        f"{counted(len(rows), 'row')} ({percent(share)}) have the inputs of another and a different {name}"
        f"{examined.sampled}: no network can tell them apart"
    )
    remedy = "columns that tell them apart would help"
    return Finding("conflicts", "note", message, remedy, (name,), examined.numbers_of(rows), len(rows))


def _file_of(examined: Examined, row: int) -> str:
    cell = examined.train[examined.pictures[0].name][row]
    return named(cell, *examined.numbers_of(np.array([row])))


def _later(codes: np.ndarray) -> np.ndarray:
    """(R,) rows whose code stood in an earlier row."""
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return np.flatnonzero(~first)


def _pairs(codes: np.ndarray) -> float:
    counts = np.unique(codes, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def _expected_pairs(examined: Examined, count: int, *, apart: bool = False) -> float:
    """How many pairs of rows would be equal by chance, were the columns independent of each other.

    Columns of few values, of which rows agree often, are what this is for; those of pictures or lists never agree.
    A table of one column with many values says nothing: its copies and its chance are the same.

    Args:
        examined: what is looked at.
        count: how many rows there are: training rows, or where ``apart`` rows of another part, paired with those.
        apart: whether a pair is of a training row and another.
    """
    if len(examined.words) + len(examined.block.names) < len(examined.inputs):
        return 0.0
    pairs = examined.train.num_rows * count if apart else count * (count - 1) / 2
    for codes in examined.words.values():
        pairs *= _agreement(codes)
    for column in examined.block.values.T:
        if pairs < LEAST:
            return 0.0
        pairs *= _agreement(np.unique(column, return_inverse=True)[1])
    return float(pairs)


def _agreement(codes: np.ndarray) -> float:
    """The share of pairs of rows that have the same code."""
    counts = np.unique(codes, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / max(1, len(codes) * (len(codes) - 1)))
