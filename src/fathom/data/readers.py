"""``read`` finds the reader for a source, and says what was looked for where there is none.

A reader is a function of one argument that returns a Source. The facts of its registration say what it reads:

* ``suffixes``: ends of file names; the function takes the file's absolute path.
* ``holds``: a pattern that matches something in the folder; the function takes the folder's absolute path.
  Where several match, the longest pattern wins.
* ``joined``: a sign that joins the paths of several files in one name; the function takes their absolute paths.
* ``sets``: names of data sets that need no path, each with its KnownSet; the function takes the name.
* ``takes``: a type; the function takes the object.

Its keyword-only parameters are the options that ``read`` passes on, as everywhere in a Registry. The fact ``options``
is a function that says which there are instead, for a reader that hands them on to others.
"""

from __future__ import annotations

import difflib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.content import check_content
from fathom.data.source import Source
from fathom.errors import SourceError, first_line, unknown_name
from fathom.registry import Entry, Option, Registry, check_options

__all__ = ["READERS", "accepted_options", "call_reader", "read", "reader_of_file", "reader_of_folder"]

READERS = Registry("reader", "fathom.data")

DAMAGE = (
    *(pa.ArrowException, OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, struct.error),
    *(MemoryError, OverflowError, NotImplementedError, RecursionError, UnicodeError),
)
"""What the libraries raise for a source that is not what it seems; a MemoryError for a length that is absurd."""


def read(source: Any, *, target: str | Sequence[str] | None = None, **options: Any) -> Source:
    """Read a source into Arrow tables.

    Args:
        source: a path (a CSV, Parquet, JSONL, Arrow, NPZ, IDX or ZIP file, a folder of pictures or tables), an object
            with ``__arrow_c_stream__`` (pandas, polars, pyarrow, ...), a dict of arrays, or the name of a
            data set (``fathom list sets``).
        target: the columns to name as target instead of those the source itself names; ``()`` for none.
        options: those of the source's reader, as in ``columns=("label", "text")`` for a CSV without a header.

    Returns:
        What was read. A Source is returned as it is.

    Raises:
        SourceError: nothing stands there, nothing reads it, or it is damaged; it says what and where.
        ConfigError: its reader has no such option, or not that value.
    """
    found = source if isinstance(source, Source) else _read_any(source, options)
    if target is None:
        return found
    names = (target,) if isinstance(target, str) else tuple(target)
    columns = found.parts["train"].column_names
    for name in names:
        if name not in columns:
            raise SourceError(f"{found.place or found.name}: {unknown_name('column', name, columns)}")
    return replace(found, target=names)


def accepted_options(source: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that the source's reader has.

    Raises:
        SourceError: nothing reads the source.
    """
    if isinstance(source, Source):
        return {}
    reader, argument, _ = _reader_of(source)
    allowed = _options_of(reader, argument)
    return {name: value for name, value in options.items() if name in allowed}


def _read_any(source: Any, options: Mapping[str, Any]) -> Source:
    reader, argument, where = _reader_of(source)
    return call_reader(reader, argument, where, options)


def _reader_of(source: Any) -> tuple[Entry, Any, str]:
    """The reader of a source, what it is called with, and what messages call the source."""
    if isinstance(source, str | Path):
        with _damage_told(str(source)[:200]):
            return _reader_of_name(source)
    for entry in READERS:
        if "takes" in entry.facts and isinstance(source, entry.facts["takes"]):
            return entry, source, f"the {type(source).__name__} given"
    raise SourceError(
        f"cannot read a {type(source).__name__} (allowed: a path, the name of a data set, a dict of "
        "arrays, or an object with __arrow_c_stream__, as the frames of pandas, polars and pyarrow have it)"
    )


def _reader_of_name(source: str | Path) -> tuple[Entry, Any, str]:
    """What reads the file or folder at a path, or else the data set of that name."""
    place = Path(os.path.abspath(Path(source).expanduser()))
    if place.is_dir():
        return reader_of_folder(place), place, str(place)
    if place.is_file():
        return reader_of_file(place), place, str(place)
    for entry in READERS:
        paths = _joined(str(source), entry.facts.get("joined"))
        if paths:
            return entry, paths, str(source)
    sets, name = _known_sets(), str(source).strip().lower().replace("_", "-")
    if name in sets:
        return sets[name], name, name
    raise SourceError(_nothing_there(source, place, list(sets)))


def _joined(name: str, sign: str | None) -> tuple[Path, ...]:
    """The files whose paths a sign joins; none where it joins none.

    Raises:
        SourceError: one of them is there, and another is not.
    """
    if sign is None or sign not in name:
        return ()
    paths = [Path(os.path.abspath(Path(piece.strip()).expanduser())) for piece in name.split(sign)]
    absent = [path for path in paths if not path.is_file()]
    if len(absent) == len(paths):
        return ()
    if absent:
        raise SourceError(_nothing_there(str(absent[0]), absent[0], []))
    return tuple(paths)


def call_reader(entry: Entry, argument: Any, where: str, options: Mapping[str, Any]) -> Source:
    """Run a reader; whatever the libraries say of a damaged source becomes a SourceError.

    Raises:
        SourceError: the source is damaged.
        ConfigError: the reader has no such option, or not that value.
    """
    with _damage_told(where):
        checked = check_options(f"the reader {entry.name}", _options_of(entry, argument), options)
        found: Source = entry.factory(argument, **checked)
        return found


def _options_of(entry: Entry, argument: Any) -> Mapping[str, Option]:
    """A reader's options; of one that reads files by their own readers, those which these have."""
    options: Mapping[str, Option] = entry.facts["options"](argument) if "options" in entry.facts else entry.options
    return options


@contextmanager
def _damage_told(where: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise SourceError(f"{where}: cannot be read: {first_line(error)}") from error


def reader_of_file(place: Path) -> Entry:
    """The reader for a file, by its name's end."""
    known = {suffix: entry for entry in READERS for suffix in entry.facts.get("suffixes", ())}
    for suffix, reader in known.items():
        if place.name.lower().endswith(suffix):
            check_content(place, suffix)
            return reader
    check_content(place, "")
    endings, hint = ", ".join(sorted(known)), _with_partner(place, list(known))
    raise SourceError(f"{place}: no reader for such a file (allowed endings: {endings}){hint}")


def _with_partner(place: Path, known: Sequence[str]) -> str:
    """What to type for a text beside which stands one of the same name and another ending."""
    stem = place.name.partition(".")[0]
    beside = sorted(path.name for path in place.parent.iterdir() if path.name.partition(".")[0] == stem)
    partners = [name for name in beside if name != place.name and not name.lower().endswith(tuple(known))]
    if not partners:
        return ""
    return (
        f"; if its lines belong to those of {partners[0]}, name {place.name}+{partners[0]}; if the endings are "
        "classes, name the folder, and --lines"
    )


def reader_of_folder(place: Path) -> Entry:
    """The reader for a folder, by the longest pattern that something in it matches."""
    patterns = {entry.facts["holds"]: entry for entry in READERS if "holds" in entry.facts}
    for pattern in sorted(patterns, key=len, reverse=True):
        if next(place.glob(pattern), None) is not None:
            return patterns[pattern]
    raise SourceError(f"{place}: the folder is empty")


def _known_sets() -> dict[str, Entry]:
    return {name: entry for entry in READERS for name in entry.facts.get("sets", ())}


def _nothing_there(source: str | Path, place: Path, sets: list[str]) -> str:
    """What was looked for, the nearest folder that exists, near names in it, and the data sets that have a name."""
    if os.path.lexists(place):
        special = "neither a file nor a folder; write what it gives into a file"
        what = special if place.exists() else "a link to nothing"
        return f"nothing to read at {str(source)!r}: {place} is {what}"
    if place.parent.is_dir():
        names = [path.name for path in place.parent.iterdir()]
        near = difflib.get_close_matches(place.name, [*names, *sets], n=3, cutoff=0.5)
        hint = f"; near: {', '.join(near)}" if near else f"; nothing near in {place.parent}"
    else:
        folder = next(parent for parent in place.parents if parent.is_dir())
        hint = f"; the folder {place.parent} does not exist, {folder} does"
    named = f" (data sets: {', '.join(sorted(sets))}; see fathom list sets)" if sets else ""
    return f"nothing to read at {str(source)!r}: looked for {place}{hint}{named}"
