"""The type of a column of strings, decided from all of its cells.

The evidence of blocks of cells merges, so that a table may be read block by block: ``typed(cells)`` is
``cast(cells, decide(evidence(cells)))``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.evidence import BLANKS, MOST_OTHERS, SOME_NUMBERS, Evidence, evidence, merge
from fathom.data.numerals import PROVES_COMMA, PROVES_POINT, Marks, fraction_mark, marks_of, plain_digits, trimmed

__all__ = ["ColumnType", "Evidence", "as_it_stands", "cast", "decide", "evidence", "file_mark", "merge", "typed"]

TRUE_WORDS = ("true", "yes", "1")

PLAIN = Marks()
FEWEST_NUMBERS = SOME_NUMBERS
BAD_SHARES = ((5, 0.9), (MOST_OTHERS, 0.99))
"""So many different words at most among the cells, where at least this share of those present are numbers: then the
words are mistakes, and not codes or classes (3+ beside 0, 1 and 2). Tried on some thirty clean sets."""


@dataclass(frozen=True)
class ColumnType:
    """What a column is decided to be, and how its cells become that.

    Attributes:
        sort: of the values.
        missing: cells that are null, without the blanks around them.
        marks: how numbers are written.
        padded: blanks around cells are to go.
        plus: plus signs are to go.
        notes: what a person should know: what is done, and what shows it.
        refused: a cell that stops the reading, and why it does, where one does.
        missing_settles: to read that cell as missing would settle it.
        decimal_settles: to tell what begins a fraction would settle it.
    """

    sort: Literal["text", "integer", "number", "boolean"] = "text"
    missing: tuple[str, ...] = BLANKS
    marks: Marks = PLAIN
    padded: bool = True
    plus: bool = False
    notes: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, str] | None = None
    missing_settles: bool = False
    decimal_settles: bool = False


def typed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column of cells the narrowest type that holds every one of them.

    Args:
        cells: strings as they stand in the file, without nulls.

    Returns:
        int64, float64, bool or, where one cell fits none of these, string; blanks around a cell are gone and
        missing cells are null.
    """
    return cast(cells, decide(evidence(cells)))


def as_it_stands(missing: Iterable[str] = ()) -> ColumnType:
    """The type of a column that was said to be text: only an empty cell is missing, and the words said to be."""
    return ColumnType(missing=("", *missing), padded=False)


# --- deciding ---------------------------------------------------------------------------------------------


def file_mark(columns: Iterable[Evidence]) -> str | None:
    """What stands before the fractions of a file, as its columns of numbers prove: a comma or a point.

    Returns:
        None where no column proves anything, or one proves this and one that.
    """
    proven = {_proven_mark(found) for found in columns if found.num_numbers and not found.words and not found.others}
    proven.discard(None)
    return proven.pop() or None if len(proven) == 1 else None


def _proven_mark(found: Evidence) -> str | None:
    return fraction_mark(found.forms, points_may_group=found.points_may_group)


def decide(found: Evidence, mark: str | None = ".") -> ColumnType:
    """The narrowest type that holds every cell.

    Args:
        found: the evidence of all cells.
        mark: what stands before fractions, where the cells themselves leave it open; None where that is unknown.
    """
    always = tuple(dict.fromkeys((*BLANKS, *found.asked)))
    if found.words:
        return ColumnType(missing=always)
    base = ColumnType(missing=tuple(word for word in always if word in found.missing), padded=found.padded)
    if _is_boolean(found):
        return replace(_with_missing(base, found, _boolean_notes(found)), sort="boolean")
    odd = {**found.others, **found.truths}
    if not found.forms:
        return base
    if odd:
        return _with_bad_cell(base, found, odd) if _plainly_numbers(found, odd) else base
    if "zero" in found.forms:
        return replace(base, notes=_code_notes(found))
    return _numbers(base, found, mark)


def _with_missing(base: ColumnType, found: Evidence, notes: tuple[tuple[str, str], ...]) -> ColumnType:
    """With the words that mean missing among numbers and booleans."""
    if found.marks:
        cells = ", ".join(f"{word!r} in {_cells(count)}" for word, count in found.marks.items())
        notes += (("read as missing", cells),)
    words = dict.fromkeys((*base.missing, *found.missing, *found.marks))
    return replace(base, missing=tuple(words), notes=base.notes + notes)


def _code_notes(found: Evidence) -> tuple[tuple[str, str], ...]:
    return (("kept as text, since a zero leads as in codes", found.examples["zero"]),)


def _cells(count: int) -> str:
    return f"{count:,} cell{'s' if count != 1 else ''}"


def _is_boolean(found: Evidence) -> bool:
    """True and false, or a mixture of spellings of truth; yes and no are words, while each is spelled in one way."""
    if not found.truths or found.others or any(form != "bit" for form in found.forms):
        return False
    different = {word.lower() for word in found.truths}
    return bool(found.forms) or not different.isdisjoint(("true", "false")) or len(different) < len(found.truths)


def _boolean_notes(found: Evidence) -> tuple[tuple[str, str], ...]:
    different = {word.lower() for word in found.truths}
    if len(different) == len(found.truths) and not found.forms and different <= {"true", "false"}:
        return ()
    spellings = [*found.truths, *(["0 and 1"] if found.forms else [])]
    return (("several spellings are read as true and false", ", ".join(spellings)),)


# --- numbers ----------------------------------------------------------------------------------------------


def _plainly_numbers(found: Evidence, odd: Mapping[str, int]) -> bool:
    """Whether words in a column plainly are mistakes among numbers."""
    if "zero" in found.forms or len(found.numbers) < FEWEST_NUMBERS:
        return False
    share = found.num_numbers / (found.num_numbers + sum(odd.values()))
    return any(len(odd) <= most and share >= least for most, least in BAD_SHARES)


def _with_bad_cell(base: ColumnType, found: Evidence, odd: Mapping[str, int]) -> ColumnType:
    cell, *rest = odd
    nor = f", nor {'are' if len(rest) > 1 else 'is'} {', '.join(repr(word[:40]) for word in rest[:3])}" if rest else ""
    more = f" and {len(rest) - 3} more" if len(rest) > 3 else ""
    why = f"is no number, as {found.num_numbers:,} other cells of the column are{nor}{more}"
    return replace(base, refused=(cell, why), missing_settles=True)


def _numbers(base: ColumnType, found: Evidence, mark: str | None) -> ColumnType:
    forms = found.forms.keys() - {"infinite"}
    proven = _proven_mark(found)
    two_ways = _two_ways(found, proven)
    if two_ways:
        return _in_two_ways(base, found, two_ways)
    if proven is None and mark is None and "comma" in forms:
        cell = found.examples["comma"]
        why = f"is {cell.replace(',', '')} or {cell.replace(',', '.')}, and nothing in the file tells which"
        return replace(base, refused=(cell, why), decimal_settles=True)
    marks = marks_of(forms, proven or mark or ".", signs="" not in found.signs and bool(forms))
    if marks.whole and "long" in forms:
        return replace(base, notes=(("kept as text, being beyond 64 bits", found.examples["long"]),))
    whole = marks.whole and "infinite" not in found.forms
    base = _with_missing(base, found, _number_notes(found, marks))
    return replace(base, sort="integer" if whole else "number", marks=marks, plus=found.plus)


def _two_ways(found: Evidence, proven: str | None) -> tuple[str, ...]:
    """Two cells of which one is written in another way than the other, where there are such."""
    if len(found.signs) > 1:
        return tuple(found.signs.values())[:2]
    forms = found.forms.keys()
    if proven == "":
        commas, points = forms & PROVES_COMMA, forms & {*PROVES_POINT, "decimal"}
        return found.examples[min(commas)], found.examples[min(points)]
    if proven is None and {"comma", "decimal"} <= forms:
        return found.examples["comma"], found.examples["decimal"]
    return ()


def _in_two_ways(base: ColumnType, found: Evidence, cells: tuple[str, ...]) -> ColumnType:
    first, second = cells
    if len(found.numbers) >= FEWEST_NUMBERS:
        return replace(base, refused=(first, f"writes a number in another way than {second!r} in the same column"))
    return replace(base, notes=(("kept as text, being numbers written in two ways", f"{first}, {second}"),))


def _number_notes(found: Evidence, marks: Marks) -> tuple[tuple[str, str], ...]:
    notes = []
    if marks.point == "," and not marks.whole:
        shows = [form for form in found.forms if form.endswith(("comma", "fraction"))]
        notes.append(("read as numbers with decimal commas", found.examples[shows[0]]))
    if marks.groups:
        shows = [form for form in found.forms if "groups" in form or form in ("comma", "decimal")]
        notes.append(("read as numbers with digits in groups", found.examples[shows[0]]))
    if marks.signs:
        notes.append(("read as numbers without the sign beside them", next(iter(found.signs.values()))))
    if "infinite" in found.forms:
        notes.append(("infinite numbers are read as missing", _cells(found.forms["infinite"])))
    return tuple(notes)


# --- casting ----------------------------------------------------------------------------------------------


def cast(cells: pa.ChunkedArray, found: ColumnType) -> pa.ChunkedArray:
    """The values of cells of a column whose type is decided.

    Args:
        cells: strings as they stand in the file, without nulls: those that the decision rests on, or a block of them.
        found: the decision.
    """
    if found.padded:
        cells = _trimmed(cells)
    if found.missing:
        cells = _without(cells, pa.array(found.missing))
    if found.sort == "text":
        return cells
    if found.sort == "boolean":
        return pc.if_else(pc.is_valid(cells), pc.is_in(pc.utf8_lower(cells), pa.array(TRUE_WORDS)), None)
    if found.plus:
        cells = pc.utf8_ltrim(cells, "+")
    cells = plain_digits(cells, found.marks)
    if found.sort == "integer":
        return cells.cast(pa.int64())
    numbers = cells.cast(pa.float64())
    infinite = pc.is_inf(numbers)
    return pc.if_else(infinite, None, numbers) if pc.any(infinite).as_py() else numbers


def _trimmed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    return trimmed(cells)


def _without(cells: pa.ChunkedArray, missing: pa.Array) -> pa.ChunkedArray:
    """Put null where a cell is one of ``missing``."""
    found = pc.is_in(cells, missing)
    if not pc.any(found).as_py():
        return cells
    return pc.if_else(found, pa.scalar(None, pa.string()), cells)
