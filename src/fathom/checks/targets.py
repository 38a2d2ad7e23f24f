"""Targets: classes that are too few, too rare, or unknown to training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import pyarrow as pa

from fathom.checks.check import CHECKS, Finding, counted, option, percent
from fathom.checks.examined import Examined, codes_of, is_number, values_of
from fathom.errors import listed
from fathom.kinds.multilabel import labels_of
from fathom.registry import Choice, Range

__all__ = ["caps", "classes", "imbalance", "unseen"]


@CHECKS.register("classes", cost="cheap", needs=("target",))
def classes(examined: Examined) -> Iterator[Finding]:
    """Targets of one class or one value, and classes of a single row."""
    for target in examined.targets:
        cells = examined.train[target.name]
        if target.kind.name == "number" and is_number(examined.train, target):
            values = values_of(cells)
            known = values[np.isfinite(values)]
            if len(known) and known.min() == known.max():
                yield _one_value(f"target {target.name} is {known[0]:g}", target.name, len(known))
        if target.kind.name != "category":
            continue
        codes, names = codes_of(cells)
        sizes = np.bincount(codes[codes >= 0], minlength=len(names))
        if len(names) == 1:
            yield _one_value(f"target {target.name} has one class, {names[0]},", target.name, int(sizes[0]))
        rare = np.flatnonzero(sizes == 1).tolist()
        if rare and len(names) > 1 and examined.sampled == "":
            told = listed([names[place] for place in rare])
            many = counted(len(rare), "class", "classes")
            message = f"{many} of {target.name} with a single row, which no score can show: {told}"
            rows = np.flatnonzero(np.isin(codes, rare))
            yield Finding(
                "classes", "warning", message, "join them to others, or take their rows out", (target.name,),
                examined.numbers_of(rows), len(rare),
            )  # fmt: skip


def _one_value(told: str, name: str, count: int) -> Finding:
    message = f"{told} in all {count:,} rows: there is nothing to learn"
    return Finding("classes", "error", message, "name another with --target", (name,), count=count)


@CHECKS.register("imbalance", cost="cheap", needs=("target",))
def imbalance(examined: Examined, *, ratio: Annotated[float, Range(1, 1e9)] = 8.0) -> Iterator[Finding]:
    """Classes of very different sizes, of which accuracy says little.

    Args:
        examined: what is looked at.
        ratio: how many times as often as the rarest class the commonest one must come.
    """
    for target in examined.targets:
        if target.kind.name != "category":
            continue
        codes, names = codes_of(examined.train[target.name])
        sizes = np.bincount(codes[codes >= 0], minlength=len(names))
        if len(names) < 2 or sizes.max() < ratio * sizes.min():
            continue
        most, least = int(sizes.argmax()), int(sizes.argmin())
        message = (
            f"{names[most]} is {percent(sizes[most] / sizes.sum())} of {target.name}, {names[least]} only "
            f"{percent(sizes[least] / sizes.sum())} ({counted(int(sizes[least]), 'row')}): look at macro_f1 and auc"
        )
        remedy = f"to make rare classes count as much, {option('head', 'classify')} --set head.class_weight=balanced"
        yield Finding("imbalance", "note", message, remedy, (target.name,), count=int(sizes[least]))


@CHECKS.register("unseen", cost="cheap", needs=("target", "parts"))
def unseen(examined: Examined) -> Iterator[Finding]:
    """Classes to be scored that no training row has."""
    for target in examined.targets:
        for part, table in examined.parts.items():
            if target.kind.name not in ("category", "multilabel") or target.name not in table.column_names:
                continue
            known = set(_classes(examined.train[target.name], target.kind)[2])
            places, codes, names = _classes(table[target.name], target.kind)
            new = [place for place, name in enumerate(names) if name not in known]
            rows = np.unique(places[np.isin(codes, new)])
            if len(rows) and examined.sampled == "":
                told = listed([names[place] for place in new])
                message = (
                    f"{counted(len(rows), 'row')} of {part} of a class of {target.name} that training lacks: {told}"
                )
                remedy = "write them as in training, or add rows of these classes to it"
                yield Finding(
                    "unseen", "warning", message, remedy, (target.name,), tuple(map(int, rows[:5])), len(rows)
                )


def _classes(cells: pa.ChunkedArray, kind: Choice) -> tuple[np.ndarray, np.ndarray, list[object]]:
    """The row and the code of each class or label that stands in a column, and what the codes are called."""
    if kind.name == "multilabel":
        labels, rows = labels_of(cells, kind.options.get("separator", "auto"))
        coded = labels.dictionary_encode()
        return rows, np.asarray(coded.indices), coded.dictionary.to_pylist()
    codes, names = codes_of(cells)
    return np.arange(len(codes)), codes, names


@CHECKS.register("caps", cost="cheap", needs=("target",))
def caps(examined: Examined, *, times: Annotated[float, Range(1, 1e9)] = 10.0) -> Iterator[Finding]:
    """Targets that pile up at their largest value, as if larger ones had been cut off.

    Args:
        examined: what is looked at.
        times: how many times as often as its neighbours the largest value must come.
    """
    for target in examined.targets:
        if target.kind.name != "number" or not is_number(examined.train, target):
            continue
        values = values_of(examined.train[target.name])
        found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
        if len(found) < 50 or counts[-1] < max(20, times * np.sort(counts[-21:-1])[-2]):
            continue
        message = (
            f"{target.name} is {found[-1]:g}, its largest value, in {counts[-1]:,} rows: larger ones may be cut off"
        )
        rows = np.flatnonzero(values == found[-1])
        yield Finding("caps", "note", message, "", (target.name,), examined.numbers_of(rows), int(counts[-1]))
