"""Columns that hold too little: identifiers, constants, missing and infinite values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.checks.check import CHECKS, Finding, counted, option, percent, without
from fathom.checks.examined import Examined
from fathom.errors import listed
from fathom.inference import CONSTANT, IDENTIFIER, NO_VALUE
from fathom.registry import Range
from fathom.signals import Role

__all__ = ["constants", "identifiers", "infinite", "missing"]

FEWEST_ROWS = 20


@CHECKS.register("identifiers", cost="cheap", needs=())
def identifiers(examined: Examined) -> Iterator[Finding]:
    """Columns that name a row: left out already, or numbered from row to row."""
    ignored = [column for column in examined.schema.of_role(Role.IGNORE) if column.reason.startswith(IDENTIFIER)]
    if ignored:
        names = tuple(column.name for column in ignored)
        message = f"left out, as they name rows or hold free text: {listed(names)}"
        yield Finding("identifiers", "note", message, f"to use one, {option('role', f'{names[0]}=input')}", names)
    block = examined.block
    if examined.train.num_rows < FEWEST_ROWS:
        return
    steps = np.diff(block.values, axis=0)
    counting = (steps[:1] != 0).all(axis=0) & (steps == steps[:1]).all(axis=0)
    for name in np.array(block.names)[counting]:
        message = f"{name} grows by the same from row to row: it numbers the rows, and says nothing of a new one"
        yield Finding("identifiers", "note", message, f"{without([name])}, or {option('time', name)}", (str(name),))


@CHECKS.register("constants", cost="cheap", needs=())
def constants(examined: Examined) -> Iterator[Finding]:
    """Columns that hold one value, or none."""
    left_out = examined.schema.of_role(Role.IGNORE)
    ignored = [column.name for column in left_out if column.reason in (CONSTANT, NO_VALUE)]
    if ignored:
        yield Finding(
            "constants", "note", f"left out, as they hold one value or none: {listed(ignored)}", "", tuple(ignored)
        )
    values = examined.block.values
    with np.errstate(invalid="ignore"):
        same = (np.fmin.reduce(values, axis=0) == np.fmax.reduce(values, axis=0)) & ~np.isnan(values).any(axis=0)
    words = [name for name, codes in examined.words.items() if (codes == codes[0]).all()]
    names = [*np.array(examined.block.names)[same].tolist(), *words]
    if names:
        message = f"the same in every row to learn from: {listed(names)}"
        yield Finding("constants", "warning", message, without(names), tuple(names))


@CHECKS.register("missing", cost="cheap", needs=("inputs",))
def missing(
    examined: Examined, *, column: Annotated[float, Range(0, 1)] = 0.5, row: Annotated[float, Range(0, 1)] = 0.5
) -> Iterator[Finding]:
    """Columns and rows that are mostly empty.

    Args:
        examined: what is looked at.
        column: the share of missing cells from which a column is told.
        row: the share of missing cells from which a row is told.
    """
    count = examined.train.num_rows
    shares = {name: float(empty.mean()) for name, empty in examined.missing.items()}
    names = [name for name, share in sorted(shares.items(), key=lambda pair: -pair[1]) if share >= column]
    if names:
        told = listed([f"{name} ({percent(shares[name])})" for name in names])
        yield Finding("missing", "note", f"mostly empty: {told}", f"to leave them out, {without(names)}", tuple(names))
    empty = sum((mask.astype(np.int64) for mask in examined.missing.values()), np.zeros(count, np.int64))
    rows = np.flatnonzero(empty > row * len(examined.inputs)) if len(examined.inputs) > 2 else np.empty(0, np.int64)
    if len(rows) and len(rows) < count / 2:
        message = f"{counted(len(rows), 'row')} with more than {percent(row)} of the inputs missing{examined.sampled}"
        yield Finding("missing", "note", message, "", rows=examined.numbers_of(rows), count=len(rows))


@CHECKS.register("infinite", cost="cheap", needs=("inputs",))
def infinite(examined: Examined) -> Iterator[Finding]:
    """Infinite numbers."""
    numbers = [*examined.inputs, *examined.targets]
    for column in numbers:
        cells = examined.train[column.name]
        flat = _flat(cells)
        if flat is None:
            continue
        places = pc.is_inf(flat)
        count = pc.sum(places).as_py() or 0
        if count:
            rows = np.flatnonzero(places.to_numpy()) if flat is cells else np.empty(0, np.int64)
            message = f"{column.name} holds {counted(count, 'infinite number')}, taken as missing{examined.sampled}"
            yield Finding("infinite", "warning", message, "", (column.name,), examined.numbers_of(rows), count)


def _flat(cells: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The numbers with a point of a column, or of the lists in it."""
    if pa.types.is_list(cells.type) or pa.types.is_fixed_size_list(cells.type):
        cells = pc.list_flatten(cells)
    return cells if pa.types.is_floating(cells.type) else None
