"""CSV files become tables, and uneven or damaged ones errors that say where."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom.data import read
from fathom.errors import InputError, SourceError

Write = Callable[[str, str | bytes], Path]


def train(source: object) -> pa.Table:
    return read(source).parts["train"]


def rows(source: object) -> list[dict[str, object]]:
    return train(source).to_pylist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_csv_is_found(write: Write, delimiter: str) -> None:
    path = write("t.csv", "\n".join(delimiter.join(cells) for cells in ("ab", "12", "34")))
    assert rows(path) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_decimal_commas_do_not_pass_for_delimiters(write: Write) -> None:
    assert rows(write("t.csv", "a;b\n1,5;2,5\n")) == [{"a": 1.5, "b": 2.5}]


def test_commas_in_quotes_do_not_pass_for_delimiters(write: Write) -> None:
    assert rows(write("t.csv", 'a;b\n"x,y";1\n"u,v";2\n'))[1] == {"a": "u,v", "b": 2}


def test_a_comma_in_a_name_does_not_pass_for_a_delimiter(write: Write) -> None:
    assert rows(write("t.csv", "width, mm;b\n1;2\n")) == [{"width, mm": 1, "b": 2}]


def test_a_csv_of_one_column_is_read(write: Write) -> None:
    assert rows(write("t.csv", "text\nhello\nworld\n")) == [{"text": "hello"}, {"text": "world"}]


def test_a_packed_csv_is_read_and_named_without_its_endings(write: Write) -> None:
    source = read(write("adult.csv.gz", gzip.compress(b"a,b\n1,2\n")))
    assert (source.name, source.parts["train"].to_pylist()) == ("adult", [{"a": 1, "b": 2}])


def test_a_byte_order_mark_is_no_part_of_the_first_name(write: Write) -> None:
    assert train(write("t.csv", b"\xef\xbb\xbfa,b\n1,2\n")).column_names == ["a", "b"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_text_that_is_not_utf8_is_decoded_and_said(write: Write, encoding: str) -> None:
    source = read(write("t.csv", "name;size\nMüller;1\n".encode(encoding)))
    assert source.parts["train"]["name"].to_pylist() == ["Müller"]
    assert encoding in source.notes[0]


def test_a_byte_that_is_not_utf8_far_down_is_decoded_too(write: Write) -> None:
    path = write("t.csv", b"a,b\n" + b"1,x\n" * 300_000 + b"2,\xfc\n")
    assert train(path)["b"][-1].as_py() == "ü"


def test_line_breaks_in_quotes_stay_in_the_cell(write: Write) -> None:
    assert rows(write("t.csv", 'a,b\r\n1,"x\ny"\r\n2,z\r\n')) == [{"a": 1, "b": "x\ny"}, {"a": 2, "b": "z"}]


def test_line_breaks_in_quotes_survive_the_edges_of_blocks(write: Write) -> None:
    path = write("t.csv", "a,b\n" + '1,"one line,\nand one more"\n' * 400_000)
    assert train(path).num_rows == 400_000


def test_empty_lines_and_blanks_around_names_are_passed_over(write: Write) -> None:
    assert rows(write("t.csv", "\n a , b \n1,2\n\n3,4\n")) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


@pytest.mark.parametrize(("row", "cells"), [("5", "1 cell,"), ("5,6,7", "3 cells,")])
def test_an_uneven_row_is_named_with_what_it_holds(write: Write, row: str, cells: str) -> None:
    path = write("t.csv", f"a,b\n1,2\n\n3,4\n{row}\n")
    with pytest.raises(SourceError) as raised:
        read(path)
    for told in (str(path), "row 3 below the header", cells, "the header 2", repr(row), "'a,b'"):
        assert told in str(raised.value)


def test_a_quote_that_is_never_closed_is_an_error(write: Write) -> None:
    with pytest.raises(SourceError, match="quote is never closed"):
        read(write("t.csv", 'a,b\n1,2\n3,"4\n5,6\n7,8\n'))


def test_the_later_of_two_columns_of_one_name_is_numbered_and_said(write: Write) -> None:
    source = read(write("t.csv", "a,a,a_2\n1,2,3\n"))
    assert source.parts["train"].to_pylist() == [{"a": 1, "a_3": 2, "a_2": 3}]
    assert "a (column 2) is read as a_3" in source.notes[0]


@pytest.mark.parametrize(("content", "message"), [("", "the file is empty"), ("a,b\n", "no rows")])
def test_a_csv_without_rows_is_an_error(write: Write, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(write("t.csv", content))


def test_a_file_says_where_relative_paths_in_its_cells_start(write: Write) -> None:
    path = write("log/t.csv", "center,angle\nIMG/1.jpg,0.5\n")
    assert train(path).schema.metadata == {b"fathom.base": str(path.parent).encode()}
    assert train(path).schema.field("center").type == pa.string()


# --- any table, any bytes ---------------------------------------------------------------------------------

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(LETTERS, max_size=8) | st.text(st.sampled_from('a,;\t|"\\ \n\r#1.'), max_size=8)
DIALECTS = [
    {"delimiter": ",", "quoting": csv.QUOTE_MINIMAL},
    {"delimiter": ";", "quoting": csv.QUOTE_ALL},
    {"delimiter": "\t", "quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    {"delimiter": "|", "quoting": csv.QUOTE_NONNUMERIC, "lineterminator": "\n"},
    {"delimiter": ",", "quoting": csv.QUOTE_ALL, "lineterminator": "\r"},
]


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(TEXTS, min_size=width, max_size=width), min_size=1, max_size=5))


def check_read_back(table: list[list[str]], dialect: dict[str, Any], encoding: str) -> None:
    names = [f"name {k}" for k in range(len(table[0]))]
    if len(names) == 1:  # without quotes, a cell may seem to be two with another delimiter between them
        dialect = {**dialect, "quoting": csv.QUOTE_ALL}
    written = io.StringIO(newline="")
    csv.writer(written, **dialect).writerows([names, *table])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(written.getvalue().encode(encoding))
        found = train_as_it_stands(path, names)
    assert found == [dict(zip(names, [cell or None for cell in row], strict=True)) for row in table]


def train_as_it_stands(path: Path, names: list[str]) -> list[dict[str, object]]:
    return read(path, header="yes", text=names).parts["train"].to_pylist()


def check_only_our_errors(data: bytes, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"t{ending}")
        path.write_bytes(data)
        try:
            read(path)
        except InputError as error:
            message = str(error)
        else:
            return
    assert "\n" not in message


ENCODED = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
ENDINGS = st.sampled_from([".csv", ".tsv", ".txt"])
PIECES = [
    b"a,b\n",
    b"1,2\n",
    b'"',
    b",",
    b"\n",
    b"\r",
    b"x;y",
    b"\t",
    b"#",
    b"\0",
    b"\xff",
    b"1,5",
    b"sep=;\n",
    b"NA",
    b" ",
]
DIRT = st.binary(max_size=200) | st.lists(st.sampled_from([*PIECES, b"\xef\xbb\xbf", b"\xc3\xbc"])).map(b"".join)


@given(tables(), st.sampled_from(DIALECTS), ENCODED)
@settings(max_examples=200, deadline=None)
def test_any_table_that_is_written_is_read_back(table: list[list[str]], dialect: dict[str, Any], encoding: str) -> None:
    check_read_back(table, dialect, encoding)


@pytest.mark.slow
@given(tables(), st.sampled_from(DIALECTS), ENCODED)
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_of_very_many_tables_is_read_back(table: list[list[str]], dialect: dict[str, Any], encoding: str) -> None:
    check_read_back(table, dialect, encoding)


@given(DIRT, ENDINGS)
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes, ending: str) -> None:
    check_only_our_errors(data, ending)


@pytest.mark.slow
@given(DIRT, ENDINGS)
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_of_very_many_bytes_are_read_or_refused_in_one_line(data: bytes, ending: str) -> None:
    check_only_our_errors(data, ending)


# --- real data -------------------------------------------------------------------------------------------


REAL_TABLES = {
    "tabular/adult_train.csv": (32561, 15),
    "tabular/adult_test.csv": (16281, 15),
    "tabular/compas-scores-two-years.csv": (7214, 53),
    "tabular/titanic.csv": (891, 12),
    "tabular/california_housing.csv": (20640, 10),
    "tabular/winequality-red.csv": (1599, 12),
    "tabular/bank-additional.csv": (4119, 21),
    "text/banking77/train.csv": (10003, 2),
    "text/ag_news/noisy_labels_10k.csv": (10000, 4),
    "text/aeslc/train.jsonl": (6000, 3),
    "text/ag_news/test.csv": (7600, 3),
    "text/ag_news/train_sample.csv": (20392, 2),
    "text/sst2/train.tsv": (6920, 2),
    "text/sst2/dev.tsv": (872, 2),
    "text/sst2/test.tsv": (1821, 2),
    "timeseries/ett/ETTh1.csv": (17420, 8),
    "timeseries/weather_jena2020.csv": (52696, 22),
    "driving/udacity_sim/driving_log.csv": (811, 5),
}


@pytest.mark.parametrize("name", REAL_TABLES)
def test_a_real_table_has_all_its_rows_and_columns(data_directory: Path, name: str) -> None:
    assert train(data_directory / name).shape == REAL_TABLES[name]


def test_adult_has_its_types_its_missing_cells_and_no_blanks(data_directory: Path) -> None:
    table = train(data_directory / "tabular/adult_train.csv")
    assert table.schema.field("age").type == pa.int64()
    assert table["workclass"].null_count == 1836
    assert sorted(table["income"].unique().to_pylist()) == ["<=50K", ">50K"]


@pytest.mark.bench
def test_adult_is_read_in_a_fifth_of_a_second(data_directory: Path) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        read(data_directory / "tabular/adult_train.csv")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.2


def test_question_marks_among_the_numbers_of_heart_disease_are_missing(data_directory: Path) -> None:
    table = train(data_directory / "tabular/heart_cleveland.csv")
    assert table.schema.field("ca").type == pa.float64()
    assert table["ca"].null_count + table["thal"].null_count == 6


def test_the_names_that_stand_twice_in_compas_are_said(data_directory: Path) -> None:
    (note,) = read(data_directory / "tabular/compas-scores-two-years.csv").notes
    assert "decile_score_2" in note
    assert "priors_count_2" in note


def test_files_without_a_header_keep_their_first_row(data_directory: Path) -> None:
    news = read(data_directory / "text/ag_news/test.csv", columns=("label", "title", "description"))
    assert (news.notes, news.parts["train"]["label"][0].as_py()) == ((), 3)
    films = read(data_directory / "text/sst2/dev.tsv")
    assert films.parts["train"]["column_1"][0].as_py() == "one long string of cliches"
    assert len(films.notes) == 1


# What is said of the clean sets; of every other nothing is.
SAID = {
    "ag_news/test.csv": "the first row",
    "sst2": "the first row",
    "compas": "stand twice",
    "gtsrb10/classes.csv": "a zero leads",
    "dailydialog": "each of",
}


def test_clean_sets_are_read_in_silence(data_directory: Path) -> None:
    paths = [path for end in ("csv", "tsv", "txt") for path in sorted(data_directory.rglob(f"*.{end}"))]
    small = [path for path in paths if path.stat().st_size < 6 << 20]
    assert len(small) > 50
    for path in small:
        notes = read(path).notes
        said = [words for part, words in SAID.items() if part in str(path)]
        assert [any(words in note for words in said) for note in notes] == [True] * len(said), (path, notes)
