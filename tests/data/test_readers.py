"""Sources of every form become tables, and damaged ones become errors that say where."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

import fathom.data
from fathom.data import READERS, read
from fathom.data.tree import folder_on_disk
from fathom.errors import SourceError

Write = Callable[[str, str | bytes], Path]


def train(source: object) -> pa.Table:
    return read(source).parts["train"]


def rows(source: object) -> list[dict[str, object]]:
    return train(source).to_pylist()


# --- columnar files and frames ----------------------------------------------------------------------------

TABLE = pa.table({"n": [1, 2], "x": [0.5, None], "s": ["a", "b"]})


def test_a_parquet_file_is_read(tmp_path: Path) -> None:
    pa.parquet.write_table(TABLE, tmp_path / "t.parquet")
    assert train(tmp_path / "t.parquet").equals(TABLE)


@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_an_arrow_file_is_read_in_either_form(
    tmp_path: Path, opened: Callable[..., pa.ipc.RecordBatchStreamWriter]
) -> None:
    with opened(tmp_path / "t.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE)
    assert train(tmp_path / "t.arrow").equals(TABLE)


def test_json_lines_are_read_and_a_key_that_is_not_there_is_missing(write: Write) -> None:
    path = write("t.jsonl", '{"a": 1, "b": "x"}\n{"a": 2.5}\n')
    assert rows(path) == [{"a": 1.0, "b": "x"}, {"a": 2.5, "b": None}]


@pytest.mark.parametrize("library", [pd, pl])
def test_frames_of_pandas_and_polars_give_the_same_table(library: object) -> None:
    frame = library.DataFrame({"n": [1, 2], "x": [0.5, float("nan")], "s": ["a", "b"]})  # type: ignore[attr-defined]
    assert train(frame).replace_schema_metadata(None).equals(TABLE)


def test_the_row_labels_of_a_shuffled_pandas_frame_are_no_column() -> None:
    source = read(pd.DataFrame({"a": [1, 2]}, index=[7, 3]))
    assert source.parts["train"].column_names == ["a"]
    assert "row labels" in source.notes[0]


def test_narrow_numbers_and_categories_take_the_plain_types() -> None:
    frame = pa.table(
        {
            "i": pa.array([1, 2], pa.uint8()),
            "f": pa.array([0.5, 1.5], pa.float32()),
            "c": pa.array(["u", "v"]).dictionary_encode(),
            "l": pa.array(["u", "v"], pa.large_string()),
        }
    )
    assert train(frame).schema.types == [pa.int64(), pa.float64(), pa.string(), pa.string()]


def test_a_pandas_column_of_words_and_numbers_is_an_error_that_names_it() -> None:
    with pytest.raises(SourceError, match="column mixed"):
        read(pd.DataFrame({"mixed": ["a", 1]}))


# --- arrays -----------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
VALUES = st.sampled_from([np.int64, np.float64, np.bool_, np.uint8, np.int16])


@st.composite
def dicts_of_arrays(draw: st.DrawFn) -> dict[str, np.ndarray | list[str]]:
    num_rows = draw(st.integers(1, 5))
    columns: dict[str, np.ndarray | list[str]] = {"words": draw(st.lists(WORDS, min_size=num_rows, max_size=num_rows))}
    for number in range(draw(st.integers(0, 4))):
        inner = draw(st.sampled_from([(), (3,), (2, 3), (2, 3, 3)]))
        columns[f"column {number}"] = draw(numpy_st.arrays(draw(VALUES), (num_rows, *inner)))
    return columns


@given(dicts_of_arrays())
def test_a_dict_of_arrays_is_read_back_as_it_was(arrays: dict[str, np.ndarray | list[str]]) -> None:
    table = train(arrays)
    assert table.column_names == list(arrays)
    for name, values in arrays.items():
        column = table[name].combine_chunks()
        if isinstance(column, pa.FixedShapeTensorArray):
            np.testing.assert_array_equal(column.to_numpy_ndarray(), values)
        elif isinstance(values, list):
            assert column.to_pylist() == values
        else:
            np.testing.assert_array_equal(column.to_numpy(zero_copy_only=False), values)


def test_pictures_in_a_dict_are_one_column_in_one_block() -> None:
    column = train({"image": np.zeros((5, 4, 3), np.uint8)})["image"]
    assert column.type == pa.fixed_shape_tensor(pa.uint8(), [4, 3])
    assert column.num_chunks == 1


def test_vectors_in_a_dict_keep_their_float32() -> None:
    assert train({"v": np.zeros((5, 4), np.float32)})["v"].type == pa.fixed_shape_tensor(pa.float32(), [4])


def test_a_second_dimension_of_one_is_a_plain_column() -> None:
    assert train({"label": np.array([[1], [2]])})["label"].to_pylist() == [1, 2]


def test_arrays_of_another_byte_or_memory_order_are_held_as_others_are() -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3, order="F")
    column = train({"v": values})["v"]
    assert column.type == pa.fixed_shape_tensor(pa.float32(), [3], permutation=[0])
    np.testing.assert_array_equal(column.combine_chunks().to_numpy_ndarray(), values)


def test_nan_among_words_is_missing() -> None:
    assert train({"s": np.array(["a", np.nan], object)})["s"].to_pylist() == ["a", None]


def test_nan_in_an_array_is_missing() -> None:
    assert train({"x": np.array([1.0, np.nan])})["x"].null_count == 1


def test_columns_of_a_dict_may_be_series() -> None:
    assert rows({"a": pd.Series([1]), "b": pl.Series(["x"])}) == [{"a": 1, "b": "x"}]


def test_a_dict_without_rows_is_an_error() -> None:
    with pytest.raises(SourceError, match="no rows"):
        read({"a": []})


def test_columns_of_differing_length_are_an_error_that_names_them() -> None:
    with pytest.raises(SourceError, match="a has 1, b has 2"):
        read({"a": [1], "b": [1, 2]})


@pytest.mark.parametrize("values", [[1, "a"], np.zeros((2, 3), complex), np.float64(1), "word", np.zeros((2, 0))])
def test_a_column_that_cannot_be_held_is_an_error_that_names_it(values: object) -> None:
    with pytest.raises(SourceError, match="column 'bad' cannot be held"):
        read({"bad": values})


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("x_train", "y_train", "x_test", "y_test"), ["x", "y"]),
        (("X_train", "y_train", "X_test", "y_test"), ["X", "y"]),
        (("train_images", "train_labels", "test_images", "test_labels"), ["images", "labels"]),
    ],
)
def test_the_parts_of_an_npz_are_told_by_the_names(tmp_path: Path, names: tuple[str, ...], columns: list[str]) -> None:
    arrays = (np.zeros((3, 2, 2), np.uint8), np.arange(3), np.zeros((2, 2, 2), np.uint8), np.arange(2))
    np.savez(tmp_path / "set.npz", **dict(zip(names, arrays, strict=True)))
    source = read(tmp_path / "set.npz")
    assert {part: table.num_rows for part, table in source.parts.items()} == {"train": 3, "test": 2}
    assert source.parts["test"].column_names == columns
    assert source.target == (columns[1],)
    assert source.notes == ("the source's own split is used: train 3 rows, test 2 rows",)


def test_arrays_of_another_length_in_an_npz_are_left_out_and_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", X=np.zeros((3, 2)), y=np.arange(3), names=np.array(["a", "b"]))
    source = read(tmp_path / "set.npz")
    assert (source.parts["train"].column_names, source.target) == (["X", "y"], ("y",))
    assert "names (2,)" in source.notes[0]


def test_an_npz_with_python_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", a=np.array([{}], object))
    with pytest.raises(SourceError, match="never unpickles"):
        read(tmp_path / "set.npz")


# --- bundled sets, and what is not there ------------------------------------------------------------------


def test_digits_are_pictures_over_the_whole_range_of_bytes() -> None:
    from sklearn.datasets import load_digits

    images = train("digits")["image"].combine_chunks().to_numpy_ndarray()
    assert (images.shape, images.dtype, images.max()) == ((1797, 8, 8), np.uint8, 255)
    np.testing.assert_allclose(images, load_digits().images * 255 / 16, atol=0.5)
    assert read("digits").target == ("digit",)


@pytest.mark.parametrize(("name", "classes"), [("iris", 3), ("wine", 3), ("breast_cancer", 2)])
def test_bundled_classes_are_words(name: str, classes: int) -> None:
    source = read(name)
    labels = source.parts["train"]["class"]
    assert (source.target, labels.type, len(labels.unique())) == (("class",), pa.string(), classes)


def test_diabetes_keeps_its_own_units() -> None:
    source = read("diabetes")
    assert source.target == ("target",)
    assert source.parts["train"]["age"][0].as_py() == 59.0


def test_a_missing_file_names_what_was_looked_for_and_what_is_near(write: Write) -> None:
    path = write("adult_train.csv", "a\n1\n")
    with pytest.raises(SourceError) as raised:
        read(path.with_name("adult_trian.csv"))
    for told in (
        "looked for " + str(path.with_name("adult_trian.csv")),
        "near: adult_train.csv",
        "breast-cancer",
    ):
        assert told in str(raised.value)


def test_a_missing_folder_names_the_one_that_does_exist(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"{tmp_path} does"):
        read(tmp_path / "nowhere" / "deeper" / "t.csv")


def test_a_misspelt_bundled_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(SourceError, match="near: digits"):
        read("digitz")


@pytest.mark.parametrize("name", ["t.parquet", "t.npz", "t.arrow", "t.jsonl", "t.csv.gz", "train-images-idx3-ubyte.gz"])
def test_a_damaged_file_is_an_error_that_names_it(write: Write, name: str) -> None:
    with pytest.raises(SourceError, match=name):
        read(write(name, b"\x1f\x8bdamaged"))


@pytest.mark.parametrize("source", [5, None, "x" * 5000])
def test_what_nothing_reads_is_an_error(source: object) -> None:
    with pytest.raises(SourceError):
        read(source)


def test_a_file_of_unknown_ending_is_answered_with_the_known_ones(write: Write) -> None:
    with pytest.raises(SourceError, match=r"\.parquet"):
        read(write("t.xlsx", b"x"))


def test_every_reader_says_what_it_reads() -> None:
    assert READERS.names()
    for entry in READERS:
        assert {"suffixes", "holds", "sets", "takes", "joined"} & set(entry.facts), entry.name
        assert entry.summary, entry.name


def test_the_target_given_stands_in_for_the_sources_own() -> None:
    assert read("iris", target="petal width (cm)").target == ("petal width (cm)",)
    assert read("iris", target=()).target == ()


def test_a_target_that_is_no_column_is_an_error_with_the_near_one() -> None:
    with pytest.raises(SourceError, match="did you mean 'class'"):
        read("iris", target="clas")


def test_a_source_is_returned_as_it_is() -> None:
    source = read({"a": [1]})
    assert read(source) is source


READING = (
    "arrays",
    "bundled",
    "cifar",
    "columnar",
    "columns",
    "delimited",
    "download",
    "fingerprint",
    "folders",
    "idx",
    "named",
    "readers",
    "transfer",
)


@pytest.mark.parametrize("module", [*READING, "source", "types"])
def test_a_module_that_reads_imports_no_more_than_it_should(module: str) -> None:
    # From the syntax, since the package's list of exports may name what needs torch.
    text = Path(fathom.data.__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module for node in imports if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    allowed = sys.stdlib_module_names | {"fathom", "numpy", "pyarrow"}
    assert {str(name).split(".")[0] for name in names} <= allowed


def test_a_pipe_in_a_folder_is_no_file_of_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    os.symlink("nowhere.csv", tmp_path / "link.csv")
    assert [path.name for path in folder_on_disk(tmp_path).files] == ["link.csv"]


def test_a_pipe_and_a_link_to_nothing_are_called_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    os.symlink("nowhere.csv", tmp_path / "link.csv")
    with pytest.raises(SourceError, match=r"t\.csv is neither a file nor a folder"):
        read(tmp_path / "t.csv")
    with pytest.raises(SourceError, match=r"link\.csv is a link to nothing"):
        read(tmp_path / "link.csv")
