"""Numbers written in other ways, and what looks like numbers or booleans and is not."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from fathom.data.numerals import FORMS
from fathom.data.types import ColumnType
from tests.data.dirty import Case
from tests.data.made import column, file
from tests.data.standins import data, forgetting, never, no_notes

NUMBERS = [str(number) for number in range(100)]
AS_TEXT = {data("delimited.decide"): lambda found, mark=None: ColumnType()}


def form(*names: str) -> dict[str, Any]:
    """Without the knowledge of some ways to write numbers."""
    return {data("evidence.FORMS"): {name: pattern for name, pattern in FORMS.items() if name not in names}}


NUMBERS_WRITTEN = [
    Case(
        "decimal commas between semicolons",
        column("1,5", "2,25", "3", delimiter=";"),
        form("decimal comma"),
        reads={"x": [1.5, 2.25, 3.0]},
        notes=r"column x: read as numbers with decimal commas \(1,5\)",
    ),
    Case(
        "decimal commas in quotes", column("1,5", "2,25", quoted=True), form("decimal comma"), reads={"x": [1.5, 2.25]}
    ),
    Case(
        "thousands by commas",
        column("1,234,567", "890", quoted=True),
        form("comma groups"),
        reads={"x": [1234567, 890]},
        notes="digits in groups",
    ),
    Case(
        "lakhs and crores",
        column("1,23,45,678", "890", quoted=True),
        form("comma groups"),
        reads={"x": [12345678, 890]},
    ),
    Case(
        "thousands by commas, with fractions",
        column("1,234.5", "2.25", quoted=True),
        form("comma groups, fraction"),
        reads={"x": [1234.5, 2.25]},
    ),
    Case(
        "thousands by points, with decimal commas",
        column("1.234.567,5", "2,25", delimiter=";"),
        form("point groups, fraction"),
        reads={"x": [1234567.5, 2.25]},
    ),
    Case(
        "thousands by points",
        column("1.234.567", "890", delimiter=";"),
        form("point groups"),
        reads={"x": [1234567, 890]},
    ),
    Case(
        "thousands by blanks",
        column("1 234", "12 345 678", "9"),
        form("blank groups"),
        reads={"x": [1234, 12345678, 9]},
    ),
    Case(
        "thousands by blanks that do not break",
        column("1\u00a0234", "5\u202f678"),
        {data("numerals.GROUP_BLANKS"): " "},
        reads={"x": [1234, 5678]},
    ),
    Case("thousands by apostrophes", column("1'234.50", "5"), form("blank groups, point"), reads={"x": [1234.5, 5.0]}),
    Case(
        "thousands by blanks, with decimal commas",
        column("1 234,5", "2", delimiter=";"),
        form("blank groups, comma"),
        reads={"x": [1234.5, 2.0]},
    ),
    Case(
        "percent signs",
        column("12 %", "3.5%"),
        {data("evidence.AFFIXED"): "^$"},
        reads={"x": [12.0, 3.5]},
        notes="without the sign beside them",
    ),
    Case(
        "dollars",
        column("$1,200.50", "$3", "-$5", quoted=True),
        {data("evidence.AFFIXED"): "^$"},
        reads={"x": [1200.5, 3.0, -5.0]},
    ),
    Case(
        "euros behind",
        column("1.200,50 €", "3 €", delimiter=";"),
        {data("evidence.AFFIXED"): "^$"},
        reads={"x": [1200.5, 3.0]},
    ),
    Case(
        "1,234 between commas is read as a thousand",
        column("1,234", "56", quoted=True),
        {data("delimited._fraction_mark"): lambda proven, delimiter: ","},
        reads={"x": [1234, 56]},
        notes="digits in groups",
    ),
    Case(
        "1,234 between semicolons may be either",
        column("1,234", "56", delimiter=";"),
        {data("delimited._fraction_mark"): lambda proven, delimiter: "."},
        refused=r"row 1 .*'1,234' is 1234 or 1\.234, and nothing in the file tells which\. decimal=',' or '\.'",
    ),
    Case(
        "1,234 between semicolons, told",
        column("1,234", "56", delimiter=";"),
        {data("delimited.column_types"): forgetting},
        options={"decimal": ","},
        reads={"x": [1.234, 56.0]},
    ),
    Case(
        "1,234 beside decimal commas in another column",
        file("a;b\n1,234;1,5\n56;2,5\n"),
        {data("delimited.file_mark"): lambda found: None},
        reads={"a": [1.234, 56.0]},
    ),
    Case(
        "1.234 beside decimal commas in another column",
        file("a;b\n1.234;1,5\n56;2,5\n"),
        {data("delimited.file_mark"): lambda found: None},
        reads={"a": [1234, 56]},
        notes="digits in groups",
    ),
    Case(
        "1.234 is a fraction elsewhere",
        column("1.234", "5.678"),
        {data("delimited._fraction_mark"): lambda proven, delimiter: ","},
        reads={"x": [1.234, 5.678]},
    ),
    Case(
        "beyond 64 bits",
        column("9223372036854775808", "1"),
        {data("evidence._fits_int64"): lambda number: True},
        reads={"x": ["9223372036854775808", "1"]},
        notes="kept as text, being beyond 64 bits",
    ),
    Case(
        "at the edge of 64 bits",
        column("9223372036854775807", "-9223372036854775808"),
        {data("evidence._fits_int64"): never},
        reads={"x": [2**63 - 1, -(2**63)]},
    ),
    Case(
        "codes that a zero leads",
        column("00123", "10115"),
        {data("types._code_notes"): no_notes},
        reads={"x": ["00123", "10115"]},
        notes="kept as text, since a zero leads",
    ),
    Case(
        "codes that a zero leads, as a fraction would",
        column("01.5", "2"),
        {data("evidence.LEADING_ZERO"): "^$"},
        reads={"x": ["01.5", "2"]},
        notes="zero leads",
    ),
    Case("hexadecimal", column("0x1F", "0x20"), {data("evidence.DECIMAL"): "^0x"}, reads={"x": ["0x1F", "0x20"]}),
    Case(
        "underscores",
        column("1_000", "2"),
        {data("evidence.DECIMAL"): "^[0-9_]+$", data("evidence.INTEGER"): "^[0-9_]+$"},
        reads={"x": ["1_000", "2"]},
    ),
    Case(
        "exponents, signs and bare points",
        column("1e5", "+5", ".5", "5.", "-1E-2"),
        {data("evidence.DECIMAL"): r"^-?[0-9]+(\.[0-9]+)?$"},
        reads={"x": [1e5, 5.0, 0.5, 5.0, -0.01]},
    ),
    Case("plus signs alone", column("+5", "+6"), {data("evidence._holds"): never}, reads={"x": [5, 6]}),
    Case(
        "infinite numbers",
        column("1.5", "inf", "-Infinity"),
        {data("evidence.INFINITE"): "^$"},
        reads={"x": [1.5, None, None]},
        notes=r"infinite numbers are read as missing \(2 cells\)",
    ),
    Case(
        "beyond floating point",
        column("1.5", "1e999"),
        {data("evidence._may_overflow"): never},
        reads={"x": [1.5, None]},
        notes="infinite numbers are read as missing",
    ),
    Case(
        "true, True and TRUE",
        column("true", "True", "FALSE"),
        {data("types._boolean_notes"): no_notes},
        reads={"x": [True, True, False]},
        notes=r"read as true and false \(true, True, FALSE\)",
    ),
    Case(
        "yes and no in differing case",
        column("yes", "No", "NO"),
        {data("types._is_boolean"): never},
        reads={"x": [True, False, False]},
        notes="several spellings",
    ),
    Case(
        "true beside 1",
        column("true", "0", "1", "false"),
        {data("types._is_boolean"): never},
        reads={"x": [True, False, True, False]},
        notes="several spellings",
    ),
    Case(
        "yes and no spelled in one way are words",
        column("yes", "no", "no"),
        {data("types._is_boolean"): lambda found: True},
        reads={"x": ["yes", "no", "no"]},
    ),
    Case(
        "missing booleans",
        column("true", "", "NA", "-"),
        {data("evidence.MISSING_MARKS"): ("--",)},
        reads={"x": [True, None, None, None]},
    ),
    Case(
        "words that differ by case are not one",
        column("Red", "red", "RED "),
        {data("types._trimmed"): lambda cells: pc.utf8_lower(pc.utf8_trim_whitespace(cells))},
        reads={"x": ["Red", "red", "RED"]},
    ),
]


CASES = NUMBERS_WRITTEN
