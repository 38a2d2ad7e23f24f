"""``read`` finds the reader for a source, and says what was looked for where there is none.

A reader is a function of one argument that returns a Source. The facts of its registration say what it reads:

* ``suffixes``: ends of file names; the function takes the file's absolute path.
* ``holds``: a pattern that matches something in the folder; the function takes the folder's absolute path.
  Where several match, the longest pattern wins.
* ``sets``: names of data sets that need no path; the function takes the name.
* ``takes``: a type; the function takes the object.
"""

from __future__ import annotations

import difflib
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.source import Source
from fathom.errors import SourceError, unknown_name
from fathom.registry import Registry

__all__ = ["READERS", "read"]

READERS = Registry("reader", "fathom.data")


def read(source: Any, *, target: str | Sequence[str] | None = None) -> Source:
    """Read a source into Arrow tables.

    Args:
        source: a path (a CSV, Parquet, JSONL, Arrow, NPZ or IDX file, or a folder of pictures), an object
            with ``__arrow_c_stream__`` (pandas, polars, pyarrow, ...), a dict of arrays, or the name of a
            bundled set.
        target: the columns to name as target instead of those the source itself names; ``()`` for none.

    Returns:
        What was read. A Source is returned as it is.

    Raises:
        SourceError: nothing stands there, nothing reads it, or it is damaged; it says what and where.
    """
    found = source if isinstance(source, Source) else _read_any(source)
    if target is None:
        return found
    names = (target,) if isinstance(target, str) else tuple(target)
    columns = found.parts["train"].column_names
    for name in names:
        if name not in columns:
            raise SourceError(f"{found.place or found.name}: {unknown_name('column', name, columns)}")
    return replace(found, target=names)


def _read_any(source: Any) -> Source:
    if isinstance(source, str | Path):
        return _call(_read_named, source, str(source)[:200])
    for entry in READERS:
        if "takes" in entry.facts and isinstance(source, entry.facts["takes"]):
            return _call(entry.factory, source, f"the {type(source).__name__} given")
    raise SourceError(
        f"cannot read a {type(source).__name__} (allowed: a path, the name of a bundled set, a dict of "
        "arrays, or an object with __arrow_c_stream__, as the frames of pandas, polars and pyarrow have it)"
    )


def _read_named(source: str | Path) -> Source:
    """Read what stands at a path, or else the bundled set of that name."""
    place = Path(os.path.abspath(Path(source).expanduser()))
    sets = _bundled_sets()
    if place.is_dir():
        return _reader_of_folder(place)(place)
    if place.is_file():
        return _reader_of_file(place)(place)
    name = str(source).strip().lower().replace("_", "-")
    if name in sets:
        return sets[name](name)
    raise SourceError(_nothing_there(source, place, list(sets)))


def _call(reader: Callable[[Any], Source], argument: Any, where: str) -> Source:
    """Run a reader; whatever the libraries say of a damaged source becomes a SourceError."""
    try:
        return reader(argument)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise SourceError(f"{where}: cannot be read: {reason or type(error).__name__}") from error


def _reader_of_file(place: Path) -> Callable[[Any], Source]:
    known = {suffix: entry.factory for entry in READERS for suffix in entry.facts.get("suffixes", ())}
    for suffix, reader in known.items():
        if place.name.lower().endswith(suffix):
            return reader
    raise SourceError(f"{place}: no reader for such a file (allowed endings: {', '.join(sorted(known))})")


def _reader_of_folder(place: Path) -> Callable[[Any], Source]:
    patterns = {entry.facts["holds"]: entry.factory for entry in READERS if "holds" in entry.facts}
    for pattern in sorted(patterns, key=len, reverse=True):
        if next(place.glob(pattern), None) is not None:
            return patterns[pattern]
    raise SourceError(f"{place}: the folder is empty")


def _bundled_sets() -> dict[str, Callable[[Any], Source]]:
    return {name: entry.factory for entry in READERS for name in entry.facts.get("sets", ())}


def _nothing_there(source: str | Path, place: Path, sets: list[str]) -> str:
    """What was looked for, the nearest folder that exists, near names in it, and the bundled sets."""
    if place.parent.is_dir():
        names = [path.name for path in place.parent.iterdir()]
        near = difflib.get_close_matches(place.name, [*names, *sets], n=3, cutoff=0.5)
        hint = f"; near: {', '.join(near)}" if near else f"; nothing near in {place.parent}"
    else:
        folder = next(parent for parent in place.parents if parent.is_dir())
        hint = f"; the folder {place.parent} does not exist, {folder} does"
    return f"nothing to read at {str(source)!r}: looked for {place}{hint} (bundled: {', '.join(sets)})"
