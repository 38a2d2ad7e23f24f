"""The type of a column of cells, decided from all of them."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fathom.data.types import cast, decide, evidence, merge, typed

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
        None,
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


@pytest.mark.parametrize("cell", ["0x1F", "1_000", "12 kg", "1e", "--1", "01.5", "٣", "1.2.3", "1,2,3", "$", "1%2"])
def test_a_cell_that_is_no_number_keeps_the_column_a_string(cell: str) -> None:
    assert typed(column("1", cell)).to_pylist() == ["1", cell]


def test_a_word_far_down_is_refused_in_a_column_of_numbers() -> None:
    found = decide(evidence(column(*map(str, range(5000)), "twelve")))
    assert found.refused is not None
    assert found.refused[0] == "twelve"


def test_words_far_down_make_a_column_words() -> None:
    cells = typed(column(*map(str, range(5000)), *(f"word {k}" for k in range(30))))
    assert (cells.type, cells[0].as_py()) == (pa.string(), "0")


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


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_written_floats_are_read_back(numbers: list[float]) -> None:
    read = typed(column(*map(repr, numbers), "0.5"))
    assert read.equals(pa.chunked_array([[*numbers, 0.5]], pa.float64()))


# --- blocks -----------------------------------------------------------------------------------------------

WORDS_AND_GAPS = ["inf", "NA", "-", "?", "", "true", "True", "no", "NO", "word", "007"]
PLAIN_NUMBERS = ["1", "0", "-7", "+5", " 3 ", "2.5", "1e3", "9223372036854775808", "1e999"]
OTHER_NUMBERS = ["1,5", "1,234", "1,234,567", "1.234", "1.234,5", "1 234", "12 %", "$3"]
CELLS = st.sampled_from([*WORDS_AND_GAPS, *PLAIN_NUMBERS, *OTHER_NUMBERS])


@example(["1"], [["1e999"]])
@given(st.lists(CELLS, min_size=1, max_size=4), st.lists(st.lists(CELLS, max_size=6), min_size=1, max_size=4))
def test_evidence_of_blocks_merged_decides_as_that_of_all_cells(few: list[str], more: list[list[str]]) -> None:
    blocks = [column(*cells) for cells in [few, *more] if cells]
    whole = decide(evidence(pa.chunked_array([chunk for block in blocks for chunk in block.chunks])))
    merged = decide(reduce(merge, map(evidence, blocks)))
    assert (merged.sort, merged.marks, merged.refused is None) == (whole.sort, whole.marks, whole.refused is None)
    assert set(merged.missing) == set(whole.missing)
    for block in blocks:
        assert cast(block, merged).equals(cast(block, whole))


def test_twenty_words_in_one_block_and_one_in_another_are_words() -> None:
    first = evidence(column(*(f"word {k}" for k in range(20))))
    assert not first.words
    assert merge(first, evidence(column("one more"))).words


# --- numbers as people write them -------------------------------------------------------------------------

WRITTEN = {
    "with commas": lambda number: f"{number:,}",
    "with points": lambda number: f"{number:,}".replace(",", "."),
    "with blanks": lambda number: f"{number:,}".replace(",", " "),
    "with a dollar": lambda number: f"${number}",
    "with a percent sign": lambda number: f"{number} %",
}


@pytest.mark.parametrize("way", WRITTEN)
@example(numbers=[-1])
@given(numbers=st.lists(st.integers(-(10**15), 10**15), min_size=1))
def test_whole_numbers_written_in_some_way_are_read_back(way: str, numbers: list[int]) -> None:
    cells = [*map(WRITTEN[way], [*numbers, 1_234_567])]
    assert typed(column(*cells)).to_pylist() == [*numbers, 1_234_567]


@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1))
def test_fractions_with_decimal_commas_and_points_between_groups_are_read_back(numbers: list[Decimal]) -> None:
    written = [f"{number:,.2f}".translate(str.maketrans(",.", ".,")) for number in numbers]
    assert typed(column(*written)).to_pylist() == [float(number) for number in numbers]
