"""Dirty cells: what is missing, what is a number, and the word in a column of numbers."""

from __future__ import annotations

from typing import Any

from fathom.data import evidence
from fathom.data.types import ColumnType
from tests.data.dirty import Case
from tests.data.made import column, file
from tests.data.standins import data, forgetting, never

NUMBERS = [str(number) for number in range(100)]
AS_TEXT = {data("delimited.decide"): lambda found, mark=None: ColumnType()}


def lacks(name: str, *words: str) -> dict[str, Any]:
    """Without some of the words that are known."""
    return {data(f"evidence.{name}"): [word for word in getattr(evidence, name) if word not in words]}


def missing_among_numbers(word: str, known: str, told: str | None) -> Case:
    return Case(
        f"{word} among numbers",
        column("1", word, "3"),
        lacks(known, word.lower()),
        reads={"x": [1, None, 3]},
        notes=told,
    )


MISSING = [
    Case(
        "? among words",
        column("a", "?", "b"),
        lacks("BLANKS", "?") | {data("types.BLANKS"): ("",)},
        reads={"x": ["a", None, "b"]},
    ),
    Case("? among numbers", column("1", "?", "3"), lacks("BLANKS", "?"), reads={"x": [1, None, 3]}),
    Case(
        "empty cells and blanks",
        column("1", "", "  "),
        {data("types._trimmed"): lambda cells: cells},
        reads={"x": [1, None, None]},
    ),
    *(missing_among_numbers(word, "MISSING_WORDS", None) for word in ("NA", "n/a", "NaN", "null", "None")),
    *(
        missing_among_numbers(word, "MISSING_MARKS", rf"column x: read as missing \('{word}' in 1 cell\)")
        for word in ("-", "--", "#N/A", "#DIV/0!", "nil", "missing", "Unknown", "<NA>")
    ),
    Case(
        "a full stop for missing, as SAS writes it",
        column("1", ".", "3"),
        lacks("MISSING_MARKS", "."),
        reads={"x": [1, None, 3]},
    ),
    Case(
        "NA for Namibia",
        column("DE", "NA", "FR"),
        {data("types.BLANKS"): ("", "?", "NA"), data("evidence.BLANKS"): ("", "?", "NA")},
        reads={"x": ["DE", "NA", "FR"]},
    ),
    Case(
        "a dash among words",
        column("DE", "-", "FR"),
        {data("evidence.BLANKS"): ("", "?", "-"), data("types.BLANKS"): ("", "?", "-")},
        reads={"x": ["DE", "-", "FR"]},
    ),
    Case(
        "all cells missing",
        column("", "", "?"),
        lacks("BLANKS", "?") | {data("types.BLANKS"): ("",)},
        reads={"x": [None, None, None]},
    ),
    Case(
        "missing=, among numbers and among words",
        file("a,b\n1,gone\n-999,x\n2,y\n"),
        {data("delimited.column_types"): forgetting},
        options={"missing": ("-999", "gone")},
        reads={"a": [1, None, 2], "b": [None, "x", "y"]},
    ),
    Case(
        "text=, with its zeros, blanks and words that mean missing elsewhere",
        file("code,n\n1,1\n NA,2\n03,3\n?,4\n,5\n"),
        {data("delimited.as_it_stands"): lambda missing: ColumnType()},
        options={"text": ("code",)},
        reads={"code": ["1", " NA", "03", "?", None]},
    ),
    Case(
        "text= of a column that is not there",
        file("code,n\nx,1\n"),
        {data("delimited._known"): lambda place, text, names: text},
        options={"text": ("cod",)},
        refused="unknown column 'cod'; did you mean 'code'",
    ),
]

BAD = [
    Case(
        "a word among numbers",
        column(*NUMBERS, "12 apples"),
        {data("types._plainly_numbers"): never},
        refused=r"column 'x', row 101 below the header: '12 apples' is no number, as 100 other cells of the column are"
        r"\. missing='12 apples' \(--missing '12 apples'\) .*text='x' \(--text 'x'\)",
    ),
    Case(
        "several words among numbers",
        column(*NUMBERS, "abc", "5", "abd"),
        {data("types._plainly_numbers"): never},
        refused="row 101 .*'abc' is no number, as 101 other cells of the column are, nor is 'abd'",
    ),
    Case(
        "words among the numbers of two columns",
        file("a,b\n" + "".join(f"{k},{k}\n" for k in range(50)) + "u,v\n"),
        {data("types._plainly_numbers"): never},
        refused="column 'a', row 51 .*; so in 1 more column",
    ),
    Case(
        "a letter O for a zero",
        column(*NUMBERS, "1O5"),
        {data("types._plainly_numbers"): never},
        refused="'1O5' is no number",
    ),
    Case(
        "a decimal comma among decimal points",
        column(*(f"{n}.5" for n in NUMBERS), "1,5", quoted=True),
        {data("types._two_ways"): lambda found, proven: ()},
        refused="row 101 .*'1,5' writes a number in another way than '0.5'",
    ),
    Case(
        "a percent sign beside some numbers",
        column(*NUMBERS, "12%"),
        {data("types._two_ways"): lambda found, proven: ()},
        refused="writes a number in another way",
    ),
    Case(
        "a word among numbers that is told to be missing",
        column(*NUMBERS, "12 apples"),
        {data("delimited.column_types"): forgetting},
        options={"missing": ("12 apples",)},
        reads={"x": [*range(100), None]},
    ),
    Case(
        "a word among numbers that are told to be text",
        column(*NUMBERS, "12 apples"),
        {data("delimited.column_types"): forgetting},
        options={"text": ("x",)},
        reads={"x": [*NUMBERS, "12 apples"]},
    ),
    Case(
        "classes of which one is open, as 3+",
        column(*["0", "1", "2", "3+"] * 3, *["0"] * 60),
        {data("types.FEWEST_NUMBERS"): 1},
        reads={"x": [*["0", "1", "2", "3+"] * 3, *["0"] * 60]},
    ),
    Case(
        "codes of which some have letters",
        column(*NUMBERS, *(f"A{n}" for n in range(30))),
        {data("types.BAD_SHARES"): ((50, 0.5),), data("evidence.MOST_OTHERS"): 50},
        reads={"x": [*NUMBERS, *(f"A{n}" for n in range(30))]},
    ),
]

CASES = [*MISSING, *BAD]
