"""Folders of tables: parts that files or folders name (train.csv and test.csv), and shards of one table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.agreement import ReadFile, same_columns, same_types
from fathom.data.readers import READERS, call_reader, reader_of_file
from fathom.data.source import Source, short_name, split_note
from fathom.data.spool import read_together
from fathom.data.tree import Folder, in_order, natural_order, part_of_name, part_of_words
from fathom.errors import SourceError, listed

__all__ = ["files_to_read", "only_folder_in", "read_tables", "reader_by_name", "table_files"]

BESIDE_TABLES = (".txt", ".txt.gz", ".json", ".json.gz")
"""What mostly describes the tables that it stands beside."""

ABOUT_TABLES = ("readme", "license", "licence", "copying", "changelog", "notice", "citation")
"""What files are called that say something of the others."""

UNTYPED = "csv"
"""The reader that decides types from cells, so that two files may differ where the column does not."""

NUMBERING = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}-c[0-9]+|(?<=-)[0-9a-f]{16}$|[0-9]+")
"""What shards of one table differ by: numbers, and the marks of Spark and Hugging Face."""

OF_TOTAL = re.compile(r"(?P<number>[0-9]+)-of-(?P<total>[0-9]+)")


def only_folder_in(folder: Folder) -> Folder:
    """The folder itself, or the one that all there is stands in, where it holds more than one class would."""
    while len(folder.folders) == 1 and not folder.files:
        inside = folder.folders[0]
        if part_of_name(inside.path.name) is not None or not (inside.folders or files_to_read(inside)):
            break
        folder = inside
    return folder


def files_to_read(folder: Folder) -> list[Path]:
    """The files at the top of a folder that some reader reads."""
    suffixes = tuple(_suffixes())
    found = [path for path in folder.files if path.name.lower().endswith(suffixes)]
    return [path for path in found if path.name.partition(".")[0].lower() not in ABOUT_TABLES]


def table_files(folder: Folder) -> dict[str, list[Path]] | None:
    """The files of each part, by names alone; None where the folder holds no tables.

    Raises:
        SourceError: there are several files that neither say their parts nor are shards of one table.
    """
    inside = {part_of_name(found.path.name): found for found in folder.folders}
    if "train" in inside and holds_shards(inside["train"]):
        return _parts_of_folders(folder, inside)
    files = _of_one_format(folder, folder.path)
    if not files or (folder.folders and all(_is_beside(path) for path in files)):
        return None
    if len(files) == 1:
        return {"train": files}
    parts: dict[str, list[Path]] = {}
    for path in files:
        parts.setdefault(str(part_of_words(_stem(path))), []).append(path)
    if "None" in parts or "train" not in parts:
        parts = {"train": files}
    for found in parts.values():
        check_shards(found, folder.path)
        check_all_there(found, folder.path)
    return in_order(parts)


def holds_shards(folder: Folder) -> bool:
    return not folder.folders and any(not _is_beside(path) for path in files_to_read(folder))


def _parts_of_folders(folder: Folder, inside: Mapping[str | None, Folder]) -> dict[str, list[Path]]:
    if None in inside or len(inside) < len(folder.folders):
        names = listed((found.path.name for found in folder.folders), 6)
        raise SourceError(f"{folder.path}: train and folders that are no parts stand side by side: {names}")
    parts = {str(part): _of_one_format(found, folder.path) for part, found in inside.items()}
    for part, files in parts.items():
        if not files:
            raise SourceError(f"{folder.path}: nothing to read in its folder for {part}")
        check_shards(files, folder.path)
        check_all_there(files, folder.path)
    return in_order(parts)


def _of_one_format(folder: Folder, place: Path) -> list[Path]:
    """The tables in a folder; text and JSON count where nothing else stands there.

    Raises:
        SourceError: they are of more than one format.
    """
    found = files_to_read(folder)
    files = [path for path in found if not _is_beside(path)] or found
    check_one_format(files, place)
    return files


def check_one_format(files: Sequence[Path], place: Path) -> None:
    if len({reader_by_name(path) for path in files}) > 1:
        raise SourceError(f"{place}: holds tables of several formats; name one of them: {_names(files)}")


def reader_by_name(path: Path) -> str:
    """The name of the reader for a file, which need not be there."""
    return _suffixes()[_suffix(path)]


def _suffixes() -> dict[str, str]:
    """Each ending that a file's name may have, the longest first, to the name of its reader."""
    known = {suffix: entry.name for entry in READERS for suffix in entry.facts.get("suffixes", ())}
    return {suffix: known[suffix] for suffix in sorted(known, key=len, reverse=True)}


def _suffix(path: Path) -> str:
    return next(suffix for suffix in _suffixes() if path.name.lower().endswith(suffix))


def _is_beside(path: Path) -> bool:
    return path.name.lower().endswith(BESIDE_TABLES)


def _stem(path: Path) -> str:
    return path.name[: -len(_suffix(path))]


def check_shards(files: Sequence[Path], place: Path) -> None:
    """Check that files differ by their numbers alone."""
    if len({NUMBERING.sub("#", path.name.lower()) for path in files}) > 1:
        raise SourceError(
            f"{place}: holds {len(files)} tables that neither say train, valid or test nor are shards of one; "
            f"name one of them: {_names(files)}"
        )


def check_all_there(files: Sequence[Path], place: Path) -> None:
    """Check that none of a stated number of shards is missing."""
    numbered = [found for path in files if (found := OF_TOTAL.search(path.name))]
    totals = {int(found["total"]) for found in numbered}
    if len(totals) > 1:
        raise SourceError(f"{place}: holds shards of several tables: {_names(files)}")
    if numbered and len(numbered) != max(totals):
        there = {int(found["number"]) for found in numbered}
        first = min(there & {0, 1}, default=0)
        missing = sorted(set(range(first, first + min(max(totals), len(there) + 1))) - there)
        raise SourceError(
            f"{place}: {len(numbered)} of {max(totals)} shards are there; shard {listed(map(str, missing))} is not"
        )


def read_tables(
    parts: Mapping[str, Sequence[Path]],
    place: Path,
    options: Mapping[str, Any],
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> Source:
    """Read the files of each part, and make one table of each part's.

    Args:
        parts: each part to its files.
        place: absolute path of the source.
        options: of the files' reader.
        own: further options for a file of that name alone.

    Raises:
        SourceError: the files differ in their columns, or in the type of one.
    """
    own = own or {}
    wanted = [(part, path) for part, paths in parts.items() for path in (list(filter(has_rows, paths)) or paths)]
    with read_together([path for _, path in wanted]):
        files = [_read(path, part, {**options, **own.get(path.name, {})}) for part, path in wanted]
    if len(files) == 1:
        return replace(files[0].source, name=short_name(place))
    check_no_own_split(files)
    files, notes = same_columns(files, place)
    files, more = same_types(files, place)
    tables: dict[str, pa.Table] = {}
    for part in parts:
        found = [file.table for file in files if file.part == part]
        if found:
            metadata = found[0].schema.metadata
            tables[part] = pa.concat_tables(found).replace_schema_metadata(metadata)
    name = short_name(place)
    notes += more + split_note(tables) + _shard_notes(parts) + _notes_of_files(files)
    first = files[0].source
    return Source(tables, first.target, name, str(place), notes, first.roles)


def _read(path: Path, part: str, options: Mapping[str, Any]) -> ReadFile:
    entry = reader_of_file(path)
    source = call_reader(entry, path, str(path), options)
    return ReadFile(part, path.name, source, entry.name == UNTYPED)


def has_rows(path: Path) -> bool:
    """Whether a shard holds rows: Spark writes Parquet shards that hold none."""
    if reader_by_name(path) != "parquet":
        return True
    from pyarrow import parquet

    try:
        return bool(parquet.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return True  # its reader says what is wrong


def check_no_own_split(files: Sequence[ReadFile]) -> None:
    for file in files:
        if len(file.source.parts) > 1:
            told = ", ".join(file.source.parts)
            raise SourceError(f"{file.source.place}: carries a split of its own, {told}; name it alone")


def _shard_notes(parts: Mapping[str, Sequence[Path]]) -> tuple[str, ...]:
    return tuple(
        f"{len(paths)} files are read as one table: {listed((path.name for path in paths), 2)}"
        for paths in parts.values()
        if len(paths) > 1
    )


def _notes_of_files(files: Sequence[ReadFile]) -> tuple[str, ...]:
    """What was said of single files; of notes that differ by their examples alone, the first and their number."""
    said: dict[str, list[str]] = {}
    for file in files:
        for note in file.source.notes:
            said.setdefault(note.split("(", 1)[0], []).append(f"{file.name}: {note}")
    return tuple(notes[0] + (f"; likewise {len(notes) - 1} more" if len(notes) > 1 else "") for notes in said.values())


def _names(files: Sequence[Path]) -> str:
    return listed((path.name for path in sorted(files, key=lambda path: natural_order(path.name))), 6)
