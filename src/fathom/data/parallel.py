"""Parallel texts: files whose lines belong together, line by line, as a corpus of translations has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.content import DOCUMENTS
from fathom.data.encoding import sound_text
from fathom.data.readers import READERS
from fathom.data.source import Source, short_name, split_note, with_base
from fathom.data.tree import Folder, in_order, part_of_words
from fathom.errors import SourceError, listed

__all__ = ["parallel_files", "read_aligned", "read_parallel"]

LANGUAGE = re.compile(r"[a-z]{2}([-_][A-Za-z]{2,4})?|[a-z]{3}_[A-Z][a-z]{3}|src|tgt|source|target")
"""What ends the names of files that translate each other: de, pt_BR, zh-Hans, deu_Latn."""

ANSWERS = ("tgt", "target")
"""Endings that say which of the texts is the translation."""


@READERS.register("parallel", joined="+")
def read_parallel(places: tuple[Path, ...]) -> Source:
    """Read files whose lines belong together, as in ``train.de+train.en``; each file is a column.

    A column is named by the ending of its file. A line without text is missing there, so that the others stay beside
    their partners.

    Args:
        places: absolute paths of the files; .gz is unpacked.

    Raises:
        SourceError: the files differ in their numbers of lines, or one is empty.
    """
    return read_aligned({"train": _columns(places)}, places[0])


def parallel_files(folder: Folder) -> dict[str, dict[str, Path]] | None:
    """The files of each part, by language, where a folder holds texts in several; None where it does not.

    Raises:
        SourceError: a file lacks its partner, or the names say no parts.
    """
    texts: dict[str, dict[str, Path]] = {}
    for path in folder.files:
        stem, language = _name_and_language(path)
        if LANGUAGE.fullmatch(language) and stem:
            texts.setdefault(stem, {})[language] = path
    if not any(len(found) > 1 for found in texts.values()):
        return None
    languages = max(texts.values(), key=len).keys()
    for stem, found in texts.items():
        lacking = [language for language in languages if language not in found]
        if lacking:
            have = next(iter(found.values())).name
            raise SourceError(f"{folder.path}: beside {have} stands no {stem}.{lacking[0]}, as beside the others does")
    return _in_parts(texts, folder)


def _in_parts(texts: Mapping[str, dict[str, Path]], folder: Folder) -> dict[str, dict[str, Path]]:
    if len(texts) == 1:
        return {"train": next(iter(texts.values()))}
    parts = {str(part_of_words(stem)): found for stem, found in texts.items()}
    if len(parts) < len(texts) or "train" not in parts or "None" in parts:
        names = listed(list(texts), 6)
        files = "+".join(path.name for path in next(iter(texts.values())).values())
        raise SourceError(
            f"{folder.path}: holds parallel texts whose names do not say one each for train, valid and test: {names}; "
            f"name files, as in {files}"
        )
    return in_order(parts)


def read_aligned(parts: Mapping[str, Mapping[str, Path]], place: Path) -> Source:
    """Read the parallel files of each part.

    Args:
        parts: each part to its files, each by the name of its column.
        place: absolute path of the source, or of the first of its files.
    """
    notes: list[str] = []
    tables = {part: _table(files, notes) for part, files in parts.items()}
    names = next(iter(tables.values())).column_names
    target = tuple(name for name in names if name in ANSWERS)
    files = next(iter(parts.values())).values()
    where = str(place) if place.is_dir() else "+".join(map(str, files))
    based = {part: with_base(table, next(iter(files)).parent) for part, table in tables.items()}
    return Source(based, target, short_name(place), where, split_note(tables) + tuple(notes))


def _columns(places: Sequence[Path]) -> dict[str, Path]:
    """The files by the names of their columns: by their endings, or by their whole names where these do not differ."""
    endings = [_name_and_language(path)[1] for path in places]
    if len(set(endings)) == len(places) and all(endings):
        return dict(zip(endings, places, strict=True))
    names = [_plain_name(path) for path in places]
    if len(set(names)) < len(names):
        raise SourceError(f"{places[0]}: the files that are joined need names that differ: {listed(names)}")
    return dict(zip(names, places, strict=True))


def _name_and_language(path: Path) -> tuple[str, str]:
    stem, dot, ending = _plain_name(path).rpartition(".")
    return (stem, ending) if dot else (ending, "")


def _plain_name(path: Path) -> str:
    """A file's name without the endings that say how it is packed, or that it is text."""
    lower = path.name.lower()
    known = next((ending for ending in (*reversed(DOCUMENTS), ".gz") if lower.endswith(ending)), "")
    return path.name[: len(path.name) - len(known)]


def _table(files: Mapping[str, Path], notes: list[str]) -> pa.Table:
    lines: dict[str, Any] = {}
    for name, path in files.items():
        text, told = sound_text(path)
        lines[name] = _lines(text)
        notes += [f"{path.name}: {note}" for note in told]
    _check_same_count(files, lines)
    columns = {name: _with_missing(found) for name, found in lines.items()}
    for name, column in columns.items():
        if column.null_count:
            notes.append(f"{files[name].name}: {column.null_count:,} lines hold no text; they are missing")
    return pa.table(columns)


def _lines(text: str) -> list[str]:
    """The lines of a text, empty ones too; only line feeds end one, as a partner counts them."""
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old Macs wrote
    return text.removesuffix("\n").split("\n")


def _check_same_count(files: Mapping[str, Path], lines: Mapping[str, Sequence[str]]) -> None:
    (first, found), *others = lines.items()
    for name, other in others:
        if len(other) != len(found):
            raise SourceError(
                f"{files[first]} has {len(found):,} lines, {files[name].name} {len(other):,}; "
                "each line of one must belong to the same line of the other"
            )


def _with_missing(lines: Sequence[str]) -> pa.ChunkedArray:
    cells = pa.chunked_array([pa.array(lines, pa.large_string())])
    plain = pc.utf8_trim_whitespace(cells)
    filled = pc.if_else(pc.equal(plain, ""), pa.scalar(None, pa.large_string()), plain)
    return filled.cast(pa.string()) if filled.nbytes < 2**31 else filled
