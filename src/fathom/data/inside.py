"""What stands inside a folder: pictures, tables, texts, or texts that translate each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fathom.data.documents import holds_documents, read_documents
from fathom.data.folders import check_any_picture, has_pictures, pictures_by_path, read_pictures
from fathom.data.parallel import parallel_files, read_aligned
from fathom.data.readers import READERS
from fathom.data.source import Source
from fathom.data.tables import only_folder_in, read_tables, reader_by_name, table_files
from fathom.data.tree import Folder, folder_on_disk
from fathom.registry import Option, options_of

__all__ = ["holds_texts", "options_inside", "read_folder", "read_texts", "tables_inside"]


def _options_of_folder(place: Path) -> Mapping[str, Option]:
    return options_inside(only_folder_in(folder_on_disk(place)))


@READERS.register("folder", holds="*", options=_options_of_folder)
def read_folder(place: Path, **options: Any) -> Source:
    """Read a folder of pictures or of texts by class, of tables or texts for train, valid and test, or of shards.

    Args:
        place: absolute path of the folder.
        options: ``label`` for pictures, ``lines`` for texts, else those of the reader of the files.

    Raises:
        SourceError: there is nothing to read, or several tables that do not belong together.
    """
    folder = only_folder_in(folder_on_disk(place))
    if holds_texts(folder):
        return read_texts(folder, place, options)
    parts = tables_inside(folder)
    if parts is not None:
        return read_tables(parts, place, options)
    check_any_picture(folder)
    return read_pictures(folder, place, pictures_by_path, **options)


def holds_texts(folder: Folder) -> bool:
    """Whether a folder is one of texts that are no tables: by class, or parallel."""
    return is_of_documents(folder) or (tables_inside(folder) is None and parallel_files(folder) is not None)


def read_texts(folder: Folder, place: Path, options: Mapping[str, Any]) -> Source:
    """Read such a folder; ``place`` is the absolute path of the source."""
    if is_of_documents(folder):
        return read_documents(folder, place, **options)
    parallel = parallel_files(folder)
    assert parallel is not None
    return read_aligned(parallel, place)


def is_of_documents(folder: Folder) -> bool:
    """Whether a folder is one of texts, rather than of pictures or tables that texts stand beside."""
    return holds_documents(folder) and not has_pictures(folder)


def tables_inside(folder: Folder) -> dict[str, list[Path]] | None:
    """The tables of each part, by names alone; None for a folder of pictures, or of nothing."""
    return None if has_pictures(folder) else table_files(folder)


def options_inside(folder: Folder) -> Mapping[str, Option]:
    """The options of whatever reads the files in a folder."""
    if is_of_documents(folder):
        return options_of(read_documents)
    parts = tables_inside(folder)
    if parts is not None:
        return READERS.get(reader_by_name(parts["train"][0])).options
    return {} if parallel_files(folder) else options_of(read_pictures)
