"""The type of a column of cells, decided from all of them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.data.types import typed

MISSING_WORDS = ["NA", "n/a", "NaN", "nan", "null", "NULL", "None", "none"]
BLANKS = st.sampled_from(["", " ", "\t", "  "])


def column(*cells: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(cells, pa.string())])


def test_whole_numbers_become_int64() -> None:
    assert typed(column("1", "-2", "+3", "0")).equals(pa.chunked_array([[1, -2, 3, 0]]))


def test_one_fraction_makes_the_column_float64() -> None:
    assert typed(column("1", "2.5", ".5", "1.", "1e3", "-inf")).to_pylist() == [
        1,
        2.5,
        0.5,
        1,
        1e3,
        -float("inf"),
    ]


def test_true_and_false_in_any_case_become_bool() -> None:
    assert typed(column("True", "FALSE", "true")).equals(pa.chunked_array([[True, False, True]]))


def test_yes_and_no_stay_strings() -> None:
    assert typed(column("yes", "no")).type == pa.string()


def test_zero_and_one_are_numbers_and_not_booleans() -> None:
    assert typed(column("0", "1")).type == pa.int64()


def test_codes_with_a_leading_zero_stay_strings() -> None:
    assert typed(column("00123", "10115")).to_pylist() == ["00123", "10115"]


def test_a_fraction_below_one_is_no_code() -> None:
    assert typed(column("0.25", "0")).type == pa.float64()


@pytest.mark.parametrize("cell", ["0x1F", "1,234", "1_000", "12 kg", "1e", "--1", "01.5", "٣"])
def test_a_cell_that_is_no_number_keeps_the_column_a_string(cell: str) -> None:
    assert typed(column("1", cell)).to_pylist() == ["1", cell]


def test_a_word_far_down_keeps_the_column_a_string() -> None:
    cells = typed(column(*map(str, range(5000)), "unknown"))
    assert cells.type == pa.string()
    assert cells[-1].as_py() == "unknown"


def test_the_type_is_decided_across_chunks() -> None:
    cells = pa.chunked_array([["1", "2"], ["3.5"], ["NA"]], pa.string())
    assert typed(cells).to_pylist() == [1.0, 2.0, 3.5, None]


@pytest.mark.parametrize("word", MISSING_WORDS)
def test_a_missing_word_is_null_among_numbers(word: str) -> None:
    assert typed(column("1", word)).equals(pa.chunked_array([[1, None]]))


def test_a_missing_word_is_null_among_booleans() -> None:
    assert typed(column("true", "N/A")).equals(pa.chunked_array([[True, None]]))


@pytest.mark.parametrize("word", MISSING_WORDS)
def test_a_missing_word_stays_a_word_among_words(word: str) -> None:
    assert typed(column("DE", word)).to_pylist() == ["DE", word]


@pytest.mark.parametrize("blank", ["", "?", "  ", " ? "])
@pytest.mark.parametrize("other", ["1", "true", "word"])
def test_an_empty_cell_or_a_question_mark_is_null_in_every_column(blank: str, other: str) -> None:
    assert typed(column(other, blank)).null_count == 1


def test_a_column_of_blanks_is_all_null() -> None:
    assert typed(column("", "?", " ")).equals(pa.chunked_array([pa.nulls(3, pa.string())]))


def test_a_column_of_missing_words_alone_stays_words() -> None:
    assert typed(column("NA", "NA")).to_pylist() == ["NA", "NA"]


def test_blanks_around_cells_are_gone() -> None:
    assert typed(column(" Private", "Self-emp ")).to_pylist() == ["Private", "Self-emp"]


def test_an_integer_beyond_int64_stays_a_string_and_keeps_its_digits() -> None:
    assert typed(column("1", "123456789012345678901234")).to_pylist() == ["1", "123456789012345678901234"]


def test_the_largest_int64_is_held_exactly() -> None:
    assert typed(column(str(2**63 - 1), str(-(2**63)))).to_pylist() == [2**63 - 1, -(2**63)]


@given(st.lists(st.tuples(BLANKS, st.integers(-(2**63), 2**63 - 1), BLANKS), min_size=1))
def test_written_integers_are_read_back(padded: list[tuple[str, int, str]]) -> None:
    read = typed(column(*(f"{before}{number}{after}" for before, number, after in padded)))
    assert read.equals(pa.chunked_array([[number for _, number, _ in padded]], pa.int64()))


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_written_floats_are_read_back(numbers: list[float]) -> None:
    read = typed(column(*map(repr, numbers), "0.5"))
    assert read.equals(pa.chunked_array([[*numbers, 0.5]], pa.float64()))
