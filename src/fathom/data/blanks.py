"""Tables without a mark between their cells: divided by blanks, aligned by them, or with each row in quotes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fathom.data.header import MISSING, NUMBER, Asked
from fathom.data.numerals import FORMS
from fathom.errors import SourceError

__all__ = ["BLANK", "are_cut_by_blanks", "check_no_hidden_columns", "with_single_blanks"]

BLANK = " "
"""The delimiter of a table that is divided by any number of blanks and tabs."""

QUOTED_OR_BLANKS = re.compile(r'("(?:[^"]|"")*")|[ \t]+')
INNER_GAP = re.compile(r"\S {2,}\S")
GROUPED = re.compile(FORMS["blank groups"])
EVEN_SHARE = 0.9
FEWEST_MARKS = 2


def with_single_blanks(line: str) -> str:
    """A line with one blank between its cells; what stands in quotes stays as it is."""
    end = "\n" if line.endswith(("\n", "\r")) else ""
    return QUOTED_OR_BLANKS.sub(lambda found: found[1] or BLANK, line).strip() + end


def are_cut_by_blanks(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows, cut at blanks, are those of a table and not sentences: even, and numbers for the most part.

    Args:
        rows: the first ones; the header may be among them, or be one cell short, as R writes it.
    """
    if len(rows) < 2:
        return False
    header, below = rows[0], rows[1:]
    ((width, count),) = Counter(map(len, below)).most_common(1)
    if width < 2 or count < EVEN_SHARE * len(below) or len(header) not in (width, width - 1):
        return False
    even = [row for row in below if len(row) == width]
    numbers = sum(all(_is_number(row[place]) for row in even) for place in range(width))
    return 2 * numbers > width and not all(GROUPED.match(BLANK.join(row)) for row in even)


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None or cell.lower() in MISSING


def check_no_hidden_columns(place: Path, lines: Sequence[str], asked: Asked, marks: Sequence[str]) -> None:
    """Check that lines that no mark divides are not rows of several columns after all.

    Args:
        place: of the file.
        lines: the first ones that are not blank, of one cell each.
        asked: a single name says that it is one column.
        marks: that divide cells.

    Raises:
        SourceError: they are.
    """
    if len(lines) < 2 or len(asked.columns) == 1:
        return
    one = "columns=('text',), header='yes' (--columns text --header) reads it as one column"
    if are_quoted_whole(lines, marks):
        raise SourceError(f"{place}: each row stands in quotes as a whole; take the outer quotes away, or {one}")
    if are_aligned(lines):
        raise SourceError(
            f"{place}: columns aligned by blanks are not read; save the table as CSV (pandas.read_fwf reads it), "
            f"or {one}"
        )


def are_quoted_whole(lines: Sequence[str], marks: Sequence[str]) -> bool:
    """Whether each line is one cell in quotes that as many marks divide."""
    stripped = [line.strip() for line in lines]
    if not all(len(line) > 1 and line[0] == line[-1] == '"' for line in stripped):
        return False
    return any(
        len(counts := {line.count(mark) for line in stripped}) == 1 and min(counts) >= FEWEST_MARKS for mark in marks
    )


def are_aligned(lines: Sequence[str]) -> bool:
    """Whether in each line two blanks or more stand between words."""
    return all(INNER_GAP.search(line) for line in lines)
