"""ZIP archives: an image folder or a folder of tables, read without being unpacked beside the archive."""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from fathom.data.folders import check_any_picture, read_pictures
from fathom.data.inside import holds_texts, options_inside, read_texts, tables_inside
from fathom.data.readers import READERS
from fathom.data.source import IMAGE_TYPE, Source, with_base
from fathom.data.tables import read_tables
from fathom.data.tree import Folder, folder_on_disk, part_of_name
from fathom.errors import SourceError, first_line
from fathom.registry import Option

__all__ = ["read_zip"]

LARGEST_MEMBER_BYTES = 1 << 30
LARGEST_BYTES = 1 << 34
"""What all members together may unpack to: pictures are kept in memory as they are encoded."""

MOST_SWELLING = 200
SWELLING_FROM_BYTES = 1 << 31
"""An archive that unpacks to more than this may not swell by more than that factor."""

CHUNK_BYTES = 1 << 30
"""Less than the most that one chunk of a binary column can hold."""

ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
NO_ARCHIVE = (zipfile.BadZipFile, NotImplementedError, ValueError)
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
"""What the modules behind zipfile raise for a damaged member; lzma's error is no OSError, but is turned below."""

Members = Mapping[Path, zipfile.ZipInfo]


def _options_of_zip(place: Path) -> Mapping[str, Option]:
    with _opened(place) as archive:
        return options_inside(top_folder(_members(archive, place), place))


@READERS.register("zip", suffixes=(".zip",), options=_options_of_zip)
def read_zip(place: Path, **options: Any) -> Source:
    """Read a ZIP archive as the folder that was packed would be read.

    Args:
        place: absolute path of the archive.
        options: ``label`` for pictures, ``lines`` for texts, else those of the reader of the files.

    Raises:
        SourceError: the archive is damaged, encrypted, hostile or too large, or holds nothing to read.
    """
    with _opened(place) as archive:
        members = _members(archive, place)
        folder = top_folder(members, place)
        if holds_texts(folder):
            return _texts_unpacked(archive, members, folder, place, options)
        parts = tables_inside(folder)
        if parts is not None:
            return _read_unpacked(archive, members, parts, place, options)
        check_any_picture(folder)
        source = read_pictures(folder, place, partial(_pictures, archive, members), **options)
    parts_here = {part: with_base(table, place.parent) for part, table in source.parts.items()}
    return replace(source, parts=parts_here)


def _opened(place: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(place)
    except NO_ARCHIVE as error:
        raise SourceError(f"{place}: is no ZIP archive, or is cut short: {error}") from error


def _members(archive: zipfile.ZipFile, place: Path) -> Members:
    """The files in an archive by the paths that stand for them; of twins the last, as unpacking would leave.

    Raises:
        SourceError: there are none, or one is encrypted, hostile or too large.
    """
    found = {}
    for member in archive.infolist():
        inside = PurePosixPath(with_slashes(member.filename))
        if not inside.parts or member.is_dir() or is_link(member):
            continue
        if leads_outside(inside):
            raise SourceError(f"{place}: the member {member.filename!r:.100} leads outside the archive; pack it anew")
        found[place / inside] = member
    check_any_member(found, place)
    check_readable(found.values(), place)
    check_sizes(found.values(), place)
    return found


def check_any_member(members: Members, place: Path) -> None:
    if not members:
        raise SourceError(f"{place}: the archive holds no files")


def with_slashes(name: str) -> str:
    """A member's name, where Windows packed it with backslashes."""
    return name.replace("\\", "/")


def is_link(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a link, whose content is another's name."""
    return stat.S_ISLNK(member.external_attr >> 16)


def leads_outside(inside: PurePosixPath) -> bool:
    """Whether a member's name is absolute or climbs."""
    return inside.is_absolute() or ".." in inside.parts or inside.parts[0].endswith(":")


def check_readable(members: Iterable[zipfile.ZipInfo], place: Path) -> None:
    for member in members:
        if member.flag_bits & ENCRYPTED:
            raise SourceError(f"{place}: {member.filename} is encrypted; unpack it, and name the folder")
        if member.compress_type not in METHODS:
            raise SourceError(
                f"{place}: {member.filename} is packed by method {member.compress_type}, which is not read "
                "(allowed: stored, deflate, bzip2, lzma); pack it anew"
            )


def check_sizes(members: Iterable[zipfile.ZipInfo], place: Path) -> None:
    """Refuse what would fill the memory, as an archive made for that does."""
    sizes = {member.filename: member.file_size for member in members}
    largest = max(sizes, key=lambda name: sizes[name])
    if sizes[largest] > LARGEST_MEMBER_BYTES:
        raise SourceError(
            f"{place}: {largest} unpacks to {sizes[largest]:,} bytes, more than the {LARGEST_MEMBER_BYTES:,} that are "
            "allowed; unpack the archive, and name the folder"
        )
    total, packed = sum(sizes.values()), max(1, place.stat().st_size)
    if total > LARGEST_BYTES or (total > SWELLING_FROM_BYTES and total > MOST_SWELLING * packed):
        raise SourceError(
            f"{place}: {packed:,} bytes unpack to {total:,}, more than is read from an archive (allowed: "
            f"{LARGEST_BYTES:,}); unpack it, and name the folder"
        )


def _tree(members: Members, place: Path) -> dict[Path, tuple[dict[Path, None], dict[Path, None]]]:
    """Each folder to the folders and the files in it, for the paths of members."""
    tree: dict[Path, tuple[dict[Path, None], dict[Path, None]]] = {place: ({}, {})}
    for path in members:
        tree.setdefault(path.parent, ({}, {}))[1][path] = None
    for path in list(tree):
        while path != place:
            above = tree.setdefault(path.parent, ({}, {}))
            if path in above[0]:
                break
            above[0][path] = None
            path = path.parent
    return tree


def _listed(tree: Mapping[Path, tuple[Iterable[Path], Iterable[Path]]], place: Path) -> Any:
    return tree[place]


def top_folder(members: Members, place: Path) -> Folder:
    """The folder that all there is stands in: archives are packed with one around it, and without."""
    folder = Folder(place, partial(_listed, _tree(members, place)))
    while len(folder.folders) == 1 and not folder.files and part_of_name(folder.folders[0].path.name) is None:
        folder = folder.folders[0]
    return folder


def _pictures(archive: zipfile.ZipFile, members: Members, paths: Sequence[Path]) -> pa.ChunkedArray:
    """The column of some members: their bytes, with the paths that stand for them beside.

    Raises:
        SourceError: members are damaged; the first is named, and the others are counted.
    """
    chunks: list[list[dict[str, Any]]] = [[]]
    size_bytes, damaged = 0, []
    for path in paths:
        try:
            data = content_of(archive, members[path])
        except SourceError as error:
            damaged.append(f"{path}: {error}")
            continue
        if size_bytes + len(data) > CHUNK_BYTES:
            chunks.append([])
            size_bytes = 0
        size_bytes += len(data)
        chunks[-1].append({"bytes": data, "path": str(path)})
    if damaged:
        raise SourceError(
            f"{len(damaged):,} of {len(paths):,} pictures cannot be unpacked, the first is {damaged[0]}; fetch or pack "
            "the archive anew"
        )
    return pa.chunked_array([pa.array(chunk, IMAGE_TYPE) for chunk in chunks])


def content_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    import lzma

    try:
        return archive.read(member)
    except (*DAMAGE, lzma.LZMAError) as error:
        raise SourceError(f"is damaged: {first_line(error)}") from error


def _read_unpacked(
    archive: zipfile.ZipFile,
    members: Members,
    parts: Mapping[str, Sequence[Path]],
    place: Path,
    options: Mapping[str, Any],
) -> Source:
    """Read tables from a folder that is gone afterwards: their readers want files."""
    with tempfile.TemporaryDirectory(prefix="fathom-") as scratch:
        here = {path: Path(scratch, str(number), path.name) for number, path in enumerate(_flat(parts.values()))}
        for path, file in here.items():
            file.parent.mkdir()
            _unpack(archive, members[path], path, file)
        told = told_as_packed({str(file): str(path) for path, file in here.items()})
        try:
            source = read_tables(
                {part: [here[path] for path in found] for part, found in parts.items()}, place, options
            )
        except SourceError as error:
            raise SourceError(told(str(error))) from error
        tables = {part: with_base(table, place.parent) for part, table in source.parts.items()}
    return replace(source, parts=tables, place=str(place), notes=tuple(map(told, source.notes)))


def _texts_unpacked(
    archive: zipfile.ZipFile, members: Members, folder: Folder, place: Path, options: Mapping[str, Any]
) -> Source:
    """Read texts from a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fathom-") as scratch:
        for path in folder.files_below():
            file = Path(scratch, path.relative_to(folder.path))
            file.parent.mkdir(parents=True, exist_ok=True)
            _unpack(archive, members[path], path, file)
        told = told_as_packed({scratch: str(folder.path)})
        try:
            source = read_texts(folder_on_disk(Path(scratch)), place, options)
        except SourceError as error:
            raise SourceError(told(str(error))) from error
    tables = {part: with_base(table, place.parent) for part, table in source.parts.items()}
    return replace(source, parts=tables, place=str(place), notes=tuple(map(told, source.notes)))


def _flat(lists: Iterable[Sequence[Path]]) -> list[Path]:
    return [path for paths in lists for path in paths]


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, file: Path) -> None:
    try:
        file.write_bytes(content_of(archive, member))
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error


def told_as_packed(names: Mapping[str, str]) -> Callable[[str], str]:
    """A function that puts the archive's names into a message for those of the files it was unpacked to."""

    def told(message: str) -> str:
        for file, path in names.items():
            message = message.replace(file, path)
        return message

    return told
