"""Whether the first row of a table of cells names its columns, and which of its columns are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.evidence import BLANKS, MISSING_WORDS
from fathom.data.numerals import UNSEEN
from fathom.errors import SourceError

__all__ = ["Asked", "Names", "check_no_header_below", "find_names", "without_surplus"]

UNSEEN_MARKS = "".join(UNSEEN)
Header = Literal["auto", "yes", "no"]
Rows = Sequence[Sequence[str]]

NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)*|[.,][0-9]+)([eE][+-]?[0-9]+)?")
LINE_BREAK = re.compile(r"\s*[\r\n]\s*")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}")
WHOLE = re.compile(r"[0-9]{1,9}")
MISSING = frozenset((*BLANKS, *MISSING_WORDS, "-"))
YEARS = range(1800, 2101)

FEWEST_ROWS_TO_RECUR = 10
RECURRING_SHARE = 0.1
INDEX_NAMES = ("", "Unnamed: 0")
"""What pandas calls the column of a frame's row labels when it writes them, and when it reads that again."""


@dataclass(frozen=True)
class Asked:
    """What was said about the names of the columns, and of the lines above them that are none of the table's."""

    header: Header = "auto"
    columns: tuple[str, ...] = ()
    skip_rows: int = 0


@dataclass(frozen=True)
class Names:
    """The names of the columns, and where they come from.

    Attributes:
        names: one for each cell of a row.
        in_file: the first row holds them, and is no data.
        notes: what a person should know of them.
        surplus: rows have one cell more than the header; the last of ``names`` stands for it and is empty.
    """

    names: tuple[str, ...]
    in_file: bool
    notes: tuple[str, ...] = ()
    surplus: bool = False


def find_names(where: str, rows: Rows, asked: Asked) -> Names:
    """Name the columns of a table.

    Args:
        where: the source, as messages call it.
        rows: the first rows of the file, one at least.
        asked: what was said about it.

    Raises:
        SourceError: the number of names that were given, or stand in the header, is not that of the cells.
    """
    first, below = rows[0], rows[1:]
    stripped = tuple(LINE_BREAK.sub(" ", cell.strip().strip(UNSEEN_MARKS).strip()) for cell in first)
    if asked.columns:
        in_file = asked.header == "yes" or (asked.header == "auto" and _holds_names(stripped, asked.columns))
        if not in_file and asked.header == "auto":
            _check_no_other_header(where, first, below)
        _check_number_of_names(where, asked.columns, below[0] if in_file and below else first)
        return Names(asked.columns, in_file)
    if asked.header == "yes" or (asked.header == "auto" and not is_data(first, below)):
        return _with_surplus(where, stripped, below)
    names = tuple(f"column_{place}" for place in range(1, len(first) + 1))
    return Names(names, False, _no_header_note(first) if asked.header == "auto" else ())


def _holds_names(row: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return row == names


def _check_no_other_header(where: str, first: Sequence[str], below: Rows) -> None:
    """Check that names were not given for a file that has other ones."""
    whole = not any(len(row) < len(first) for row in below)
    if whole and any(_is_name(cell) and _are_numbers(below, place) for place, cell in enumerate(first)):
        raise SourceError(
            f"{where}: columns names all columns, but the first row ({_told_row(first)}) looks like such; "
            "header='yes' (--header) puts yours in their place, header='no' (--no-header) reads that row as data"
        )


def _check_number_of_names(where: str, columns: Sequence[str], row: Sequence[str]) -> None:
    if len(columns) != len(row):
        raise SourceError(
            f"{where}: columns names {len(columns)} columns, the rows have {len(row)} cells; name each of them"
        )


def _no_header_note(first: Sequence[str]) -> tuple[str, ...]:
    last = f" to column_{len(first)}" if len(first) > 1 else ""
    return (
        f"the first row ({_told_row(first)}) is read as data, not as names; the columns are called column_1{last} "
        "(columns=..., on the command line --columns a,b,c, names them; header='yes', --header, if that row is names)",
    )


def _told_row(row: Sequence[str]) -> str:
    line = " ".join(", ".join(cell[:60] for cell in row[:60]).split())
    return line if len(line) <= 60 else line[:57] + "..."


# --- is the first row data? -------------------------------------------------------------------------------


def is_data(first: Sequence[str], below: Rows) -> bool:
    """Whether the first row of a file plainly is data and no header."""
    if not below or any(len(row) < len(first) for row in below):
        return False
    numbers = [place for place, cell in enumerate(first) if NUMBER.fullmatch(cell.strip())]
    over_numbers = [place for place in numbers if _are_numbers(below, place)]
    if over_numbers:
        return not _names_as_numbers([first[place].strip() for place in numbers], below, numbers) and not any(
            _is_name(cell) and _are_numbers(below, place) for place, cell in enumerate(first)
        )
    return _is_date_over_dates(first, below) or _recurs(first, below)


def _is_date_over_dates(first: Sequence[str], below: Rows) -> bool:
    return any(
        DATE.match(cell.strip()) and all(DATE.match(row[place].strip()) for row in below)
        for place, cell in enumerate(first)
    )


def _are_numbers(below: Rows, place: int) -> bool:
    present = [cell for row in below if (cell := row[place].strip()).lower() not in MISSING]
    return bool(present) and all(NUMBER.fullmatch(cell) for cell in present)


def _is_name(cell: str) -> bool:
    return cell.strip().lower() not in MISSING and not NUMBER.fullmatch(cell.strip())


def _names_as_numbers(cells: list[str], below: Rows, places: list[int]) -> bool:
    """Whether numbers in a first row are names: 0, 1, 2 as of a frame without names, or years."""
    if not all(WHOLE.fullmatch(cell) for cell in cells):
        return False
    values = [int(cell) for cell in cells]
    ascending = all(after > before for before, after in pairwise(values))
    if ascending and all(value in YEARS for value in values):
        return not all(_are_years(below, place) for place in places)
    consecutive = all(after == before + 1 for before, after in pairwise(values))
    return len(values) > 1 and consecutive and (len(values) > 2 or values[0] in (0, 1))


def _are_years(below: Rows, place: int) -> bool:
    return all(WHOLE.fullmatch(row[place].strip()) and int(row[place]) in YEARS for row in below)


def _recurs(first: Sequence[str], below: Rows) -> bool:
    """Whether a cell of the first row recurs in its column, as that of a class does and a name does not."""
    if len(first) < 2 or len(below) < FEWEST_ROWS_TO_RECUR or any(not cell.strip() for cell in first):
        return False
    if any(list(row) == list(first) for row in below) or any(_are_numbers(below, place) for place in range(len(first))):
        return False
    least = RECURRING_SHARE * len(below)
    return any(sum(row[place] == cell for row in below) > least for place, cell in enumerate(first))


# --- columns that are none --------------------------------------------------------------------------------


def _with_surplus(where: str, names: tuple[str, ...], below: Rows) -> Names:
    """A header over rows that all have one cell more, which is nothing where it is empty."""
    if not below or any(len(row) != len(names) + 1 for row in below):
        return Names(names, True)
    if all(not row[-1].strip() for row in below):
        return Names((*names, ""), True, surplus=True)
    if len(below) == 1 or len(names) == 1:
        return Names(names, True)  # one row proves nothing, and one name may be a title: told as uneven
    raise SourceError(
        f"{where}: each row has {len(names) + 1} cells, the header {len(names)}; R writes row names so, "
        f"and so do cells that hold a delimiter without double quotes around: {_told_row(below[0])!r}; mend them, or "
        "add the first name to the header, or hand all names in (columns=..., header='yes')"
    )


def without_surplus(where: str, names: Names, cells: pa.Table) -> tuple[Names, pa.Table]:
    """Leave columns out that have no name and no values, and row labels that pandas or R wrote.

    Args:
        where: the source, as messages call it.
        names: of the columns, as they stand in the file.
        cells: all cells as strings.

    Raises:
        SourceError: the header is one name short.
    """
    if names.surplus:
        _check_surplus_empty(where, cells.columns[-1], cells.num_columns - 1)
    dropped = {
        place: f"column {place + 1} has no name and no values; it is left out"
        for place, name in enumerate(names.names)
        if not name and is_empty(cells.column(place))
    }
    if 0 not in dropped and _numbers_rows(names, cells):
        dropped[0] = "the first column numbers the rows (as pandas and R write them); it is left out"
    if not dropped or len(dropped) == len(names.names):
        return names, cells
    kept = [place for place in range(len(names.names)) if place not in dropped]
    left = tuple(names.names[place] for place in kept)
    return Names(left, names.in_file, (*names.notes, *_told_dropped(dropped))), cells.select(kept)


def _numbers_rows(names: Names, cells: pa.Table) -> bool:
    is_named_so = names.in_file and len(names.names) > 1 and names.names[0] in INDEX_NAMES
    return is_named_so and is_index(cells.column(0))


def _told_dropped(dropped: dict[int, str]) -> list[str]:
    told = list(dropped.values())
    return told if len(told) <= 3 else [f"{len(told)} columns without a name and values are left out"]


def _check_surplus_empty(where: str, column: pa.ChunkedArray, width: int) -> None:
    row = pc.index(pc.not_equal(pc.utf8_trim_whitespace(column), ""), True).as_py()
    if row >= 0:
        raise SourceError(
            f"{where}: row {row + 1} below the header has {width + 1} cells, the header {width}: "
            f"{column[row].as_py()[:60]!r} stands beyond its last name; mend the row, or name the column in the header"
        )


def is_empty(column: pa.ChunkedArray) -> bool:
    """Whether no cell of a column holds anything."""
    few = column.slice(0, 10)
    return all(pc.all(pc.equal(pc.utf8_trim_whitespace(part), "")).as_py() is not False for part in (few, column))


def is_index(column: pa.ChunkedArray) -> bool:
    """Whether the cells of a column count the rows, from 0 or from 1."""
    if (
        len(column) < 2
        or column[0].as_py() not in ("0", "1")
        or not pc.all(pc.match_substring_regex(column, r"^[0-9]{1,18}$")).as_py()
    ):
        return False
    numbers = column.cast(pa.int64()).to_numpy()
    return bool((numbers == np.arange(len(numbers)) + numbers[0]).all())


def check_no_header_below(where: str, header: Sequence[str], cells: pa.Table) -> None:
    """Check that the header does not stand among the rows again, as in files that were put together.

    Args:
        where: the source, as messages call it.
        header: its cells, as they stand in the file.
        cells: all cells below it.

    Raises:
        SourceError: it does; names the row.
    """
    if cells.num_columns < 2 or not any(header):
        return
    same = pc.equal(cells.column(0), header[0])
    for place in range(1, len(header)):
        if not pc.any(same).as_py():
            return
        same = pc.and_(same, pc.equal(cells.column(place), header[place]))
    count = pc.sum(same).as_py()
    if count:
        row = pc.index(same, True).as_py() + 1
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise SourceError(
            f"{where}: row {row} below the header{more} is the header again, as in files put together; take it out"
        )
