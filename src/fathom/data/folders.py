"""Folders of pictures: a sub-folder for each class, perhaps inside train/, valid/ and test/."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from fathom.data.arrays import PART_NAMES, split_note
from fathom.data.readers import READERS
from fathom.data.source import IMAGE_TYPE, PARTS, Source, short_name, with_base
from fathom.errors import SourceError

__all__ = ["IMAGE_SUFFIXES", "read_image_folder"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")


@READERS.register("image-folder", holds="*")
def read_image_folder(place: Path) -> Source:
    """Read a folder of pictures; the name of the sub-folder that a picture stands in is its label.

    Pictures are not opened: a row holds the path of its file. Without sub-folders there is no label.

    Args:
        place: absolute path of the folder.

    Raises:
        SourceError: there are no pictures, a class has none, or there is only one class.
    """
    folders = _subfolders(place)
    left_out = [path for path in sorted(place.iterdir()) if path.is_file() and not _is_picture(path)]
    if _is_split(folders):
        parts = _parts(place, folders, left_out)
    elif folders:
        parts = {"train": _classes(place, folders, left_out)}
    else:
        parts = {"train": _unlabelled(place, left_out)}
    ordered = {part: with_base(parts[part], place) for part in PARTS if part in parts}
    target = ("label",) if "label" in ordered["train"].column_names else ()
    notes = split_note(ordered) + _left_out_note(left_out, place)
    return Source(ordered, target, short_name(place), str(place), notes)


def _is_split(folders: list[Path]) -> bool:
    """Whether the sub-folders are parts: a class may be called "train" too, but then it holds pictures."""
    train = [folder for folder in folders if PART_NAMES.get(folder.name.lower()) == "train"]
    return bool(train) and bool(_subfolders(train[0])) and not any(map(_is_picture, train[0].iterdir()))


def _parts(place: Path, folders: list[Path], left_out: list[Path]) -> dict[str, pa.Table]:
    parts: dict[str, pa.Table] = {}
    for folder in folders:
        part = PART_NAMES.get(folder.name.lower())
        if part is None or part in parts:
            raise SourceError(
                f"{place}: beside a folder for train stands {folder.name}; allowed are train and one each "
                "for valid (or val) and test, with a folder for each class inside"
            )
        left_out += [path for path in sorted(folder.iterdir()) if path.is_file()]
        parts[part] = _classes(folder, _subfolders(folder), left_out)
    return parts


def _classes(place: Path, folders: list[Path], left_out: list[Path]) -> pa.Table:
    """The pictures of each class folder, in natural order; what is no picture goes to ``left_out``."""
    loose = [path for path in place.iterdir() if _is_picture(path)]
    if loose:
        raise SourceError(f"{place}: {len(loose)} pictures stand beside class folders, as {min(loose).name} does")
    paths: list[str] = []
    labels: list[str] = []
    for folder in folders:
        files = _files_below(folder)
        pictures = [path for path in files if _is_picture(path)]
        left_out += [path for path in files if not _is_picture(path)]
        if not pictures:
            raise SourceError(f"{folder}: no pictures for this class{_other_sources(place)} ({_allowed()})")
        paths += map(str, pictures)
        labels += [folder.name] * len(pictures)
    if len(folders) < 2:
        found = f"only {folders[0].name}" if folders else "none"
        hint = _other_sources(place)
        raise SourceError(f"{place}: expected a folder for each class, at least two; found {found}{hint}")
    return pa.table({"image": _image_column(paths), "label": pa.array(labels, pa.string())})


def _unlabelled(place: Path, left_out: list[Path]) -> pa.Table:
    pictures = sorted(filter(_is_picture, place.iterdir()), key=lambda path: _natural_order(path.name))
    if not pictures:
        raise SourceError(f"{place}: no pictures in this folder{_other_sources(place)} ({_allowed()})")
    return pa.table({"image": _image_column([str(path) for path in pictures])})


def _image_column(paths: list[str]) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [pa.nulls(len(paths), pa.binary()), pa.array(paths, pa.string())], fields=list(IMAGE_TYPE)
    )


def _natural_order(name: str) -> tuple[list[tuple[int, int | str]], str]:
    """A key by which s2 stands before s10; the name itself decides between 1 and 01."""
    pieces = re.split(r"(\d+)", name)
    return [(0, int(piece)) if piece.isdecimal() else (1, piece.lower()) for piece in pieces if piece], name


def _subfolders(place: Path) -> list[Path]:
    found = [path for path in place.iterdir() if path.is_dir() and not _is_hidden(path.name)]
    return sorted(found, key=lambda path: _natural_order(path.name))


def _files_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for above, below, names in os.walk(folder):
        below[:] = sorted((name for name in below if not _is_hidden(name)), key=_natural_order)
        found += [Path(above, name) for name in sorted(names, key=_natural_order) if not _is_hidden(name)]
    return found


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not _is_hidden(path.name)


def _left_out_note(left_out: Iterable[Path], place: Path) -> tuple[str, ...]:
    names = [path.relative_to(place).as_posix() for path in left_out if not _is_hidden(path.name)]
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (f"left out, being no picture: {len(names)} file{'s' if len(names) > 1 else ''} ({shown})",)


def _other_sources(place: Path) -> str:
    """Files at the top of a folder that another reader would read."""
    suffixes = tuple(suffix for entry in READERS for suffix in entry.facts.get("suffixes", ()))
    names = sorted(path.name for path in place.iterdir() if path.name.lower().endswith(suffixes))
    return f"; a file to read there: {', '.join(names[:3])}" if names else ""


def _allowed() -> str:
    return "allowed: " + " ".join(IMAGE_SUFFIXES)
