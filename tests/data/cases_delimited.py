"""Dirty files of delimited cells: rows, ends of lines, delimiters and quotes."""

from __future__ import annotations

import csv
import re
from typing import Any

from fathom.data.header import Asked, Names
from fathom.data.layout import QUOTINGS
from tests.data.dirty import Case
from tests.data.made import file, packed
from tests.data.standins import always, data, never, nothing


class doubting:
    """In the place of a reader of rows: one that takes each quote for damage."""

    line_num = 1

    def __iter__(self) -> doubting:
        return self

    def __next__(self) -> list[str]:
        raise csv.Error("',' expected after '\"'")


def rows_with_blank_ones(lines: Any, delimiter: str, quoting: Any) -> tuple[list[list[str]], list[int]]:
    """In the place of what passes blank lines over."""
    return list(csv.reader(lines, delimiter=delimiter)), list(range(1, len(lines) + 1))


def unix_lines(text: str) -> tuple[str, ...]:
    """In the place of what knows all ends of lines."""
    return tuple(re.findall(r"[^\n]*\n|[^\n]+", text))


PLAIN = tuple(range(1, 13))
EMBEDDED = "a,b\n" + "".join(f'{k},"one\ntwo, {k}"\n' for k in PLAIN)

NOT_ASKED = {data("delimited.Asked"): lambda header, columns: Asked()}
UNIX = {data("layout._lines_of"): unix_lines}
NO_SURPLUS = {data("delimited.without_surplus"): lambda where, names, cells: (names, cells)}
ONE_QUOTING = {data("cells.QUOTINGS"): QUOTINGS[:1]}
EVEN = {data("cells._check_even"): nothing}
ANY_QUOTES = {data("cells.check_quotes"): nothing}
UTF8_ONLY = {data("cells.encodings_of"): lambda head: (("utf-8", 0),)}
NO_COMMENTS = {data("layout._comment_lines"): lambda lines, start: 0}

ROWS = [
    Case(
        "an extra cell in the first row",
        file("a,b,y\n1,2,0,9\n3,4,1\n5,6,0\n"),
        EVEN,
        refused=r"row 1 below the header .* has 4 cells, the header 3\. The row: '1,2,0,9' The header: 'a,b,y'",
    ),
    Case(
        "an extra cell in the only row",
        file("a,b\n1,2,3\n"),
        EVEN,
        refused="row 1 below the header .* 3 cells, the header 2",
    ),
    Case(
        "an extra cell far down",
        file("a,b\n" + "1,2\n" * 40_000 + "1,2,3\n" + "1,2\n" * 10),
        EVEN,
        refused=r"row 40001 below the header .* has 3 cells, the header 2\.",
    ),
    Case(
        "a title above the header",
        file("Report of 2020\n\nname,age\nbob,3\nann,5\n"),
        {data("layout._divides_all_below"): never},
        refused="row 1 below the header .* has 2 cells, the header 1; 3 rows .*If the first line is a title",
    ),
    Case(
        "a short row", file("a,b,c\n1,2,3\n4,5\n"), EVEN, refused="row 2 below the header .* has 2 cells, the header 3"
    ),
    Case(
        "several short rows",
        file("a,b,c\n1,2,3\n4,5\n6,7\n"),
        {data("cells._others_words"): lambda count: ""},
        refused="row 2 .*; 2 rows are uneven",
    ),
    Case(
        "an uneven row in a file without a header",
        file("1,2\n3,4\n5\n"),
        EVEN,
        options={"header": "no"},
        refused=r"row 3 \(empty lines not counted\) has 1 cell, the first row 2",
    ),
    Case(
        "a comma behind every row and the header",
        file("a,b,\n1,2,\n3,4,\n"),
        NO_SURPLUS,
        reads={"b": [2, 4]},
        notes="column 3 has no name and no values; it is left out",
    ),
    Case(
        "a comma behind every row, none behind the header",
        file("a,b\n1,2,\n3,4,\n"),
        {data("header._with_surplus"): lambda where, names, below: Names(names, True)},
        reads={"a": [1, 3], "b": [2, 4]},
        notes="column 3 has no name and no values; it is left out",
    ),
    Case(
        "a comma behind the rows, and after it a value far down",
        file("a,b\n" + "1,2,\n" * 200 + "3,4,5\n" + "1,2,\n"),
        {data("header._check_surplus_empty"): nothing},
        refused="row 201 below the header has 3 cells, the header 2: '5' stands beyond its last name",
    ),
    Case(
        "row names that R wrote without a name",
        file('"a","b"\n"x",1,2\n"y",3,4\n'),
        {data("header._with_surplus"): lambda where, names, below: Names(names, True)},
        refused="each row has 3 cells, the header 2; R writes row names so",
    ),
    Case(
        "lines without a cell in between",
        file("\n a , b \n\n1,2\n\n\n3,4\n\n"),
        {data("layout._blank_lines"): lambda lines, start: 0, data("layout._first_rows"): rows_with_blank_ones},
        reads={"a": [1, 3], "b": [2, 4]},
    ),
    Case(
        "lines ended by carriage returns",
        file("a,b\r1,2\r3,4\r"),
        UNIX,
        reads={"a": [1, 3], "b": [2, 4]},
    ),
    Case(
        "lines ended in three ways",
        file("a,b\r\n1,2\n3,4\r5,6"),
        UNIX,
        reads={"a": [1, 3, 5]},
    ),
    Case(
        "comments above the header",
        file("# exported 2024-01-01, by hand\n# units: mm\na,b\n1,2\n"),
        NO_COMMENTS,
        reads={"a": [1], "b": [2]},
        notes="2 lines above the header that begin with # are skipped",
    ),
    Case(
        "a header that a # leads",
        file("#chrom,pos\nx,2\ny,3\n"),
        {data("layout._is_header_marked"): never},
        reads={"#chrom": ["x", "y"], "pos": [2, 3]},
    ),
    Case(
        "Excel's line that tells the delimiter",
        file("sep=;\na;b\n1;2\n"),
        {data("layout._separator"): lambda lines: (0, None)},
        reads={"a": [1], "b": [2]},
    ),
    Case(
        "Excel's line that tells an unusual delimiter",
        file("sep=^\na^b\n1^2\n"),
        {data("layout._separator"): lambda lines: (1, None)},
        reads={"a": [1], "b": [2]},
    ),
    Case(
        "semicolons",
        file("a;b\n1;x, y\n2;z\n"),
        {data("layout.DELIMITERS"): (",",)},
        reads={"a": [1, 2], "b": ["x, y", "z"]},
    ),
    Case("bars", file("a|b\n1|x\n"), {data("layout.DELIMITERS"): (",",)}, reads={"a": [1], "b": ["x"]}),
    Case(
        "tabs in a .csv", file("a\tb\n1\tx, y\n"), {data("layout.DELIMITERS"): (",",)}, reads={"a": [1], "b": ["x, y"]}
    ),
    Case(
        "semicolons between decimal commas, without a header",
        file("1,5;2,5\n3,5;4,5\n"),
        {data("layout._are_decimal_commas"): never},
        reads={"column_1": [1.5, 3.5], "column_2": [2.5, 4.5]},
    ),
    Case(
        "blanks after commas",
        file("a, b\n1, x\n2, y\n"),
        {data("types._trimmed"): lambda cells: cells},
        reads={"b": ["x", "y"]},
    ),
    Case(
        "a row longer than a block",
        file("a,b\n1,x\n2," + "y" * (10 << 20) + "\n"),
        {data("cells.MOST_BLOCK_BYTES"): 1},
        reads={"a": [1, 2]},
    ),
    Case(
        "cells of a megabyte, without a header",
        file("".join(f"{k},{'y' * (1 << 20)}\n" for k in range(20))),
        {data("layout.MOST_HEAD_BYTES"): 1},
        reads={"column_1": list(range(20))},
    ),
    Case(
        "ten thousand columns",
        file("\n".join(",".join(f"{'x' if row == 0 else ''}{row + k}" for k in range(10_000)) for row in range(51))),
        NOT_ASKED | {data("layout.HEAD_ROWS"): 0},
        reads={"x9999": [9999 + row for row in range(1, 51)]},
    ),
]

QUOTES = [
    Case(
        "line breaks in quotes",
        file(EMBEDDED),
        {data("cells.QUOTINGS"): QUOTINGS[3:]},
        reads={"b": [f"one\ntwo, {k}" for k in PLAIN]},
    ),
    Case(
        "quotes written twice in quotes",
        file('a,b\n1,"say ""hi"", he said"\n2,x\n'),
        {data("cells.QUOTINGS"): QUOTINGS[3:]},
        reads={"b": ['say "hi", he said', "x"]},
    ),
    Case(
        "a quote in a cell without quotes",
        file('a,b\n5" pipe,1\n3" pipe,2\n'),
        {data("quotes.csv_rows"): lambda *_, **__: doubting()},
        reads={"a": ['5" pipe', '3" pipe']},
    ),
    Case(
        "a quote that is never closed, with all rows in one cell",
        file('a,b\n1,2\n3,"4\n5,6\n7,8\n'),
        ANY_QUOTES,
        refused="a quote is never closed; row 2 below the header runs on from: '4 5,6 7,8'",
    ),
    Case(
        "a quote that is never closed, packed",
        packed('a,b\n1,2\n3,"4\n5,6\n', "t.csv.gz"),
        ANY_QUOTES,
        refused="a quote is never closed",
    ),
    Case(
        "a quote that is never closed in the header",
        file('a,"b\n1,2\n3,4\n'),
        ANY_QUOTES | {data("cells._check_has_rows"): nothing},
        refused="quote is never closed",
    ),
    Case(
        "a quote that is closed only by the next one",
        file('a,b\n1,"open\n2,x\n3,"y"\n4,z\n'),
        ANY_QUOTES,
        refused="near line 4 a quote is closed or opened inside a cell",
    ),
    Case(
        "quotes in quotes that are not written twice",
        file('a,b\n1,"say "hi" now"\n2,x\n'),
        ANY_QUOTES,
        refused="near line 2 a quote is closed or opened inside a cell",
    ),
    Case(
        "quotes in names, written twice",
        file('"""a""",b\n1,"x"\n'),
        ONE_QUOTING | {data("quotes._has_quotes_after_blanks"): always},
        reads={'"a"': [1], "b": ["x"]},
    ),
    Case(
        "text behind a closing quote",
        file('a,b\n1,"x"y\n2,z\n'),
        {data("quotes._has_text_after_quotes"): never},
        refused="near line 2 a quote is closed or opened inside a cell",
    ),
    Case(
        "quotes after blanks, with commas in them",
        file('a, b, c\n1, "x, y", 2\n3, "z", 4\n'),
        ONE_QUOTING,
        reads={"b": ["x, y", "z"], "c": [2, 4]},
        notes="quotes are taken to open after blanks",
    ),
    Case(
        "quotes after blanks, without commas in them",
        file('a, b\n1, "x"\n3, "z"\n'),
        ANY_QUOTES,
        reads={"b": ["x", "z"]},
    ),
    Case(
        "quotes after blanks in the header alone",
        file('"a", "b"\n1, 2\n3, 4\n'),
        {data("cells.check_header_quotes"): nothing},
        reads={"b": [2, 4]},
    ),
    Case(
        "quotes that a backslash keeps",
        file('a,b\n1,"say \\"hi\\", now"\n2,x\n'),
        ONE_QUOTING,
        reads={"b": ['say "hi", now', "x"]},
        notes="a backslash is taken to keep the quote",
    ),
    Case(
        "backslashes that keep nothing stay",
        file('a,b\n1,"\\$5, \\n"\n2,x\n'),
        {data("cells.QUOTINGS"): QUOTINGS[2:]},
        reads={"b": ["\\$5, \\n", "x"]},
    ),
    Case(
        "quotes that are letters, between tabs",
        file('a\tb\n"twas night\t1\nand "day"\t2\n', "t.tsv"),
        ONE_QUOTING,
        reads={"a": ['"twas night', 'and "day"'], "b": [1, 2]},
        notes="quotes are taken as letters",
    ),
]


CASES = [*ROWS, *QUOTES]
