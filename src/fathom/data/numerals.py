"""How people write numbers: whole, with a decimal comma, in groups of three, beside a percent or currency sign."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "AFFIXED",
    "DECIMAL",
    "FORMS",
    "INTEGER",
    "LIKE_A_GROUP",
    "Marks",
    "fraction_mark",
    "marks_of",
    "plain_digits",
    "sign_of",
    "trimmed",
    "without_sign",
]

INTEGER = r"^[+-]?(0|[1-9][0-9]*)$"
DECIMAL = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""Neither allows a leading zero: 00123 is a code. Arrow's own parsers take that, and 0x1F, in silence."""

LIKE_A_GROUP = r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$|^[+-]?(0|[1-9][0-9]*)$"
"""A plain number whose point, if it has one, may as well divide groups of digits."""

GROUP_BLANKS = " \u00a0\u202f\u2009'’"
"""What else stands between groups of three digits: blanks that break and that do not, and the Swiss apostrophe."""

FORMS = {
    "comma": r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$",
    "comma groups": r"^[+-]?[1-9][0-9]{0,2}(,[0-9]{2,3}){1,4},[0-9]{3}$",
    "comma groups, fraction": r"^[+-]?[1-9][0-9]{0,2}(,[0-9]{2,3}){0,4},[0-9]{3}\.[0-9]*$",
    "decimal comma": r"^[+-]?(0|[1-9][0-9]*)?,[0-9]+([eE][+-]?[0-9]+)?$",
    "point groups": r"^[+-]?[1-9][0-9]{0,2}(\.[0-9]{3}){2,5}$",
    "point groups, fraction": r"^[+-]?[1-9][0-9]{0,2}(\.[0-9]{3}){1,5},[0-9]+$",
    "blank groups": rf"^[+-]?[1-9][0-9]{{0,2}}([{GROUP_BLANKS}][0-9]{{3}}){{1,5}}$",
    "blank groups, point": rf"^[+-]?[1-9][0-9]{{0,2}}([{GROUP_BLANKS}][0-9]{{3}}){{1,5}}\.[0-9]+$",
    "blank groups, comma": rf"^[+-]?[1-9][0-9]{{0,2}}([{GROUP_BLANKS}][0-9]{{3}}){{1,5}},[0-9]+$",
}
"""Tried in this order on what is no plain number. "comma" alone is 1,234, which may be a group or a fraction."""

UNSEEN = ("\ufeff", "\u200b")
"""The mark of the byte order, which stands amid files put together, and the blank of no width."""

SIGNS = "%$€£¥₹"
AFFIXED = rf"^[+-]?\s*[$€£¥₹]\s*[+-]?[.,]?[0-9].*$|^[+-]?[.,]?[0-9].*[0-9.,]\s*[{SIGNS}]$|^[+-]?[0-9]\s*[{SIGNS}]$"

PROVES_COMMA = {"decimal comma", "point groups", "point groups, fraction", "blank groups, comma"}
PROVES_POINT = {"comma groups", "comma groups, fraction", "blank groups, point"}
WHOLE = {"bit", "integer", "long", "comma groups", "point groups", "blank groups"}


@dataclass(frozen=True)
class Marks:
    """How the numbers of a column are written.

    Attributes:
        point: what stands before the fraction.
        groups: what may stand between groups of digits; empty where nothing does.
        signs: whether a percent or currency sign stands beside each number.
        whole: whether no number has a fraction.
    """

    point: str = "."
    groups: str = ""
    signs: bool = False
    whole: bool = False


def fraction_mark(forms: Collection[str], *, points_may_group: bool) -> str | None:
    """What the cells of a column prove to stand before the fraction.

    Args:
        forms: the forms that its cells have.
        points_may_group: each decimal point stands as in 1.234, so that it may divide groups.

    Returns:
        A comma or a point; None where nothing proves either, and an empty string where both are proven.
    """
    comma = not PROVES_COMMA.isdisjoint(forms)
    point = not PROVES_POINT.isdisjoint(forms) or ("decimal" in forms and not points_may_group)
    if comma and point:
        return ""
    return "," if comma else "." if point else None


def marks_of(forms: Collection[str], mark: str, *, signs: bool) -> Marks:
    """How to read a column, given what stands before its fractions."""
    groups = GROUP_BLANKS if any(form.startswith("blank groups") for form in forms) else ""
    if mark == "," and any(form == "decimal" or form.startswith("point groups") for form in forms):
        groups += "."
    if mark == "." and any(form.startswith("comma") for form in forms):
        groups += ","
    fractions = {"comma"} if mark == "," else {"decimal"}
    either = {"comma", "decimal"} - fractions
    return Marks(mark, groups, signs, whole=set(forms) <= WHOLE | either)


def trimmed(cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cells without blanks around them, and without the marks of no width that files put together hold."""
    cells = pc.utf8_trim_whitespace(cells)
    chunks = cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]
    if not any(_holds_unseen(chunk.buffers()[2]) for chunk in chunks if len(chunk)):
        return cells
    return pc.utf8_trim(cells, "".join(UNSEEN))


def _holds_unseen(buffer: pa.Buffer | None) -> bool:
    data = b"" if buffer is None else buffer.to_pybytes()
    return any(mark.encode() in data for mark in UNSEEN)


def without_sign(cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cells without the percent or currency sign beside their number, and the blanks around it."""
    return pc.replace_substring_regex(cells, rf"\s*[{SIGNS}]\s*", "", max_replacements=1)


def sign_of(cells: pa.Array) -> pa.Array:
    """The percent or currency sign in each cell."""
    return pc.replace_substring_regex(cells, f"[^{SIGNS}]", "")


def plain_digits(cells: pa.ChunkedArray, marks: Marks) -> pa.ChunkedArray:
    """Numbers as Arrow parses them: no sign beside them, no groups, and a point before the fraction."""
    if marks.signs:
        cells = without_sign(cells)
    if marks.groups:
        cells = pc.replace_substring_regex(cells, f"[{marks.groups}]", "")
    return pc.replace_substring(cells, ",", ".") if marks.point == "," else cells
