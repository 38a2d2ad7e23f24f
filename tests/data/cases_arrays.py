"""Dirty NPZ and IDX files."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import numpy as np

from tests.data.dirty import Case
from tests.data.made import idx, in_file, in_folder, npz, zipped
from tests.data.standins import never, no_notes, nothing, same

ARRAYS = "fathom.data.arrays."
READING = "fathom.data.idx."
IMAGES = np.arange(24).reshape(3, 4, 2)
TRAIN, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def with_member(name: str, content: bytes, **arrays: object) -> bytes:
    """An NPZ file with one more member, whatever that is."""
    buffer = io.BytesIO(npz(**arrays))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def flipped(data: bytes, before: bytes) -> bytes:
    """The data with a byte changed shortly after ``before``."""
    place = data.index(before) + len(before) + 100
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def repacked(data: bytes, before: bytes, after: bytes) -> bytes:
    """The same archive with other bytes in its members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert all(before in content for content in members.values())
    return zipped({name: content.replace(before, after) for name, content in members.items()})


RECORDS = np.array([(1, 0.5), (2, 1.5)], [("n", "i4"), ("x", "f8")])

NPZ = [
    Case(
        "npz: Python objects",
        in_file("t.npz", npz(a=np.array([{}, {}], object))),
        {ARRAYS + "PICKLE_ALARM": "\0"},
        refused=r"t\.npz: the array 'a' holds Python objects, which fathom never unpickles",
    ),
    Case(
        "npz: a damaged member",
        in_file("t.npz", flipped(npz(a=np.zeros(99), b=np.zeros(99)), b"b.npy")),
        {ARRAYS + "DAMAGE": ()},
        refused="the array 'b' is damaged",
    ),
    Case(
        "npz: a head that promises more than there is",
        in_file("t.npz", npz(a=np.zeros(9)).replace(b"(9,)", b"(8,)").replace(b"'shape'", b"'shapf'")),
        {ARRAYS + "DAMAGE": ()},
        refused="the array 'a' is damaged",
    ),
    Case(
        "npz: a head as Python 2 wrote it",
        in_file("t.npz", repacked(npz(a=[1, 2]), b"(2,), }  ", b"(2L,), } ")),
        {"warnings.simplefilter": nothing, ARRAYS + "DAMAGE": (UserWarning,)},
        reads={"a": [1, 2]},
    ),
    Case(
        "npz: a member that is no array",
        in_file("t.npz", with_member("readme", b"words", a=[1])),
        {ARRAYS + "check_array": nothing},
        refused="the member 'readme' is no array",
    ),
    Case(
        "npz: cut short",
        in_file("t.npz", npz(a=[1])[:-30]),
        {ARRAYS + "check_archive": nothing},
        refused="is cut short",
    ),
    Case("npz: nothing in it", in_file("t.npz", npz()), {ARRAYS + "check_any": nothing}, refused="holds no arrays"),
    Case(
        "npz: single values alone",
        in_file("t.npz", npz(a=1.5, b=2)),
        {ARRAYS + "check_any_column": nothing},
        refused=r"only single values \(a, b\), no rows",
    ),
    Case(
        "npz: a single value beside columns",
        in_file("t.npz", npz(x=[1, 2], y=[0, 1], seed=7)),
        {ARRAYS + "left_out_note": no_notes},
        reads={"x": [1, 2], "y": [0, 1]},
        notes=r"left out, not having 2 rows: seed \(\)",
    ),
    Case(
        "npz: an array of another length",
        in_file("t.npz", npz(x=[1, 2, 3], y=[0, 1, 0], names=["a", "b"])),
        {ARRAYS + "left_out_note": no_notes},
        reads={"x": [1, 2, 3]},
        notes=r"names \(2,\)",
    ),
    Case(
        "npz: parts of differing length",
        in_file("t.npz", npz(x_train=[1, 2], y_train=[0], x_test=[1], y_test=[0])),
        {ARRAYS + "check_parts_fit": nothing},
        refused="the arrays of train fit neither each other nor train's: x has 2 rows, y has 1 rows",
    ),
    Case(
        "npz: a part without labels",
        in_file("t.npz", npz(x_train=[1, 2], y_train=[0, 1], x_test=[1])),
        {ARRAYS + "check_parts_fit": nothing},
        refused="the arrays of test fit neither",
    ),
    Case(
        "npz: parts without train",
        in_file("t.npz", npz(x_test=[1], y_test=[0])),
        {ARRAYS + "check_train": lambda parts, *_: parts.setdefault("train", parts["test"])},
        refused="holds x_test, y_test and nothing for train",
    ),
    Case(
        "npz: a part called dev",
        in_file("t.npz", npz(x_train=[1, 2], x_dev=[3])),
        {ARRAYS + "PART_NAMES": {"train": "train", "dev": "test"}},
        notes="train 2 rows, valid 1 rows",
    ),
    Case(
        "npz: complex numbers",
        in_file("t.npz", npz(a=np.array([1j, 2j]), y=[0, 1])),
        {ARRAYS + "UNHELD": ()},
        refused="column 'a' cannot be held",
    ),
    Case(
        "npz: records",
        in_file("t.npz", npz(data=RECORDS)),
        {ARRAYS + "single_fields": same},
        reads={"data.n": [1, 2], "data.x": [0.5, 1.5]},
    ),
    Case(
        "npz: another order of bytes",
        in_file("t.npz", npz(a=np.array([1, 2], ">i4"))),
        {ARRAYS + "native": same},
        reads={"a": [1, 2]},
    ),
    Case(
        "npz: truths in tensors",
        in_file("t.npz", npz(a=np.ones((2, 2, 2), bool), y=[0, 1])),
        {ARRAYS + "numbers_as_tensors_hold": same},
        reads={"y": [0, 1]},
    ),
    Case(
        "npz: columns before rows",
        in_file("t.npz", npz(a=np.ones((2, 2, 2), order="F"), y=[0, 1])),
        {ARRAYS + "in_rows": same},
        reads={"y": [0, 1]},
    ),
    Case(
        "npz: labels in a second dimension of one",
        in_file("t.npz", npz(x=[0.5, 1.5], y=[[0], [1]])),
        {ARRAYS + "flat": same},
        reads={"y": [0, 1]},
    ),
    Case(
        "npz: words as bytes",
        in_file("t.npz", npz(y=np.array(["cat", "dög"]).astype("U3"), z=np.array([b"cat", b"dog"]))),
        {ARRAYS + "decoded_text": same},
        reads={"y": ["cat", "dög"], "z": ["cat", "dog"]},
    ),
    Case(
        "npz: pictures without rows",
        in_file("t.npz", npz(a=np.zeros((0, 2, 2), np.uint8))),
        {ARRAYS + "check_any_row": nothing},
        refused="column 'a' cannot be held: it has no rows",
    ),
    Case(
        "npz: NaN among numbers",
        in_file("t.npz", npz(a=np.array([np.nan, 1.0]))),
        {ARRAYS + "array_column": lambda values, *_: values},
        reads={"a": [None, 1.0]},
    ),
    Case(
        "npz: dates, one of them missing",
        in_file("t.npz", npz(a=np.array(["2026-01-31", "NaT"], "M8[s]"))),
        {ARRAYS + "_array_of_numpy": lambda values: [str(value) for value in values]},
        reads={"a": [np.datetime64("2026-01-31", "s").item(), None]},
    ),
]

IDX = [
    Case(
        "idx: cut short",
        in_file(TRAIN, idx(IMAGES)[:-1]),
        {READING + "check_length": nothing},
        refused=r"promises 24 bytes for shape \(3, 4, 2\); 23 bytes are there",
    ),
    Case(
        "idx: too long",
        in_file(TRAIN, idx(IMAGES) + b"x"),
        {READING + "read_at_most": lambda file, most: file.read(most - 1)},
        refused="promises 24 bytes .* more are there",
    ),
    Case(
        "idx: cut short in its head",
        in_file(TRAIN, idx(IMAGES)[:13]),
        {READING + "check_head": nothing},
        refused="cut short in its head, which promises 3 dimensions",
    ),
    Case(
        "idx: no mark",
        in_file(TRAIN, b"\1\0" + idx(IMAGES)[2:]),
        {READING + "check_mark": nothing},
        refused="is no IDX file",
    ),
    Case(
        "idx: a type that there is not",
        in_file(TRAIN, b"\0\0\7" + idx(IMAGES)[3:]),
        {READING + "DTYPES": {7: "u1", 8: "u1"}},
        refused="is no IDX file",
    ),
    Case(
        "idx: an absurd promise",
        in_file(TRAIN, struct.pack(">HBB4I", 0, 8, 4, *[0xFFFF] * 4) + b"1234"),
        {READING + "BLOCK_BYTES": 1 << 62},
        refused="4 bytes are there",
    ),
    Case(
        "idx: fewer labels than images",
        in_file(TRAIN, idx(IMAGES), **{LABELS: idx([1, 2])}),
        {READING + "check_one_label_each": nothing},
        refused=rf"{LABELS}: labels of shape \(2,\) for 3 images",
    ),
    Case(
        "idx: labels of two dimensions",
        in_file(TRAIN, idx(IMAGES), **{LABELS: idx([[1], [2], [3]])}),
        {READING + "check_one_label_each": nothing},
        refused=r"labels of shape \(3, 1\)",
    ),
    Case(
        "idx: images as labels",
        in_file(TRAIN, idx(IMAGES), **{LABELS: idx(IMAGES)}),
        {READING + "check_one_label_each": nothing},
        refused=r"labels of shape \(3, 4, 2\)",
    ),
    Case(
        "idx: a damaged .gz",
        in_file(TRAIN + ".gz", gzip.compress(idx(IMAGES))[:-10]),
        {"fathom.errors.MOST_LETTERS": 0},
        refused=r"cannot be read: [A-Z].* ",
    ),
    Case(
        "idx: no labels",
        in_file(TRAIN, idx(IMAGES)),
        {READING + "unlabelled_note": no_notes},
        notes=f"no labels: {LABELS} is not there",
    ),
    Case(
        "idx: labels packed beside images that are not",
        in_file(TRAIN, idx(IMAGES), **{LABELS + "__gz": gzip.compress(idx([1, 2, 3]))}),
        {READING + "other_form": same},
        reads={"label": [1, 2, 3]},
    ),
    Case(
        "idx: labels alone in a folder",
        in_folder({LABELS: idx([1, 2])}),
        {READING + "check_train": lambda parts, place: None},
        refused="looked for train-images-idx3-ubyte.*parts with images there: none",
    ),
    Case(
        "idx: test alone in a folder",
        in_folder({"t10k-images-idx3-ubyte": idx(IMAGES)}),
        {READING + "check_train": lambda parts, place: parts.setdefault("train", parts["test"])},
        refused="parts with images there: test",
    ),
    Case(
        "idx: images twice for train",
        in_folder({TRAIN: idx(IMAGES), "x-" + TRAIN: idx(IMAGES)}),
        {READING + "check_once": nothing},
        refused="more than one file of images for train",
    ),
    Case(
        "idx: unpacked beside the packed",
        in_folder({TRAIN: idx(IMAGES), TRAIN + ".gz": gzip.compress(idx(IMAGES))}),
        {READING + "is_packed_twin": never},
        reads={},
    ),
    Case(
        "idx: pictures of no pixels",
        in_file(TRAIN, b"\0\0\x08\x04" + np.array([1, 2**31, 2**31, 0], ">u4").tobytes()),
        {READING + "check_head": nothing},
        refused=r"its head promises pictures of no pixels, shape \(1, 2147483648, 2147483648, 0\)",
    ),
    Case(
        "idx: no images",
        in_file(TRAIN, idx(np.zeros((0, 4, 2)))),
        {ARRAYS + "check_any_row": nothing},
        refused="it has no rows",
    ),
    Case(
        "idx: a labels file named for reading",
        in_file(LABELS, idx([1, 2])),
        {READING + "check_name": nothing},
        refused="expected an images file",
    ),
]

CASES = [*NPZ, *IDX]
