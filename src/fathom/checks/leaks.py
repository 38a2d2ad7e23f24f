"""Columns that give the target away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from fathom.checks.check import CHECKS, Finding, counted, percent, without
from fathom.checks.examined import Examined, codes_of, is_number, values_of
from fathom.checks.tables import binned, explained, hits_in_blocks, hits_of, ranks, reduction
from fathom.errors import listed
from fathom.registry import Range
from fathom.schema import Column

__all__ = ["leaking", "leaks"]

FEWEST_ROWS = 30
FEWEST_UNUSUAL = 20
"""Rows outside of the usual class: with fewer, one column of many may tell them by chance."""
FEW_VALUES = 20
ROWS_A_VALUE = 20
STANDS_OUT, OTHERS = 0.4, 3
"""A column stands out where so many others each tell so little."""
ALL = {"few": 0.9, "many": 0.97, "number": 0.95}
"""From here on a column gives the target away. Measures tell classes well by nature (petal width: 0.94 of iris), so
that a column of many values has to tell all but all; one of few values, which was written down by someone, less."""

PURE, OFTEN, RARELY = 0.85, 0.05, 0.6
"""One value gives a class away where its rows are of that class, but for 1 - PURE of the errors that naming it of every
row makes; where it stands in OFTEN of the rows at least, and that class in RARELY of them at most."""

Sort = Literal["few", "many", "missing"]


@dataclass(frozen=True)
class Telling:
    """How much one column tells of a target, by its values or by being missing."""

    name: str
    skill: float
    sort: Sort


@CHECKS.register("leaks", cost="cheap", needs=("inputs", "target"))
def leaks(
    examined: Examined,
    *,
    classes: Annotated[float, Range(0, 1)] = 0.7,
    numbers: Annotated[float, Range(0, 1)] = 0.8,
    missing: Annotated[float, Range(0, 1)] = 0.5,
) -> Iterator[Finding]:
    """Columns that alone tell most of the target, which are often known only after it.

    A leak cannot be told from a good column by its values, so it is kept, and asked about.

    Args:
        examined: what is looked at.
        classes: the share of the errors of the trivial answer that a column must avoid, where the target is a category.
        numbers: the share of the variance of the target's ranks that a column must explain.
        missing: the same share, where it is told by whether the column is missing alone.
    """
    for target in examined.targets:
        tellings = sorted(_tellings(examined, target), key=lambda telling: -telling.skill)
        least = numbers if target.kind.name == "number" else classes
        found = _suspected(tellings, least, missing, of_classes=target.kind.name == "category")
        everything, most = _graded(found, of_classes=target.kind.name == "category")
        if everything:
            yield _finding(everything, target, "nearly all", examined)
        if most:
            yield _finding(most, target, "most", examined)
        if target.kind.name == "category":
            yield from _one_sided(examined, target, set(found))


def leaking(examined: Examined, target: Column) -> set[str]:
    """The columns that alone tell most of a target."""
    options = {name: option.default for name, option in CHECKS.get("leaks").options.items()}
    least = options["numbers" if target.kind.name == "number" else "classes"]
    tellings = sorted(_tellings(examined, target), key=lambda telling: -telling.skill)
    return set(_suspected(tellings, least, options["missing"], of_classes=target.kind.name == "category"))


def _tellings(examined: Examined, target: Column) -> Iterator[Telling]:
    cells = examined.train[target.name]
    known = cells.is_valid().to_numpy(zero_copy_only=False)
    if known.sum() < FEWEST_ROWS:
        return
    if target.kind.name == "category":
        codes, _ = codes_of(cells)
        yield from _of_classes(examined, known, codes[known])
    elif target.kind.name == "number" and is_number(examined.train, target):
        values = values_of(cells)
        known &= np.isfinite(values)
        yield from _of_numbers(examined, known, ranks(values[known]))


def _of_classes(examined: Examined, known: np.ndarray, classes: np.ndarray) -> Iterator[Telling]:
    num_classes = int(classes.max()) + 1
    if len(classes) - np.bincount(classes).max() < FEWEST_UNUSUAL:
        return
    block = examined.block
    for places, codes, distinct, size in binned(block.values[known]):
        skills = reduction(hits_in_blocks(codes, size, classes, num_classes), classes)
        for name, skill, values in zip(block.names[places], skills, distinct, strict=True):
            yield Telling(name, float(skill), _sort(int(values), len(classes)))
    for name, sort, codes in _coded(examined, known):
        yield Telling(name, float(reduction(np.array(hits_of(codes, classes)), classes)), sort)


def _of_numbers(examined: Examined, known: np.ndarray, target: np.ndarray) -> Iterator[Telling]:
    block = examined.block
    for places, codes, distinct, size in binned(block.values[known]):
        skills = explained(codes, size, target)
        for name, skill, values in zip(block.names[places], skills, distinct, strict=True):
            yield Telling(name, float(skill), _sort(int(values), len(target)))
    for name, sort, codes in _coded(examined, known):
        yield Telling(name, float(explained(codes[:, None], int(codes.max()) + 1, target)[0]), sort)


def _coded(examined: Examined, known: np.ndarray) -> Iterator[tuple[str, Sort, np.ndarray]]:
    """Columns of values that are no numbers, and whether a column is missing, as (N,) int64 codes.

    A time tells of what grows; it is known beforehand, and only its being missing may tell too much.
    """
    kinds = {column.name: column.kind.name for column in examined.inputs}
    for name, codes in examined.words.items():
        if kinds[name] != "datetime":
            codes = codes[known] + 1
            yield name, _sort(len(np.unique(codes)), len(codes)), codes
    for name, missing in examined.missing.items():
        yield name, "missing", missing[known].astype(np.int64)


def _sort(distinct: int, count: int) -> Sort:
    return "few" if distinct <= min(FEW_VALUES, count / ROWS_A_VALUE) else "many"


def _suspected(tellings: list[Telling], least: float, missing: float, *, of_classes: bool) -> dict[str, Telling]:
    """By column, what tells more than a column should.

    Of a category, a column of many values is suspected only where it tells all but all, or stands out from all those
    that are not suspected.
    """
    found: dict[str, Telling] = {}
    for telling in tellings:
        enough = missing if telling.sort == "missing" else least
        if of_classes and telling.sort == "many":
            enough = ALL["many"]
        if telling.skill >= enough:
            found.setdefault(telling.name, telling)
    usual = [telling.skill for telling in tellings if telling.name not in found and telling.skill < least]
    outstanding = [telling for telling in tellings if telling.name not in found and telling.skill >= least]
    if len(usual) >= OTHERS * len(outstanding) and max(usual, default=1.0) <= STANDS_OUT:
        found |= {telling.name: telling for telling in outstanding}
    return found


def _graded(found: dict[str, Telling], *, of_classes: bool) -> tuple[list[Telling], list[Telling]]:
    everything: list[Telling] = []
    most: list[Telling] = []
    for telling in found.values():
        enough = ALL["few" if telling.sort == "missing" else telling.sort] if of_classes else ALL["number"]
        (everything if telling.skill >= enough else most).append(telling)
    return everything, most


def _finding(tellings: list[Telling], target: Column, much: str, examined: Examined) -> Finding:
    names = [telling.name for telling in tellings]
    by = {"few": "", "many": "", "missing": "being missing or not, "}
    shown = [f"{telling.name} ({by[telling.sort]}{percent(telling.skill)})" for telling in tellings]
    each = "alone tells" if len(names) == 1 else "each alone tell"
    message = f"{listed(shown)} {each} {much} of {target.name}{examined.sampled}: known before {target.name} is?"
    return Finding("leaks", "warning", message, f"if not, {without(names)}", tuple(names), count=examined.total)


def _one_sided(examined: Examined, target: Column, found: set[str]) -> Iterator[Finding]:
    """Columns of which one value comes with one class alone, though the others say little."""
    classes, names = codes_of(examined.train[target.name])
    known = classes >= 0
    classes = classes[known]
    if len(classes) < FEWEST_ROWS:
        return
    base = np.bincount(classes, minlength=len(names)) / len(classes)
    told: dict[str, tuple[int, int, float]] = {}
    for name, codes in _few_codes(examined, known):
        if name not in found and (pure := _pure_value(codes, classes, base)) is not None:
            told.setdefault(name, pure)
    if told:
        words = [
            f"{name} ({percent(share)} {names[label]} in {counted(rows, 'row')})"
            for name, (rows, label, share) in told.items()
        ]
        message = f"one value comes nearly always with one class of {target.name}: {listed(words)}; known beforehand?"
        yield Finding("leaks", "note", message, f"if not, {without(list(told))}", tuple(told), count=examined.total)


def _few_codes(examined: Examined, known: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for name, missing in examined.missing.items():
        yield name, missing[known].astype(np.int64)
    for name, codes in examined.words.items():
        if codes.max() < FEW_VALUES:
            yield name, codes[known] + 1
    for name, column in zip(examined.block.names, examined.block.values.T, strict=True):
        values, codes = np.unique(column[known][:FEWEST_ROWS], return_inverse=True)
        if len(values) < FEW_VALUES:
            values, codes = np.unique(column[known], return_inverse=True)
            if len(values) < FEW_VALUES:
                yield name, codes


def _pure_value(codes: np.ndarray, classes: np.ndarray, base: np.ndarray) -> tuple[int, int, float] | None:
    """In how many rows a value stands that comes with one class alone, which class that is, and its share of them."""
    table = np.bincount(codes * len(base) + classes, minlength=(codes.max() + 1) * len(base)).reshape(-1, len(base))
    sizes = table.sum(axis=1)
    label = table.argmax(axis=1)
    share = table.max(axis=1) / np.maximum(1, sizes)
    lifted = (share - base[label]) / np.maximum(1e-9, 1 - base[label])
    pure = (lifted >= PURE) & (base[label] <= RARELY) & (sizes >= OFTEN * len(codes)) & (sizes >= FEWEST_ROWS)
    if not pure.any():
        return None
    place = int(np.argmax(np.where(pure, sizes, 0)))
    return int(sizes[place]), int(label[place]), float(share[place])
