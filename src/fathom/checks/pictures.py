"""Pictures that cannot be read, are of one colour, or far smaller than the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from fathom.checks.check import CHECKS, Finding, counted
from fathom.checks.examined import Examined
from fathom.checks.thumbnails import MOST_PICTURES, Thumbnails
from fathom.errors import listed

__all__ = ["named", "pictures"]

TINY = 8
"""Pixels a side below which nothing can be made out, where the others are much larger."""


def seconds_for(examined: Examined) -> float:
    """About how long the check takes."""
    rows = sum(min(MOST_PICTURES, table.num_rows) for table in (examined.train, *examined.parts.values()))
    return rows * len(examined.pictures) * 4e-4


@CHECKS.register("pictures", cost="thorough", seconds=seconds_for, needs=("pictures",))
def pictures(examined: Examined) -> Iterator[Finding]:
    """Pictures that cannot be read, of one colour, or too small to show anything."""
    for column in examined.pictures:
        for part, table in {"train": examined.train, **examined.parts}.items():
            if column.name not in table.column_names:
                continue
            seen = examined.thumbnails(part, column.name)
            for rows, fault, remedy in _faults(seen):
                if len(rows):
                    yield _finding(table, column.name, part, rows, seen.step, fault, remedy)


def _faults(seen: Thumbnails) -> Iterator[tuple[np.ndarray, str, str]]:
    """Rows, what is wrong with their pictures, and what to do."""
    height = seen.sizes[:, 0]
    readable = height > 0
    sides = seen.sizes.min(axis=1)
    usual = np.median(sides[readable]) if readable.any() else 0
    tiny = readable & (sides < TINY) & (sides * 4 < usual)
    yield seen.rows[height == 0], "cannot be read", "put whole ones there, or take them out"
    yield seen.rows[seen.blank], "of one colour from side to side", "if that is a mistake, take them out"
    yield seen.rows[tiny], f"of less than {TINY} pixels a side", "put larger ones there, or take them out"


def _finding(table: pa.Table, name: str, part: str, rows: np.ndarray, step: int, fault: str, remedy: str) -> Finding:
    where = "" if part == "train" else f" of {part}"
    looked = "" if step == 1 else f" (of one in {step} looked at)"
    files = listed([named(table[name][int(row)], int(row)) for row in rows[:100]], 3)
    message = f"{counted(len(rows), 'picture')}{where}{looked} {fault}: {files}"
    return Finding("pictures", "warning", message, remedy, (name,), tuple(map(int, rows[:5])), len(rows))


def named(cell: pa.Scalar, row: int) -> str:
    """The last two parts of the path of a picture, or the row's number."""
    value = cell.as_py() if pa.types.is_struct(cell.type) or pa.types.is_string(cell.type) else None
    path = value["path"] if isinstance(value, dict) else value
    return "/".join(str(path).split("/")[-2:]) if path else f"row {row}"
