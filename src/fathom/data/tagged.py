"""Tagged texts, as CoNLL has them: a token a line with its tags behind it, and a blank line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from fathom.data.encoding import first_bytes, sound_text
from fathom.data.readers import READERS
from fathom.data.source import Source, source_of_file
from fathom.errors import SourceError

__all__ = ["holds_tags", "is_tagged", "read_tagged", "tagged_in_text"]

ENDINGS = (".conll", ".conll.gz", ".iob", ".iob2", ".bio")
NEW_DOCUMENT = "-DOCSTART-"
HEAD_CHARACTERS = 1 << 16
IOB = re.compile(r"O|[BIESLU]-\S+")
BLANKS = re.compile("[ \t]+")  # a blank that does not break a line stands within a token
TOKENS, TAGS = "tokens", "tags"


@READERS.register("conll", suffixes=ENDINGS)
def read_tagged(place: Path) -> Source:
    """Read a token a line, its tag behind a tab or a blank, sentences divided by blank lines; a sentence is a row.

    The first cells of the lines are ``tokens``, the last ``tags``; those between are ``column_2`` and so on.

    Args:
        place: absolute path of the file; .gz is unpacked.

    Raises:
        SourceError: a line has another number of cells than the first.
    """
    text, notes = sound_text(place)
    return tagged_in_text(text, place, notes)


def holds_tags(text: str) -> bool:
    """Whether a text is sentences of tokens with tags that say where names begin and end."""
    head = text[:HEAD_CHARACTERS].strip()
    lines = [line.split() for line in head.split("\n")][:-1]
    rows = [cells for cells in lines if cells and cells[0] != NEW_DOCUMENT]
    ends = sum(not after and bool(before) for before, after in pairwise(lines))
    tags = {cells[-1] for cells in rows}
    return ends > 0 and all(len(cells) > 1 for cells in rows) and len(tags) > 1 and all(map(IOB.fullmatch, tags))


def is_tagged(place: Path) -> bool:
    """Whether a file begins as such a text does; as ``holds_tags``."""
    return holds_tags(first_bytes(place, HEAD_CHARACTERS).decode("utf-8", "ignore"))


def tagged_in_text(text: str, place: Path, notes: tuple[str, ...]) -> Source:
    """The sentences of a text whose tokens have tags; as ``read_tagged``."""
    cells, ends = list[list[str]](), [0]
    for row in _rows(text, place):
        if row is not None:
            cells.append(row)
        elif ends[-1] < len(cells):
            ends.append(len(cells))
    _check_any(cells, place)
    offsets = pa.array(np.unique([*ends, len(cells)]), pa.int32())
    columns = {
        name: pa.ListArray.from_arrays(offsets, pa.array(found, pa.string()))
        for name, found in zip(_names(len(cells[0])), zip(*cells, strict=True), strict=True)
    }
    roles = {name: "ignore" for name in columns if name not in (TOKENS, TAGS)}
    return source_of_file(pa.table(columns), place, notes, (TAGS,), roles)


def _check_any(cells: list[list[str]], place: Path) -> None:
    if not cells:
        raise SourceError(f"{place}: holds no token")


def _names(width: int) -> list[str]:
    return [TOKENS, *(f"column_{number}" for number in range(2, width)), TAGS]


def _rows(text: str, place: Path) -> Iterator[list[str] | None]:
    """The cells of each line, and None where a sentence ends.

    Raises:
        SourceError: a line has another number of cells than the first.
    """
    width, mark = 0, None
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old Macs wrote
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith(NEW_DOCUMENT):
            yield None
            continue
        if not width:
            mark = "\t" if "\t" in line else None
        cells = line.rstrip("\r").split(mark) if mark else BLANKS.split(line.strip(" \t\r"))
        width = width or len(cells)
        if len(cells) != width or width < 2:
            told = "a token and its tag are expected" if width < 2 else f"the first line {width}"
            raise SourceError(f"{place}: line {number} has {len(cells)} cells, {told}: {line.strip()[:60]!r}")
        yield cells
