"""What stands in a folder, by names alone: on disk or in an archive, before anything is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from fathom.data.source import PARTS

__all__ = [
    "PART_NAMES",
    "Folder",
    "folder_on_disk",
    "in_order",
    "natural_order",
    "part_of_name",
    "part_of_words",
]

PART_NAMES = {"train": "train", "training": "train", "val": "valid", "valid": "valid", "validation": "valid"}
PART_NAMES |= {"dev": "valid", "test": "test", "testing": "test"}

Held = TypeVar("Held")

HIDDEN = (".", "__MACOSX")
WORD = 1 << 20
"""Stands where a number has the count of its digits: words come after numbers."""

NOT_DATA = ("thumbs.db", "desktop.ini", "_success")
"""Files that a system or a program leaves behind, in lower case."""


@dataclass(frozen=True)
class Folder:
    """A folder, whose folders and files are listed when they are first asked for.

    Attributes:
        path: absolute; inside an archive, the archive's own path stands before.
        listing: the paths of the folders and of the files in a folder.
    """

    path: Path
    listing: Callable[[Path], tuple[Iterable[Path], Iterable[Path]]]

    @cached_property
    def folders(self) -> tuple[Folder, ...]:
        """The folders in it that are not hidden, in natural order."""
        return tuple(Folder(path, self.listing) for path in _shown(self.listing(self.path)[0]))

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files in it that are not hidden, in natural order."""
        return tuple(_shown(self.listing(self.path)[1]))

    def files_below(self) -> list[Path]:
        """The files in it and in all folders below it."""
        found: list[Path] = []
        waiting = [self]
        while waiting:  # not by recursion: an archive may name folders a thousand deep
            folder = waiting.pop()
            found += folder.files
            waiting += reversed(folder.folders)
        return found


def folder_on_disk(place: Path) -> Folder:
    """A folder of the file system; one that a link leads back to is not entered again."""
    return Folder(place, _listed)


def _listed(place: Path) -> tuple[list[Path], list[Path]]:
    folders, files = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            path = place / entry.name
            if entry.is_file() or not path.exists():
                files.append(path)  # but a pipe or a device is none: reading it might never end
            elif entry.is_dir() and not (entry.is_symlink() and _leads_back(path)):
                folders.append(path)
    return folders, files


def _leads_back(path: Path) -> bool:
    """Whether a link leads to a folder that it stands in."""
    return os.path.realpath(path) in {os.path.realpath(above) for above in path.parents}


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key by which s2 stands before s10; the name itself decides between 1 and 01."""
    pieces = [piece for piece in re.split(r"([0-9]+)", name.lower()) if piece]
    digits = [piece.lstrip("0") if piece[0] in "0123456789" else None for piece in pieces]
    return [(WORD, piece) if d is None else (len(d), d) for piece, d in zip(pieces, digits, strict=True)], name


def part_of_name(name: str) -> str | None:
    """The part that a folder's whole name says."""
    return PART_NAMES.get(name.strip().lower())


def part_of_words(name: str) -> str | None:
    """The one part that the words of a file's name say, as in adult_train; None where they say none or two."""
    words = re.split(r"[^a-z]+", name.lower())
    found = {PART_NAMES[word] for word in words if word in PART_NAMES}
    return found.pop() if len(found) == 1 else None


def in_order(parts: Mapping[str, Held]) -> dict[str, Held]:
    """The same parts, training first."""
    return {part: parts[part] for part in PARTS if part in parts}


def _shown(paths: Iterable[Path]) -> list[Path]:
    kept = [path for path in paths if not _is_hidden(path.name)]
    return sorted(kept, key=lambda path: natural_order(path.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(HIDDEN) or name.lower() in NOT_DATA
