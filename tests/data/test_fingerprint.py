"""The fingerprint of a source follows its values, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.data import Source, read

Write = Callable[[str, str | bytes], Path]

MIXED = pa.table(
    {
        "n": [1, None, 3, 4],
        "s": ["a", "", None, "ä"],
        "b": [True, None, False, False],
        "l": [[1, 2], [], None, [3]],
        "d": pa.array(["u", "v", "u", None]).dictionary_encode(),
        "t": pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.uint8(), [2]),
            pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.uint8(), 2)),
        ),
        "p": pa.array(
            [{"bytes": b"x", "path": None}, None, {"bytes": b"yz", "path": "q"}, {"bytes": None, "path": "r"}]
        ),
    }
)


def as_source(table: pa.Table, name: str = "t") -> Source:
    return Source({"train": table}, (), name, None, ())


@given(st.lists(st.integers(0, 4), max_size=4))
def test_the_fingerprint_does_not_depend_on_chunks(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 4]
    pieces = [MIXED.slice(start, stop - start) for start, stop in pairwise(edges)]
    assert as_source(pa.concat_tables(pieces)).fingerprint == as_source(MIXED).fingerprint


@pytest.mark.parametrize("name", MIXED.column_names)
def test_the_fingerprint_depends_on_every_column(name: str) -> None:
    place = MIXED.column_names.index(name)
    other = MIXED.set_column(place, MIXED.schema.field(place), MIXED[name].take(pa.array([3, 1, 2, 0])))
    assert as_source(other).fingerprint != as_source(MIXED).fingerprint


def test_the_fingerprint_tells_null_from_empty_and_one_cell_from_two() -> None:
    tables = [["ab", ""], ["a", "b"], ["ab", None], [None, "ab"]]
    assert len({as_source(pa.table({"s": pa.array(cells, pa.string())})).fingerprint for cells in tables}) == 4


def test_the_fingerprint_depends_on_names_types_and_parts() -> None:
    table = pa.table({"a": [1]})
    others = [pa.table({"b": [1]}), pa.table({"a": pa.array([1], pa.int32())})]
    split = [Source({"train": table, part: table}, (), "t", None, ()) for part in ("valid", "test")]
    prints = {source.fingerprint for source in [as_source(table), *map(as_source, others), *split]}
    assert len(prints) == 5


def test_a_folder_of_pictures_keeps_its_fingerprint_when_moved(write: Write, tmp_path: Path) -> None:
    for name in ("here/a/1.png", "here/b/1.png", "there/a/1.png", "there/b/1.png"):
        write(name, b"picture")
    assert read(tmp_path / "here").fingerprint == read(tmp_path / "there").fingerprint


def test_a_picture_of_another_size_changes_the_fingerprint(write: Write, tmp_path: Path) -> None:
    write("a/1.png", b"picture")
    write("b/1.png", b"picture")
    before = read(tmp_path).fingerprint
    write("b/1.png", b"another picture")
    assert read(tmp_path).fingerprint != before
