"""Source: what was read, as Arrow tables, with the target and the split that it brought along."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.fingerprint import fingerprint
from fathom.errors import SourceError

__all__ = [
    "BASE_KEY",
    "IMAGE_SUFFIXES",
    "IMAGE_TYPE",
    "PARTS",
    "KnownSet",
    "Source",
    "base_of",
    "short_name",
    "source_of_file",
    "split_note",
    "with_base",
]

PARTS = ("train", "valid", "test")
PACKED_OR_NOT = re.compile(r"(?i)\.[^.]*?(\.gz)?$")
"""The ending of a file's name."""

BASE_KEY = b"fathom.base"
"""Key of the table's schema metadata that holds the directory which relative paths in cells start from."""

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""A picture still encoded: its bytes, or the absolute path of its file (as in Hugging Face datasets)."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".tif", ".tiff", ".webp")
"""How the names of pictures' files end."""


@dataclass(frozen=True, eq=False)
class Source:
    """One or more tables that were read together.

    Attributes:
        parts: ``"train"`` always; ``"valid"`` and ``"test"`` where the source carries its own split. All have
            the same columns.
        target: the columns that the source itself names as its target; often none.
        name: a short name that may stand in a directory's name.
        place: the absolute path of what was read; None for what was in memory or is bundled.
        notes: what a person should know of how it was read, one sentence each.
        roles: what columns are for, where the source itself tells; what the user says goes before it.
    """

    parts: dict[str, pa.Table]
    target: tuple[str, ...]
    name: str
    place: str | None
    notes: tuple[str, ...]
    roles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert "train" in self.parts, list(self.parts)
        assert set(self.parts) <= set(PARTS), list(self.parts)
        for part, table in self.parts.items():
            check_any_row(self.place or self.name, part, table)
            _check_same_columns(self.place or self.name, part, self.parts["train"], table)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the schema and the values of each part; pictures in files count by path and size."""
        return fingerprint(self.parts, self.place)


@dataclass(frozen=True)
class KnownSet:
    """A data set that has a name, so that no path is needed.

    Attributes:
        summary: what it is, in a line.
        rows: the number of rows in all parts.
        licence: what its publisher states.
        target: the columns that are usually predicted.
    """

    summary: str
    rows: int
    licence: str
    target: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What else is known of it, as JSON holds it."""
        return {"rows": self.rows, "target": list(self.target), "licence": self.licence}


def check_any_row(where: str, part: str, table: pa.Table) -> None:
    if table.num_rows == 0:
        raise SourceError(f"{where}: holds no rows for {part}")


def _check_same_columns(where: str, part: str, train: pa.Table, other: pa.Table) -> None:
    if other.column_names != train.column_names:
        only_one = sorted(set(other.column_names) ^ set(train.column_names))
        raise SourceError(
            f"{where}: train and {part} have different columns; not in both, or in another order: "
            f"{', '.join(only_one or other.column_names)}"
        )


def source_of_file(
    table: pa.Table,
    place: Path,
    notes: tuple[str, ...],
    target: tuple[str, ...] = (),
    roles: Mapping[str, str] | None = None,
) -> Source:
    """The Source of the one table that a file holds."""
    parts = {"train": with_base(table, place.parent)}
    return Source(parts, target, short_name(place), str(place), notes, roles or {})


def short_name(place: Path) -> str:
    """The name of a file without its ending, or of a folder, in letters that a directory may have.

    Args:
        place: an absolute path.
    """
    stem = PACKED_OR_NOT.sub("", place.name) if place.is_file() else place.name
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "data"


def split_note(parts: Mapping[str, pa.Table]) -> tuple[str, ...]:
    """One sentence that says which split the source carries; none where it carries none."""
    if len(parts) == 1:
        return ()
    told = ", ".join(f"{part} {table.num_rows:,} rows" for part, table in parts.items())
    return (f"the source's own split is used: {told}",)


def base_of(table: pa.Table) -> str:
    """The folder from which the relative paths in a table's cells start; empty where the source has none."""
    return os.fsdecode((table.schema.metadata or {}).get(BASE_KEY, b""))


def with_base(table: pa.Table, folder: Path) -> pa.Table:
    """The same table, which now says from which folder the relative paths in its cells start."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), BASE_KEY: os.fsencode(folder)})
