"""Dirty ZIP archives."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Mapping

from fathom.data.tree import Folder
from tests.data.cases_folders import AB, ARCHIVES, HELD, TABLES, TREE, TWO, XY, labelled
from tests.data.dirty import Case
from tests.data.made import Content, classes, in_file, in_zip, picture, zipped
from tests.data.standins import never, nothing, same


def with_flag(data: bytes, flag: int) -> bytes:
    """An archive whose members are marked in the directory and in their heads."""
    marked = bytearray(data)
    for mark, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = data.find(mark)
        while place >= 0:
            marked[place + offset] |= flag
            place = data.find(mark, place + 1)
    return bytes(marked)


def with_size(data: bytes, size_bytes: int) -> bytes:
    """An archive whose directory says that each member unpacks to so many bytes."""
    marked = bytearray(data)
    place = data.find(b"PK\1\2")
    while place >= 0:
        struct.pack_into("<I", marked, place + 24, size_bytes)
        place = data.find(b"PK\1\2", place + 1)
    return bytes(marked)


def with_method(data: bytes, method: int) -> bytes:
    marked = bytearray(data)
    place = data.find(b"PK\1\2")
    while place >= 0:
        struct.pack_into("<H", marked, place + 10, method)
        place = data.find(b"PK\1\2", place + 1)
    return bytes(marked)


def with_linked_member(contents: Mapping[str, Content], name: str) -> bytes:
    buffer = io.BytesIO(zipped(contents))
    with zipfile.ZipFile(buffer, "a") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def damaged(contents: Mapping[str, Content], *names: str) -> bytes:
    """An archive in which a byte of some members is another."""
    data = bytearray(zipped(contents, zipfile.ZIP_STORED))
    for name in names:
        place = bytes(data).index(name.encode()) + len(name) + 40
        data[place] ^= 0xFF
    return bytes(data)


CASES = [
    Case(
        "zip: one folder around all",
        in_zip(classes("a", "b", above="set/")),
        {ARCHIVES + "top_folder": lambda members, place: Folder(place, lambda path: ((), members))},
        reads=labelled("a", "b"),
    ),
    Case(
        "zip: what macOS adds",
        in_zip({**AB, "__MACOSX/a/._0.png": b"x", "a/.DS_Store": b"x", "a/._0.png": b"x"}),
        {TREE + "HIDDEN": ("\0",)},
        reads=labelled("a", "b"),
    ),
    Case(
        "zip: folders divided by backslashes",
        in_zip({name.replace("/", "\\"): data for name, data in AB.items()}),
        {ARCHIVES + "with_slashes": same},
        reads=labelled("a", "b"),
    ),
    *(
        Case(
            f"zip: a member called {name}",
            in_zip({**AB, name: picture()}),
            {ARCHIVES + "leads_outside": never},
            refused="leads outside the archive",
        )
        for name in ("../c/1.png", "/c/1.png", "a/../../1.png", "C:\\c\\1.png")
    ),
    Case(
        "zip: encrypted",
        in_file("set.zip", with_flag(zipped(AB), 1)),
        {ARCHIVES + "check_readable": nothing},
        refused=r"a/0\.png is encrypted; unpack it, and name the folder",
    ),
    Case(
        "zip: packed in a way that is not read",
        in_file("set.zip", with_method(zipped(AB), 9)),
        {ARCHIVES + "check_readable": nothing},
        refused="packed by method 9",
    ),
    Case(
        "zip: a member of four gigabytes",
        in_file("set.zip", with_size(zipped(AB), 0xFFFFFFF0)),
        {ARCHIVES + "LARGEST_MEMBER_BYTES": 1 << 40},
        refused=r"a/0\.png unpacks to 4,294,967,280 bytes, more than the 1,073,741,824 that are allowed",
    ),
    Case(
        "zip: members that swell",
        in_file("set.zip", with_size(zipped(classes("a", "b", of=2)), 1 << 30)),
        {ARCHIVES + "MOST_SWELLING": 1 << 40},
        refused="bytes unpack to 4,294,967,296, more than is read",
    ),
    Case(
        "zip: too much in all",
        in_file("set.zip", with_size(zipped(classes("a", "b", of=10)), 1 << 30)),
        {ARCHIVES + "MOST_SWELLING": 1 << 40, ARCHIVES + "LARGEST_BYTES": 1 << 50},
        refused="bytes unpack to 21,474,836,480, more than is read",
    ),
    Case(
        "zip: damaged members",
        in_file("set.zip", damaged(classes("a", "b", of=5), "a/1.png", "b/3.png")),
        {ARCHIVES + "content_of": lambda archive, member: archive.read(member)},
        refused=r"2 of 10 pictures cannot be unpacked, the first is .*set\.zip/a/1\.png: is damaged",
    ),
    Case(
        "zip: a damaged picture",
        in_zip({**TWO, "b/1.png": b"words"}),
        {HELD + "told_reason": lambda error, _: str(error)},
        target="label",
        refused=r"1 of [0-9]+ pictures cannot be read, the first is .*set\.zip/b/1\.png: it is no picture",
    ),
    Case(
        "zip: a link",
        in_file("set.zip", with_linked_member(AB, "a/9.png")),
        {ARCHIVES + "is_link": never},
        reads=labelled("a", "b"),
    ),
    Case(
        "zip: nothing in it",
        in_zip({}),
        {ARCHIVES + "check_any_member": nothing},
        refused="the archive holds no files",
    ),
    Case(
        "zip: cut short",
        in_file("set.zip", zipped(AB)[:-40]),
        {ARCHIVES + "NO_ARCHIVE": ()},
        refused="is no ZIP archive, or is cut short",
    ),
    Case(
        "zip: one table",
        in_zip({"data/titanic.csv": XY}),
        {ARCHIVES + "tables_inside": lambda folder: None},
        reads={"x": [1, 2]},
    ),
    Case(
        "zip: train.csv and test.csv",
        in_zip({"data/train.csv": XY, "data/test.csv": XY}),
        {TABLES + "part_of_words": lambda name: None},
        reads={"x": [1, 2]},
        notes="train 2 rows, test 2 rows",
    ),
    Case(
        "zip: several tables",
        in_zip({"cats.csv": XY, "dogs.csv": XY}),
        {TABLES + "check_shards": nothing},
        refused=r"name one of them: cats\.csv, dogs\.csv",
    ),
    Case(
        "zip: a bad table is called as in the archive",
        in_zip({"data/cats.jsonl": '{"a": 1}\n{"a":'}),
        {ARCHIVES + "told_as_packed": lambda names: str},
        refused=r"^/\S+/set\.zip/data/cats\.jsonl: line 2 is no JSON",
    ),
]
