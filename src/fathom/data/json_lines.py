"""JSON: an object a line, or one array of objects.

pyarrow parses; where it refuses, or may have lost digits, the lines are read again one by one, which either repairs
what can be repaired or finds the line to tell.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from fathom.data.columnar import source_of_table
from fathom.data.encoding import first_bytes, open_bytes
from fathom.data.json_objects import JSON_BLANKS, as_parsed, is_array, table_of_objects, text_note
from fathom.data.json_stream import FALLBACK_ENCODING, UTF16_MARKS, spooled_lines
from fathom.data.questions import may_hold_questions, questions_in_json
from fathom.data.readers import READERS
from fathom.data.selection import LARGE_SHARE
from fathom.data.source import Source, source_of_file
from fathom.data.spool import Spool, is_large_file
from fathom.errors import SourceError

__all__ = ["read_json_lines"]

UTF8_MARK = b"\xef\xbb\xbf"

ARRAY_GROWTH = 2
"""How much more memory than others a file takes that is one array, which is there as Python's objects for a while."""

GROWTH = 3
"""How much more memory the reading of a file takes than it has bytes."""


@READERS.register("jsonl", suffixes=(".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz"))
def read_json_lines(place: Path) -> Source:
    """Read a file with one JSON object a line, or with one array of objects; a key that one lacks is missing there.

    Objects inside objects become columns such as ``a.b``; lists stay lists, but a list of messages becomes a row for
    each reply. A file in the format of SQuAD becomes a row for each question.

    Args:
        place: absolute path of the file; .gz is unpacked.

    Raises:
        SourceError: a line is no object, names a key twice, or holds another sort of value than the lines before.
    """
    if is_large_file(place, GROWTH) and not _is_one_array(place):
        return _read_large(place)
    with open_bytes(place) as stream:
        data, notes = decoded(bytes(stream.read()), place)
    check_filled(data, place)
    if may_hold_questions(data):
        found = questions_in_json(data, place, notes)
        if found is not None:
            return found
    table = as_parsed(data)
    if table is None:
        table, unheld = table_of_objects(data, place)
        notes += tuple(map(text_note, unheld))
    _check_is_table(table, place)
    return source_of_table(table, place, notes)


def _read_large(place: Path) -> Source:
    spool = Spool(place, {})
    with spool.opened():
        table, notes = spool.found() or spooled_lines(spool, place)
    _check_is_table(table, place)
    return source_of_file(table, place, notes)


def _check_is_table(table: pa.Table, place: Path) -> None:
    if is_one_object(table, place):
        raise SourceError(
            f"{place}: holds one object with lists inside; expected an object a line, or an array of objects"
        )
    check_keys(table, place)


def check_filled(data: bytes, place: Path) -> None:
    if not data.strip(JSON_BLANKS):
        raise SourceError(f"{place}: the file is empty")


def check_keys(table: pa.Table, place: Path) -> None:
    if table.num_columns == 0:
        raise SourceError(f"{place}: its objects hold no keys, so there is no column")


def decoded(data: bytes, place: Path) -> tuple[bytes, tuple[str, ...]]:
    """The file's text as UTF-8 without a mark, and a note where it was written otherwise."""
    if data[:2] in UTF16_MARKS:
        try:
            return data.decode("utf-16").encode(), ("the text is UTF-16",)
        except UnicodeError as error:
            raise SourceError(f"{place}: the text begins as UTF-16 does, but is not: {error}") from error
    try:
        data.decode()
    except UnicodeDecodeError:
        try:
            return data.decode(FALLBACK_ENCODING).encode(), (f"the text is not UTF-8; read as {FALLBACK_ENCODING}",)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise SourceError(f"{place}: line {line}: the text is neither UTF-8 nor {FALLBACK_ENCODING}") from error
    return data.removeprefix(UTF8_MARK), ()


def is_one_object(table: pa.Table, place: Path) -> bool:
    """Whether a .json file holds a single object of nested ones, which is no table of one row."""
    is_json = place.name.lower().endswith((".json", ".json.gz"))
    return is_json and table.num_rows == 1 and any(map(pa.types.is_nested, table.schema.types))


def _is_one_array(place: Path) -> bool:
    """Whether a large file is one array.

    Raises:
        SourceError: it is, and memory cannot hold it.
    """
    head = first_bytes(place, 64).removeprefix(UTF8_MARK).lstrip(b"\xff\xfe").replace(b"\0", b"")
    if not is_array(head):
        return False
    if is_large_file(place, ARRAY_GROWTH * GROWTH * LARGE_SHARE):
        raise SourceError(
            f"{place}: is one array, and memory cannot hold all of it; write an object a line (jq -c '.[]'), "
            "which is read a piece at a time"
        )
    return True
