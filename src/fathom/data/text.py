"""Plain text: a file is one document, or each of its lines is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from fathom.data.columns import INT32_MAX_BYTES
from fathom.data.content import DOCUMENTS
from fathom.data.dialogues import dialogues_in_text, holds_dialogues
from fathom.data.encoding import (
    LINE_END,
    check_filled,
    encodings_of,
    first_bytes,
    nul_words,
    open_bytes,
    sound_text,
    told_encoding,
    undecodable,
)
from fathom.data.readers import READERS
from fathom.data.source import Source, source_of_file
from fathom.data.spool import Spool, is_large_file
from fathom.data.tagged import holds_tags, tagged_in_text
from fathom.errors import SourceError

__all__ = ["read_text"]

HEAD_CHARACTERS = 1 << 16
FEWEST_ROWS_OF_A_TABLE = 5
GROWTH = 4
"""How much more memory the reading of a text takes than it has bytes."""

LINES_AT_ONCE = 1 << 14
LINES = pa.schema([("text", pa.string())])

DELIMITERS = {"\t": (2, "tabs"), ";": (3, "semicolons"), ",": (4, "commas"), "|": (3, "bars")}
"""Each with the fewest columns that make lines a table, and not sentences, and its name."""


@READERS.register("text", suffixes=DOCUMENTS)
def read_text(place: Path, *, lines: bool = False) -> Source:
    """Read a text into the column ``text``; or, where it holds dialogues or tagged tokens, these.

    Args:
        place: absolute path of the file; .gz is unpacked.
        lines: each line is a row; else the whole file is one. Lines without text are left out.

    Raises:
        SourceError: there is no text in it, or it is no text.
    """
    if lines and is_large_file(place, GROWTH):
        spool = Spool(place, {"lines": True})
        with spool.opened():
            table, notes = spool.found() or _spooled(spool, place)
        return source_of_file(table, place, notes)
    text, notes = sound_text(place)
    if not lines and holds_dialogues(text):
        return dialogues_in_text(text, place, notes)
    if not lines and holds_tags(text):
        return tagged_in_text(text, place, notes)
    documents = _documents(text, lines=lines)
    notes += _left_out_note(text, len(documents)) if lines else _table_note(text)
    kind = pa.string() if len(text) < INT32_MAX_BYTES // 4 else pa.large_string()
    return source_of_file(pa.table({"text": pa.array(documents, kind)}), place, notes)


def _documents(text: str, *, lines: bool) -> list[str]:
    return [line for line in LINE_END.split(text) if line.strip()] if lines else [text]


def _left_out_note(text: str, kept: int) -> tuple[str, ...]:
    return left_out_words(len(LINE_END.split(text.rstrip("\r\n"))) - kept)


def left_out_words(count: int) -> tuple[str, ...]:
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


# --- lines larger than memory -------------------------------------------------------------------------------


def _spooled(spool: Spool, place: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """The lines of a file, in the files of ``spool``, in the encoding that holds for all of it, and notes."""
    for encoding, skipped in encodings_of(first_bytes(place, HEAD_CHARACTERS)):
        lines = _Lines(place, encoding, skipped)
        try:
            table = spool.written("rows", lines.pieces(), LINES)
        except UnicodeDecodeError:
            continue
        if table.num_rows == 0:
            check_filled(place, "")
        notes = (*told_encoding(place, encoding), *left_out_words(lines.left_out))
        return table, spool.finish(table, notes)
    raise SourceError(undecodable(place))


class _Lines:
    """The lines of a text that hold something, and how many before the last of them do not."""

    def __init__(self, place: Path, encoding: str, skipped: int) -> None:
        self.left_out = 0
        self._place, self._encoding, self._skipped = place, encoding, skipped

    def pieces(self) -> Iterator[pa.Table]:
        """The lines as tables.

        Raises:
            SourceError: one holds a NUL byte.
            UnicodeDecodeError: the text is in another encoding.
        """
        waiting = 0
        with open_bytes(self._place) as stream:
            stream.read(self._skipped)
            lines = enumerate(io.TextIOWrapper(stream, self._encoding, newline=None), start=1)
            while some := list(islice(lines, LINES_AT_ONCE)):
                kept = []
                for number, ended in some:
                    line = ended.removesuffix("\n")
                    if "\0" in line:
                        raise SourceError(nul_words(self._place, number))
                    if line.strip():
                        kept.append(line)
                    waiting += not line.strip()
                    if line:  # lines of nothing at all at the end of a file are none
                        self.left_out, waiting = self.left_out + waiting, 0
                yield pa.table({"text": kept}, schema=LINES)
