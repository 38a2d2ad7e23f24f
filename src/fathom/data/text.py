"""Plain text: a file is one document, or each of its lines is."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa

from fathom.data.columns import INT32_MAX_BYTES
from fathom.data.encoding import whole_text
from fathom.data.readers import READERS
from fathom.data.source import Source, short_name, with_base
from fathom.errors import SourceError

__all__ = ["read_text"]

LINE_END = re.compile(r"\r\n|\n|\r")
HEAD_CHARACTERS = 1 << 16
FEWEST_ROWS_OF_A_TABLE = 5
DELIMITERS = {"\t": (2, "tabs"), ";": (3, "semicolons"), ",": (4, "commas"), "|": (3, "bars")}
"""Each with the fewest columns that make lines a table, and not sentences, and its name."""


@READERS.register("text", suffixes=(".txt", ".txt.gz"))
def read_text(place: Path, *, lines: bool = False) -> Source:
    """Read a text into the column ``text``.

    Args:
        place: absolute path of the file; .gz is unpacked.
        lines: each line is a row; else the whole file is one. Lines without text are left out.

    Raises:
        SourceError: there is no text in it, or it is no text.
    """
    text, notes = whole_text(place)
    _check_no_nul(place, text)
    _check_not_empty(place, text)
    documents = _documents(text, lines=lines)
    notes += _left_out_note(text, len(documents)) if lines else _table_note(text)
    kind = pa.string() if len(text) < INT32_MAX_BYTES // 4 else pa.large_string()
    suffix = place.name[len(place.name) - (7 if place.name.lower().endswith(".gz") else 4) :]
    table = with_base(pa.table({"text": pa.array(documents, kind)}), place.parent)
    return Source({"train": table}, (), short_name(place, suffix), str(place), notes)


def _check_no_nul(place: Path, text: str) -> None:
    at = text.find("\0")
    if at >= 0:
        line = len(LINE_END.findall(text, 0, at)) + 1
        raise SourceError(f"{place}: line {line} holds a NUL byte, which no text has; is the file damaged, or no text?")


def _check_not_empty(place: Path, text: str) -> None:
    if not text.strip():
        raise SourceError(f"{place}: the file is empty")


def _documents(text: str, *, lines: bool) -> list[str]:
    return [line for line in LINE_END.split(text) if line.strip()] if lines else [text]


def _left_out_note(text: str, kept: int) -> tuple[str, ...]:
    count = len(LINE_END.split(text.rstrip("\r\n"))) - kept
    return (f"{count:,} lines without text are left out",) if count else ()


def _table_note(text: str) -> tuple[str, ...]:
    """A note for a text that plainly is a table: all its lines have the same number of cells."""
    rows = [line for line in LINE_END.split(text[:HEAD_CHARACTERS])[:-1] if line]
    if len(rows) < FEWEST_ROWS_OF_A_TABLE:
        return ()
    for delimiter, (fewest, name) in DELIMITERS.items():
        widths = {row.count(delimiter) + 1 for row in rows}
        if len(widths) == 1 and min(widths) >= fewest:
            ending = ".tsv" if delimiter == "\t" else ".csv"
            told = f"its lines are {min(widths)} cells each, divided by {name}; rename it to {ending} to read a table"
            return (f"read as one document, though {told}",)
    return ()
