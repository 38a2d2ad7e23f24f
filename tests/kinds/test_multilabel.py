"""Sets of labels: which columns hold them, and what becomes of empty, missing and unknown ones."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fathom
from fathom.errors import SchemaError
from fathom.kinds.multilabel import Multilabel

LABELS = st.sampled_from(["action", "comedy", "drama", "film noir", "ü"])
SETS = st.lists(st.none() | st.sets(LABELS).map(sorted), min_size=1, max_size=30)
GENRES = ("action", "comedy", "drama", "film noir", "war")


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def lists(values: object) -> pa.ChunkedArray:
    return column(values, pa.list_(pa.string()))


def sets(*parts: pa.ChunkedArray, weight: object = None, **options: object) -> Multilabel:
    """Fitted, saved and read again."""
    statistics = Multilabel.count(parts[0], None if weight is None else np.asarray(weight, dtype=float))
    for part in parts[1:]:
        statistics = Multilabel.merge(statistics, Multilabel.count(part))
    first = Multilabel(Multilabel.fit(json.loads(json.dumps(statistics))), **options)  # type: ignore[arg-type]
    return Multilabel(json.loads(json.dumps(first.state, allow_nan=False)), **options)  # type: ignore[arg-type]


def rows(found: Multilabel, cells: pa.ChunkedArray) -> list[list[int]]:
    encoded = found.encode(cells)[""]
    return [part.tolist() for part in encoded.values.split(encoded.lengths.tolist())]


def round_trip(found: Multilabel, cells: pa.ChunkedArray) -> list:
    truth = found.truth(found.encode(cells)[""])[:, :-1]
    return found.decode({"chosen": np.nan_to_num(truth) > 0, "probability": truth})[""].to_pylist()


def genres(separator: str, count: int = 200) -> list[str]:
    draw = np.random.default_rng(0)
    return [separator.join(draw.permutation(GENRES)[: draw.integers(1, 4)]) for _ in range(count)]


@given(SETS)
def test_decoding_inverts_encoding(values):
    found = sets(lists(values))
    back = round_trip(found, lists(values))
    assert [value for value, cell in zip(back, values, strict=True) if cell is not None] == [
        value for value in values if value is not None
    ]
    assert [row == [0] for row in rows(found, lists(values))] == [value is None for value in values]


@given(SETS, st.data())
def test_shards_cut_anywhere_are_the_whole(values, data):
    cut = data.draw(st.integers(0, len(values)))
    strings = column([None if value is None else "|".join(value) for value in values], pa.string())
    for cells in (lists(values), strings):
        whole, merged = sets(cells), sets(cells.slice(0, cut), cells.slice(cut))
        assert merged.state == whole.state


@given(SETS, st.data())
def test_weights_are_repetition(values, data):
    times = data.draw(st.lists(st.integers(1, 3), min_size=len(values), max_size=len(values)))
    repeated = [value for value, count in zip(values, times, strict=True) for _ in range(count)]
    first, second = sets(lists(values), weight=times).spec, sets(lists(repeated)).spec
    assert first == second


def test_an_empty_set_is_a_value_and_a_label_never_seen_has_an_index_of_its_own():
    found = sets(lists([["a", "b"], [], ["b"]]))
    assert rows(found, lists([["b", "a"], [], None, ["new", "b", "newer"], ["b", "b", " b ", ""]])) == [
        [1, 2],
        [],
        [0],
        [2, 3, 3],
        [2],
    ]
    truth = found.truth(found.encode(lists([["new", "b", "newer"], [], None]))[""])
    np.testing.assert_array_equal(truth, [[0, 1, 2], [0, 0, 0], [np.nan] * 3])
    assert found.spec.fewest == 0
    assert sets(lists([["a", "b"], ["b"]])).spec.fewest == 1


def test_only_the_most_frequent_labels_are_told_apart():
    found = sets(lists([["a", "b"], ["b", "c"], ["b", "c"]]), most=2)
    assert found.state["readings"]["list"]["labels"] == ["b", "c"]
    assert rows(found, lists([["a", "b"]])) == [[1, 3]]


@pytest.mark.parametrize("separator", ["|", ";", ",", ", ", " | "])
def test_strings_that_a_sign_plainly_divides_are_claimed(separator):
    claim = Multilabel.claim(column(genres(separator)), target=False)
    assert claim is not None
    assert claim.reason == f"sets of 5 labels, divided by {separator.strip()}"
    found = sets(column(genres(separator)), **claim.options)
    assert found.state["readings"][separator.strip()]["labels"] == list(GENRES)
    back = round_trip(found, column(genres(separator)))
    assert [set(cell.split(separator.strip())) for cell in back] == [
        set(cell.split(separator)) for cell in genres(separator)
    ]


CITIES = ("Berlin, Germany", "Paris, France", "Bonn, Germany", "Lyon, France")
NOT_SETS = {
    "words": ["red", "green", "blue"] * 40,
    "places": [*CITIES] * 40,
    "places of differing depth": ["Austin, Texas, USA", "Berlin, Germany", "Dallas, Texas, USA"] * 40,
    "names": [f"Doe{i}, John" for i in range(120)],
    "decimal commas": [f"{i % 7},{i % 5}" for i in range(120)],
    "sentences": ["well, that is a long story of many words", "no, it is not, and it never was one"] * 40,
    "few that are divided": ["red"] * 90 + ["red, blue"] * 20 + ["blue, red, green"] * 10,
    "one size": ["a;b", "b;a", "c;a", "a;c"] * 40,
    "repeats": ["a,a,b", "b,a", "a,b,b"] * 40,
    "missing": [None] * 40,
    "words of which each is nearly new": [f"w{i},w{i + 1}" + f",w{i + 2}" * (i % 2) for i in range(120)],
    "numbers": ["1,2", "2,1,3", "3,2", "3,1,2"] * 40,
    "phrases": ["he said that it is so, she did not say a word", "she did not say a word, he said that it is so"] * 40
    + ["he said that it is so"] * 20,
    "titles": ["Mr. Smith; Esq.", "Dr. Who", "Mrs. Jones; PhD; MD"] * 40,
}


@pytest.mark.parametrize("name", NOT_SETS)
def test_other_strings_are_left_to_other_kinds(name):
    assert Multilabel.claim(column(NOT_SETS[name], pa.string()), target=False) is None


def test_a_vocabulary_that_does_not_repeat_is_none():
    assert Multilabel.claim(lists([[f"w{i}", f"v{i}"] for i in range(40)]), target=False) is None
    assert Multilabel.claim(lists([["a", "b"], ["b"], ["a"], []] * 10), target=False) is not None


def test_lists_that_repeat_what_they_hold_are_sequences_and_no_sets():
    tags = [["O", "B", "O"], ["B", "I", "I", "O", "O"]] * 50
    assert Multilabel.claim(lists(tags), target=True) is None
    assert Multilabel.claim(lists([sorted(set(row)) for row in tags]), target=True) is not None
    once = [["a", "b"]] * 99
    assert Multilabel.claim(lists([*once, ["a", "a"]]), target=False) is not None  # a slip makes no sequence


@pytest.mark.parametrize("separator", ["/", " ", ","])
def test_another_sign_divides_where_that_is_said(separator):
    cells = column(["a/b c,d", "b", None])
    found = sets(cells, separator=separator)
    assert found.state["readings"][separator]["labels"] == sorted({*"a/b c,d".split(separator), "b"})


def test_a_sign_that_training_rows_do_not_hold_divides_new_ones():
    found = sets(column(["a", "b"]), separator="/")
    assert rows(found, column(["a/b", "b"])) == [[1, 2], [2]]


def test_new_rows_may_come_as_lists_but_not_as_strings_where_lists_were():
    assert rows(sets(column(["a|b", "b"])), lists([["b", "a"], []])) == [[1, 2], []]
    with pytest.raises(SchemaError, match="lists of labels were expected, not string"):
        sets(lists([["a"]])).encode(column(["a"]))
    with pytest.raises(SchemaError, match="sets of labels were expected, not int64"):
        sets(column(["a|b"])).encode(column([1]))
    with pytest.raises(SchemaError, match="one part of the rows holds lists, another strings"):
        sets(lists([["a"]]), column(["a"]))


@pytest.mark.parametrize("name", ["titanic", "compas-scores-two-years", "adult_train", "bank-additional"])
def test_no_column_of_the_real_tables_is_taken_for_sets(data_directory, name):
    table = fathom.read(data_directory / "tabular" / f"{name}.csv").parts["train"]
    assert [n for n in table.column_names if Multilabel.claim(table[n], target=False)] == []
