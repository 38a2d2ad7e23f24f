"""Dirty files without a mark between their cells, and signs of no width."""

from __future__ import annotations

import gzip
from typing import Any

from tests.data.dirty import Case
from tests.data.made import file
from tests.data.standins import data, never, nothing

NEVER_CUT = {data("layout.are_cut_by_blanks"): never}
HIDDEN = {data("layout.check_no_hidden_columns"): nothing}
AS_WRITTEN = {data("numerals.UNSEEN"): (), data("header.UNSEEN_MARKS"): " "}


def always_cut(rows: Any) -> bool:
    """In the place of what knows sentences from rows."""
    return True


CASES = [
    Case(
        "columns aligned by blanks, without a header",
        file(" 0.5  18.00   2.31  0\n 10.2  0.00   7.07  1\n 0.1  9.50   7.07  0\n"),
        NEVER_CUT,
        reads={"column_1": [0.5, 10.2, 0.1], "column_4": [0, 1, 0]},
        notes="the cells are divided by blanks",
    ),
    Case(
        "columns aligned by blanks, and a tab before a quoted one",
        file('18.0   8   307.0\t"chevrolet  chevelle"\n15.0   8   ?    \t"buick"\n', "auto.data"),
        NEVER_CUT,
        reads={"column_3": [307.0, None], "column_4": ["chevrolet  chevelle", "buick"]},
    ),
    Case(
        "names and numbers with one blank between",
        file('"a" "b" "c d"\n1 2.5 "x y"\n2 3.5 "z"\n'),
        NEVER_CUT,
        reads={"a": [1, 2], "b": [2.5, 3.5], "c d": ["x y", "z"]},
    ),
    Case(
        "a row that is short of a cell between blanks",
        file("a b c\n" + "1 2 3\n" * 20 + "1 2\n"),
        NEVER_CUT,
        refused="row 21 below the header .* has 2 cells, the header 3",
    ),
    Case(
        "sentences of as many words",
        file("a few words\nstars 5 given\nstars 4 given\n"),
        {data("layout.are_cut_by_blanks"): always_cut},
        reads={"a few words": ["stars 5 given", "stars 4 given"]},
    ),
    Case(
        "text aligned by blanks",
        file("name      age  city\nBob Ray    32  New York\nAnn        41  Rome\n"),
        HIDDEN,
        refused="columns aligned by blanks are not read; save the table as CSV",
    ),
    Case(
        "each row in quotes as a whole",
        file('"a,b,c"\n"1,2,3"\n"4,5,6"\n'),
        HIDDEN,
        refused="each row stands in quotes as a whole; take the outer quotes away",
    ),
    Case(
        "the mark of the byte order amid files put together",
        file("a,b\n1,2\n\ufeff3,4\n5,6\n"),
        AS_WRITTEN,
        reads={"a": [1, 3, 5]},
    ),
    Case("the mark of the byte order twice", file("\ufeff\ufeffa,b\n1,2\n3,4\n"), AS_WRITTEN, reads={"a": [1, 3]}),
    Case(
        "packed with gzip twice",
        file(gzip.compress(gzip.compress(b"a,b\n1,2\n")), "t.csv.gz"),
        {data("content._check_packed_once"): nothing},
        refused="is packed with gzip twice; unpack it once",
    ),
    *(
        Case(what, file(text), {data("content.PAGES"): ()}, refused=f"is {what}, though named .csv; save the table")
        for what, text in (
            ("an ARFF file", "% iris\n@RELATION iris\n@ATTRIBUTE a NUMERIC\n@DATA\n1\n2\n"),
            ("a LIBSVM file", "+1 1:0.5 2:0.3\n-1 1:0.2 3:0.9\n"),
            ("a table drawn by a database's shell", "+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |\n+---+---+\n"),
        )
    ),
    Case(
        "a workbook under its own name",
        file(b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml" + b"\0" * 40, "t.xlsx"),
        {data("readers.check_content"): nothing},
        refused="is an Excel workbook; save the table as CSV",
    ),
]
