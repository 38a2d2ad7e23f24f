"""Folders of pictures: a sub-folder for each class, perhaps inside train/, valid/ and test/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from fathom.data.source import IMAGE_SUFFIXES, IMAGE_TYPE, Source, short_name, split_note, with_base
from fathom.data.tables import files_to_read
from fathom.data.tree import Folder, in_order, part_of_name
from fathom.errors import SourceError, listed

__all__ = [
    "check_any_picture",
    "check_part",
    "check_several",
    "class_notes",
    "has_pictures",
    "is_split",
    "pictures_by_path",
    "read_pictures",
]

DEEPEST_CLASSES = 3
"""Pictures that stand deeper than this are not looked for when a folder also holds tables."""


@dataclass
class _Found:
    """The pictures of each part with their labels, and what else was come by."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[Path] = field(default_factory=list)
    inner: dict[str, None] = field(default_factory=dict)


def check_any_picture(folder: Folder) -> None:
    """Refuse a folder without pictures by what is in it, rather than by what its first folder lacks.

    Raises:
        SourceError: there is none.
    """
    if _holds_a_picture(folder):
        return
    if not folder.folders:
        names = listed(path.name for path in folder.files) or "nothing"
        raise SourceError(f"{folder.path}: no pictures and no table in this folder; it holds {names} ({_allowed()})")
    inside = listed((found.path.relative_to(folder.path).as_posix() for found in _to_name(folder)), 6)
    if not inside:
        raise SourceError(f"{folder.path}: no pictures and no table in this folder or those in it ({_allowed()})")
    raise SourceError(f"{folder.path}: no pictures, and no table at its top{_to_read(folder)}; name one of: {inside}")


def _to_name(folder: Folder) -> list[Folder]:
    """The folders in a folder, the uppermost ones of a few levels, that hold files to read."""
    found, inside = [], folder.folders
    for _ in range(DEEPEST_CLASSES):
        found += [below for below in inside if files_to_read(below)]
        inside = tuple(deeper for below in inside if not files_to_read(below) for deeper in below.folders)
    return found


def has_pictures(folder: Folder) -> bool:
    """Whether the folder is one of pictures, rather than a table that names pictures or none at all."""
    if _are_labelled(folder):
        return True
    return _holds_a_picture(folder) and not files_to_read(folder)


def _are_labelled(folder: Folder) -> bool:
    several = len(folder.folders) > 1 and not are_parts(folder.folders)
    return several and any(map(_holds_a_picture, folder.folders))


def _holds_a_picture(folder: Folder) -> bool:
    inside: tuple[Folder, ...] = (folder,)
    for _ in range(DEEPEST_CLASSES):
        if any(is_picture(path) for found in inside for path in found.files):
            return True
        inside = tuple(deeper for found in inside for deeper in found.folders)
    return False


def read_pictures(
    folder: Folder,
    place: Path,
    column_of: Callable[[Sequence[Path]], pa.ChunkedArray],
    *,
    label: Literal["outer", "full"] = "outer",
) -> Source:
    """Read a folder of pictures; the name of the sub-folder that a picture stands in is its label.

    Pictures are not decoded. Without sub-folders there is no label.

    Args:
        folder: what is read, by names.
        place: absolute path of the source.
        column_of: gives the column of some pictures.
        label: of a picture in ``bird/owl/1.png``: ``outer`` takes ``bird``, ``full`` takes ``bird/owl``.

    Raises:
        SourceError: there are no pictures, a class has none, or there is only one class.
    """
    found = _Found(left_out=[path for path in folder.files if not is_picture(path)])
    if is_split(folder.folders):
        _add_parts(folder, found, label)
    elif are_parts(folder.folders):
        found.files |= {str(part_of_name(inside.path.name)): _unlabelled(inside) for inside in folder.folders}
    elif folder.folders:
        _add_classes(folder, "train", found, label)
    else:
        found.files["train"] = _unlabelled(folder)
    tables = {part: _table(column_of(files), found.labels.get(part)) for part, files in in_order(found.files).items()}
    ordered = {part: with_base(table, folder.path) for part, table in tables.items()}
    target = ("label",) if found.labels else ()
    notes = split_note(ordered) + class_notes(found.labels)
    notes += inner_note(found.inner) + left_out_note(found.left_out, folder.path)
    return Source(ordered, target, short_name(place), str(place), notes)


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def pictures_by_path(paths: Sequence[Path]) -> pa.ChunkedArray:
    cells = [pa.nulls(len(paths), pa.binary()), pa.array([str(path) for path in paths], pa.string())]
    return pa.chunked_array([pa.StructArray.from_arrays(cells, fields=list(IMAGE_TYPE))])


def _table(pictures: pa.ChunkedArray, labels: list[str] | None) -> pa.Table:
    columns = {"image": pictures}
    return pa.table(columns if labels is None else {**columns, "label": pa.array(labels, pa.string())})


def is_split(folders: Sequence[Folder]) -> bool:
    """Whether the sub-folders are parts: a class may be called "train" too, but then it holds pictures."""
    train = [folder for folder in folders if part_of_name(folder.path.name) == "train"]
    return bool(train) and bool(train[0].folders) and not any(map(is_picture, train[0].files))


def are_parts(folders: Sequence[Folder]) -> bool:
    """Whether all sub-folders are parts that hold their pictures side by side, without a class."""
    names = [part_of_name(folder.path.name) for folder in folders]
    told = "train" in names and None not in names and len(set(names)) == len(names) > 1
    return told and not any(folder.folders for folder in folders)


def _add_parts(folder: Folder, found: _Found, label: str) -> None:
    for inside in folder.folders:
        part = check_part(inside, found.files, folder)
        found.left_out += [path for path in inside.files if not is_picture(path)]
        _add_classes(inside, part, found, label)


def check_part(folder: Folder, parts: Mapping[str, Any], above: Folder) -> str:
    """The part that a folder is for."""
    part = part_of_name(folder.path.name)
    if part is None or part in parts:
        raise SourceError(
            f"{above.path}: beside a folder for train stands {folder.path.name}; allowed are train and one each "
            "for valid (or val, dev) and test, with a folder for each class inside"
        )
    return part


def _add_classes(folder: Folder, part: str, found: _Found, label: str) -> None:
    """Add the pictures of each class folder."""
    check_loose(folder)
    files: list[Path] = []
    labels: list[str] = []
    for inside in folder.folders:
        below = inside.files_below()
        pictures = [path for path in below if is_picture(path)]
        found.left_out += [path for path in below if not is_picture(path)]
        check_class(inside, pictures, folder)
        if label == "outer":
            inner = (label_of(path, folder.path, "full") for path in pictures if path.parent != inside.path)
            found.inner |= dict.fromkeys(inner)
        files += pictures
        labels += [label_of(path, folder.path, label) for path in pictures]
    check_several(folder, labels)
    found.files[part], found.labels[part] = files, labels


def label_of(path: Path, folder: Path, label: str) -> str:
    """The label of a picture below a folder that holds the classes."""
    inside = path.parent.relative_to(folder)
    return inside.as_posix() if label == "full" else inside.parts[0]


def check_class(folder: Folder, pictures: Sequence[Path], above: Folder) -> None:
    if not pictures:
        raise SourceError(f"{folder.path}: no pictures for this class{_to_read(above)} ({_allowed()})")


def check_loose(folder: Folder) -> None:
    loose = [path for path in folder.files if is_picture(path)]
    if loose:
        raise SourceError(
            f"{folder.path}: {len(loose)} pictures stand beside class folders, as {loose[0].name} does; "
            "move each into the folder of its class"
        )


def check_several(folder: Folder, labels: list[str]) -> None:
    if len(set(labels)) < 2:
        found = f"only {folder.folders[0].path.name}" if folder.folders else "none"
        raise SourceError(
            f"{folder.path}: expected a folder for each class, at least two; found {found}{_to_read(folder)}"
        )


def _unlabelled(folder: Folder) -> list[Path]:
    pictures = [path for path in folder.files if is_picture(path)]
    if not pictures:
        raise SourceError(f"{folder.path}: no pictures in this folder{_to_read(folder)} ({_allowed()})")
    return pictures


def class_notes(labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A sentence for each part whose classes are not those of train, but for case and blanks."""
    plain = {part: {_plain_class(name): name for name in names} for part, names in labels.items()}
    notes = []
    for part, names in plain.items():
        for words, only in (
            ("lacks the classes", plain["train"].keys() - names.keys()),
            ("has classes that train lacks:", names.keys() - plain["train"].keys()),
        ):
            both = plain["train"] | names
            if only:
                notes.append(f"{part} {words} {listed(sorted(both[name] for name in only))}")
    return tuple(notes)


def _plain_class(name: str) -> str:
    return " ".join(name.split()).casefold()


def inner_note(inner: Iterable[str]) -> tuple[str, ...]:
    names = list(inner)
    if not names:
        return ()
    return (
        f"the label is the outer folder's name; {len(names):,} folders stand inside ({listed(names, 2)}), "
        'which label="full" makes labels of',
    )


def left_out_note(left_out: Iterable[Path], place: Path) -> tuple[str, ...]:
    names = [path.relative_to(place).as_posix() for path in left_out]
    if not names:
        return ()
    files = f"{len(names)} file{'s' if len(names) > 1 else ''}"
    return (f"left out, being no picture: {files} ({listed(names)})",)


def _to_read(folder: Folder) -> str:
    """Files at the top of a folder that another reader would read."""
    names = [path.name for path in files_to_read(folder)]
    return f"; a file to read there: {listed(names)}" if names else ""


def _allowed() -> str:
    return "allowed: " + " ".join(IMAGE_SUFFIXES)
