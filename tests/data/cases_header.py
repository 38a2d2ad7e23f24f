"""Whether the first row names the columns, and names that are missing, doubled or no names."""

from __future__ import annotations

from fathom.data.header import Asked
from tests.data.dirty import Case
from tests.data.made import file
from tests.data.standins import always, data, never, nothing

PLAIN = tuple(range(1, 13))

NOT_ASKED = {data("delimited.Asked"): lambda header, columns: Asked()}
NOT_DATA = {data("header.is_data"): never}
UTF8_ONLY = {data("cells.encodings_of"): lambda head: (("utf-8", 0),)}
ANY_HEADER_BELOW = {data("delimited.check_no_header_below"): nothing}

HEADERS = [
    Case(
        "no header: a class over classes, as in AG News",
        file('"3","Fears for pensions","Unions"\n"4","The race","Space"\n"1","A win","Sport"\n'),
        NOT_DATA,
        reads={"column_1": [3, 4, 1], "column_3": ["Unions", "Space", "Sport"]},
        notes=r"first row \(3, Fears.*read as data.*column_1 to column_3.*--columns.*--header",
    ),
    Case(
        "no header: sentence and label, as in SST-2",
        file("a fine , moving film\t1\na dull one\t0\nnot bad\t1\n", "t.tsv"),
        NOT_DATA,
        reads={"column_1": ["a fine , moving film", "a dull one", "not bad"], "column_2": [1, 0, 1]},
    ),
    Case(
        "no header: numbers alone",
        file("5.1,3.5\n4.9,3.0\n"),
        NOT_DATA,
        reads={"column_1": [5.1, 4.9], "column_2": [3.5, 3.0]},
    ),
    Case(
        "no header: a missing first cell in a column of numbers",
        file("?,3.5,a\n4.9,3.0,b\n"),
        NOT_DATA,
        reads={"column_1": [None, 4.9], "column_3": ["a", "b"]},
    ),
    Case(
        "no header: words alone, of which the class recurs",
        file("".join(f"text {k},{'good' if k % 2 else 'bad'}\n" for k in PLAIN)),
        {data("header._recurs"): never},
        reads={"column_2": ["good" if k % 2 else "bad" for k in PLAIN]},
    ),
    Case(
        "no header: dates over dates",
        file("2011-01-01,rainy\n2011-01-02,dry\n"),
        {data("header._is_date_over_dates"): never},
        reads={"column_1": ["2011-01-01", "2011-01-02"]},
    ),
    Case(
        "years are names",
        file("country,2019,2020\nDE,3,4\nFR,5,6\n"),
        {data("header._names_as_numbers"): never, data("header._is_name"): never},
        reads={"country": ["DE", "FR"], "2020": [4, 6]},
    ),
    Case(
        "years five apart are names",
        file("1990,1995,2000\n3,4,5\n5,6,7\n"),
        {data("header._names_as_numbers"): never},
        reads={"1990": [3, 5], "2000": [5, 7]},
    ),
    Case(
        "years over years are data",
        file("1990,1995\n1991,1996\n"),
        {data("header._are_years"): never},
        reads={"column_1": [1990, 1991]},
    ),
    Case(
        "0, 1, 2 are names, as pandas writes them for an array",
        file("0,1,2\n5,6,7\n8,9,9\n"),
        {data("header._names_as_numbers"): never},
        reads={"0": [5, 8], "2": [7, 9]},
    ),
    Case(
        "a word over numbers makes the row a header, numbers in it or not",
        file("x,7\n1,2\n3,4\n"),
        {data("header._is_name"): never},
        reads={"x": [1, 3], "7": [2, 4]},
    ),
    Case(
        "header='no' where words stand over words",
        file("a,b\nc,d\n"),
        NOT_ASKED,
        options={"header": "no"},
        reads={"column_1": ["a", "c"]},
    ),
    Case(
        "header='yes' where numbers stand over numbers",
        file("5,7\n1,2\n"),
        NOT_ASKED,
        options={"header": "yes"},
        reads={"5": [1], "7": [2]},
    ),
    Case(
        "names given for a file without a header",
        file("1,x\n2,y\n"),
        NOT_ASKED,
        options={"columns": ("label", "text")},
        reads={"label": [1, 2], "text": ["x", "y"]},
    ),
    Case(
        "names given that the first row holds",
        file("label, text\n1,x\n2,y\n"),
        {data("header._holds_names"): never},
        options={"columns": ("label", "text")},
        reads={"label": [1, 2]},
    ),
    Case(
        "names given for a file that has others",
        file("id,t\n1,x\n2,y\n"),
        {data("header._check_no_other_header"): nothing},
        options={"columns": ("label", "text")},
        refused=r"first row \(id, t\) looks like such; header='yes'",
    ),
    Case(
        "too few names given",
        file("1,x,y\n2,y,z\n"),
        {data("header._check_number_of_names"): nothing},
        options={"columns": ("label", "text")},
        refused=r"columns names 2 columns, the rows have 3 cells",
    ),
    Case(
        "no name for one of the columns",
        file("a, ,c\n1,2,3\n"),
        {data("columns._all_named"): lambda names: (names, ())},
        reads={"column_2": [2]},
        notes="without a name are called by their place: column_2",
    ),
    Case(
        "the row labels of pandas, from 0",
        file(",a\n0,5\n1,6\n2,7\n"),
        {data("header.is_index"): never},
        reads={"a": [5, 6, 7]},
        notes="first column numbers the rows.*left out",
    ),
    Case(
        "the row names of R, from 1",
        file('"","a"\n"1",5\n"2",6\n'),
        {data("header.is_index"): never},
        reads={"a": [5, 6]},
        notes="left out",
    ),
    Case(
        "row labels that pandas read as a column and wrote again",
        file("Unnamed: 0,a\n0,5\n1,6\n"),
        {data("header.INDEX_NAMES"): ("",)},
        notes="left out",
    ),
    Case(
        "a first column without a name that does not count the rows stays",
        file(",a\n7,5\n3,6\n"),
        {data("header.is_index"): lambda column: True},
        reads={"column_1": [7, 3]},
    ),
    Case(
        "twin names",
        file("x,x,y\n1,2,3\n"),
        {data("delimited.distinct_names"): lambda names: ([f"{name}_{place}" for place, name in enumerate(names)], ())},
        reads={"x": [1], "x_2": [2]},
        notes=r"stand twice: x \(column 2\) is read as x_2",
    ),
    Case(
        "the header again in the middle",
        file("a,b\n1,2\n3,4\na,b\n5,6\n"),
        ANY_HEADER_BELOW,
        refused="row 3 below the header is the header again",
    ),
    Case(
        "the header again above each of many files put together",
        file("a,b\nx,y\n" * 3),
        ANY_HEADER_BELOW,
        refused=r"row 2 below the header \(and 1 more\) is the header again",
    ),
    Case(
        "the header again, with blanks in it, where other names are given",
        file("a, b\n1,2\na, b\n5,6\n"),
        ANY_HEADER_BELOW,
        options={"header": "yes", "columns": ("x", "y")},
        refused="row 2 below the header is the header again",
    ),
    Case(
        "a header alone",
        file("a,b\n"),
        {data("cells._check_has_rows"): nothing},
        refused=r"holds a header \(a, b\) and no rows",
    ),
    Case("an empty file", file(""), {data("layout._check_has_rows"): nothing}, refused="the file is empty"),
    Case("blanks alone", file(" \n\n  \n"), {data("layout._check_has_rows"): nothing}, refused="the file is empty"),
    Case("one row", file("a,b\n1,x\n"), {data("header.is_data"): always}, reads={"a": [1], "b": ["x"]}),
    Case(
        "one column",
        file("text\nhello, you\nworld, too, and more\n"),
        {data("layout._fit"): lambda *_: (True, 1.0, 1)},
        reads={"text": ["hello, you", "world, too, and more"]},
    ),
]


CASES = HEADERS
