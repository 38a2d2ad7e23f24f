"""The type of a column of strings, decided from all of its cells."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["typed"]

BLANKS = pa.array(["", "?"])
"""Cells that are missing in any column."""

MISSING_WORDS = pa.array(["na", "n/a", "nan", "null", "none"])
"""Cells that are missing among numbers and booleans; among words they may be words (NA, Namibia)."""

INTEGER = r"^[+-]?(0|[1-9][0-9]*)$"
NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity)$"
"""Neither allows a leading zero: 00123 is a code. Arrow's own parsers take that, and 0x1F, in silence."""

TRUTHS = pa.array(["true", "false"])


def typed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column of cells the narrowest type that holds every one of them.

    Args:
        cells: strings as they stand in the file, without nulls.

    Returns:
        int64, float64, bool or, where one cell fits none of these, string; blanks around a cell are gone and
        missing cells are null.
    """
    trimmed = pc.utf8_trim_whitespace(cells)
    present = _without(trimmed, BLANKS)
    distinct = pc.unique(present).drop_null()
    is_word = pc.is_in(pc.utf8_lower(distinct), MISSING_WORDS)
    wanted = _type_of(distinct.filter(pc.invert(is_word)))
    if wanted == pa.string():
        return present
    numbers = _without(present, distinct.filter(is_word))
    try:
        return pc.utf8_ltrim(numbers, "+").cast(wanted)
    except pa.ArrowInvalid:  # an integer that int64 cannot hold; as a float it would lose its last digits
        return present


def _without(cells: pa.ChunkedArray, missing: pa.Array) -> pa.ChunkedArray:
    """Put null where a cell is one of ``missing``."""
    found = pc.is_in(cells, missing)
    if not pc.any(found).as_py():
        return cells
    return pc.if_else(found, pa.scalar(None, pa.string()), cells)


def _type_of(distinct: pa.Array) -> pa.DataType:
    """The type that holds every one of the distinct cells, none of which is missing."""
    if len(distinct) == 0:
        return pa.string()
    if _all_match(distinct, INTEGER):
        return pa.int64()
    if _all_match(distinct, NUMBER):
        return pa.float64()
    if pc.all(pc.is_in(pc.utf8_lower(distinct), TRUTHS)).as_py():
        return pa.bool_()
    return pa.string()


def _all_match(distinct: pa.Array, pattern: str) -> bool:
    # As a rule a column begins as it goes on: a few cells save matching all those of a column of words.
    few = distinct.slice(0, 100)
    return bool(
        pc.all(pc.match_substring_regex(few, pattern)).as_py()
        and pc.all(pc.match_substring_regex(distinct, pattern)).as_py()
    )
