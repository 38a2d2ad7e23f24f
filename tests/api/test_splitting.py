"""Rows that belong together are never parted: those of a group, of a time, of a file, and equal ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.api.rows import Rows, prepare
from fathom.api.splitting import with_group
from fathom.config import Config
from fathom.data import read, splits
from fathom.data.duplicates import row_codes
from fathom.data.splits import quantile_codes, random_split, time_split, unit_split
from fathom.errors import SchemaError

USUAL = (0.7, 0.15, 0.15)
FRACTIONS = st.sampled_from([USUAL, (0.85, 0.15), (0.5, 0.25, 0.25), (0.2, 0.8)])
RELAXED = settings(deadline=None)


def prepared(columns: Any, target: Any = "y", test: Any = None, **config: Any) -> tuple[Rows, list[str]]:
    said: list[str] = []
    asked = Config.of({"target": target, "folds": 0, **config})
    return prepare(read(columns), None if test is None else read(test), asked, said.append), said


def parts_of(rows: Rows, column: str) -> list[set[Any]]:
    return [set(part[column].to_pylist()) for part in (rows.train, rows.valid, rows.test) if part is not None]


def disjoint(sets: list[set[Any]]) -> bool:
    return sum(map(len, sets)) == len(set().union(*sets))


# Units


@RELAXED
@given(st.lists(st.integers(0, 30), min_size=40, max_size=300), FRACTIONS, st.integers(0, 1000))
def test_no_unit_is_parted_and_no_row_is_lost(drawn: list[int], fractions: tuple[float, ...], seed: int):
    units = np.unique([*drawn, *range(31)], return_inverse=True)[1]
    parts = unit_split(units, fractions, None, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(units)))
    assert disjoint([set(units[part].tolist()) for part in parts])


@pytest.mark.parametrize("seed", range(5))
def test_units_of_differing_size_and_label_are_shared_out_alike(seed: int):
    random = np.random.default_rng(seed)
    sizes = random.geometric(0.1, 400)
    units = np.repeat(np.arange(400), sizes)
    labels = np.repeat(random.random(400) < 0.2, sizes).astype(int)
    parts = unit_split(units, USUAL, labels, seed)
    for part, share in zip(parts, USUAL, strict=True):
        assert len(part) / len(units) == pytest.approx(share, abs=0.03)
        assert labels[part].mean() == pytest.approx(labels.mean(), abs=0.04)


def test_units_that_are_not_sorted_by_size_are_shared_out_worse():
    """The control of the test above: at random, heavy units end in one part now and then."""
    sizes = np.random.default_rng(0).geometric(0.1, 400)
    shares = [sizes[random_split(400, USUAL, None, seed)[2]].sum() / sizes.sum() for seed in range(40)]
    assert np.abs(np.array(shares) - 0.15).max() > 0.03


@pytest.mark.parametrize("seed", range(5))
def test_every_target_is_stratified(seed: int):
    random = np.random.default_rng(seed)
    labels = np.stack([random.random(1000) < 0.05, random.random(1000) < 0.1, random.random(1000) < 0.5], axis=1)
    parts = random_split(1000, USUAL, labels, seed)
    for k, most in ((0, 2), (1, 4), (2, 8)):
        wanted = labels[:, k].sum() * np.array(USUAL)
        assert np.abs([labels[part, k].sum() for part in parts] - wanted).max() <= most


def test_a_second_target_that_is_not_stratified_is_noticed():
    random = np.random.default_rng(0)
    labels = np.stack([random.random(1000) < 0.05, random.random(1000) < 0.1], axis=1)
    away = [
        labels[random_split(1000, USUAL, labels[:, 0], s)[2], 1].sum() - labels[:, 1].sum() * 0.15 for s in range(9)
    ]
    assert np.abs(away).max() > 4


def test_numbers_are_stratified_by_their_size():
    values = np.random.default_rng(0).lognormal(sigma=2, size=200)
    held = [np.log(values[random_split(200, USUAL, quantile_codes(values), s)[2]]).mean() for s in range(50)]
    plain = [np.log(values[random_split(200, USUAL, None, s)[2]]).mean() for s in range(50)]
    assert np.std(held) < 0.6 * np.std(plain)


# Time


@RELAXED
@given(st.lists(st.integers(0, 20), min_size=5, max_size=200), FRACTIONS)
def test_parts_follow_each_other_in_time(drawn: list[int], fractions: tuple[float, ...]):
    times = np.unique([*drawn, *range(5)], return_inverse=True)[1]
    parts = time_split(times, fractions, None)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(times)))
    assert all(len(part) for part in parts)
    for earlier, later in pairwise(parts):
        assert times[earlier].max() < times[later].min()


def test_the_cut_in_time_is_where_it_was_asked_for():
    assert [len(part) for part in time_split(np.arange(100), USUAL, None)] == [70, 15, 15]


def test_groups_are_not_parted_by_time_either():
    random = np.random.default_rng(0)
    times, units = random.integers(0, 1000, 500), random.integers(0, 60, 500)
    parts = time_split(times, USUAL, units)
    assert disjoint([set(units[part].tolist()) for part in parts])
    assert all(len(part) for part in parts)
    assert max(times[parts[0]]) < max(times[parts[1]]) < max(times[parts[2]])


def test_one_time_for_all_rows_is_refused():
    with pytest.raises(SchemaError, match="'when' holds 1 time, which cannot be shared out to 3 parts"):
        prepared({"x": np.arange(60.0), "y": np.arange(60.0), "when": [3] * 60}, roles={"when": "time"})


# Equal rows


def with_copies() -> dict[str, object]:
    x = np.concatenate([np.arange(300.0), np.arange(60.0)])
    return {"x": x, "word": ["a", "b"] * 180, "y": np.arange(360) % 7 * 1.0}


@pytest.mark.parametrize("seed", range(6))
def test_rows_for_the_score_have_no_copy_among_the_others(seed: int):
    rows, said = prepared(with_copies(), seed=seed)
    train, valid, test = parts_of(rows, "x")
    assert disjoint([train | valid, test])
    assert train & valid
    assert any("60 rows have the inputs of another row" in line for line in said)
    count = [part.num_rows for part in (rows.train, rows.valid, rows.test)]
    assert count == pytest.approx([252, 54, 54], abs=8)


def test_rows_to_choose_by_are_drawn_as_rows_come_where_the_score_has_rows_of_its_own():
    rows, said = prepared(with_copies(), test={"x": [500.0], "word": ["a"], "y": [1.0]})
    train, valid = parts_of(rows, "x")[:2]
    assert train & valid
    assert not any("inputs of another row" in line for line in said)


def test_without_that_equal_rows_would_be_parted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fathom.api.splitting.MOST_REPEATED", 0.0)
    x = np.concatenate([np.arange(300.0), np.arange(60.0)])
    rows, _ = prepared({"x": x, "y": np.arange(360) % 7 * 1.0})
    assert not disjoint(parts_of(rows, "x"))


def test_rows_that_repeat_by_nature_are_shared_out_at_random():
    random = np.random.default_rng(0)
    columns = {name: random.choice(["yes", "no"], 400) for name in "abc"}
    rows, said = prepared({**columns, "y": random.choice(["p", "q"], 400)})
    assert not disjoint(parts_of(rows, "a"))
    assert not any("inputs of another row" in line for line in said)


def test_an_empty_cell_equals_another_and_minus_zero_zero():
    table = pa.table({"x": [0.0, -0.0, None, None, 1.0], "s": ["a", "a", None, None, "a"]})
    assert row_codes(table, ["x", "s"]).tolist() in ([0, 0, 1, 1, 2], [1, 1, 0, 0, 2], [0, 0, 2, 2, 1], [2, 2, 0, 0, 1],
                                                    [1, 1, 2, 2, 0], [2, 2, 1, 1, 0])  # fmt: skip


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([[1, 2], [None, 0]]),
        pa.chunked_array([["a", "b"], [None, ""]]),
        pa.chunked_array([[1.5, -1.5], [None, 0.0]]),
        pa.chunked_array([[True, False], [None]]),
        pa.chunked_array([[[1, 2], [2, 1]], [None, []]]),
        pa.chunked_array([["a", "b"]]).dictionary_encode(),
    ],
)
def test_cells_that_differ_have_differing_codes(column: pa.ChunkedArray):
    table = pa.table({"c": column, "same": ["x"] * len(column)})
    assert len(set(row_codes(table, ["c", "same"]).tolist())) == len(column)
    twice = pa.concat_tables([table, table])
    codes = row_codes(twice, ["same", "c"])
    assert (codes[: len(column)] == codes[len(column) :]).all()


def test_the_same_values_in_other_columns_are_another_row():
    table = pa.table({"a": [1, 2], "b": [2, 1]})
    assert len(set(row_codes(table, ["a", "b"]).tolist())) == 2


def test_equal_pictures_in_files_of_other_names_are_equal_rows(data_directory: Path):
    source = read(data_directory / "vision" / "flowers128")
    codes = row_codes(source.parts["train"], ["image"])
    assert len(codes) - len(np.unique(codes)) == 3


# Groups by a pattern


def tracks(folder: Path) -> Path:
    from PIL import Image

    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for track in range(12):
            for frame in range(4):
                Image.new("L", (4, 4), (track * 20 + frame) % 256).save(folder / label / f"{track:03}_{frame}.png")
    return folder


def test_a_pattern_in_the_file_name_makes_groups(tmp_path: Path):
    rows, _ = prepared(tracks(tmp_path / "signs"), target=(), roles={r"file~(.+)_\d": "group"})
    groups = parts_of(rows, r"file~(.+)_\d")
    assert disjoint(groups)
    assert set().union(*groups) == {f"{label}/{track:03}" for label in ("left", "right") for track in range(12)}


def test_a_pattern_may_look_into_a_column():
    table = pa.table({"cabin": ["A1", "A2", "B1"]})
    assert with_group(table, "cabin~^(.)")["cabin~^(.)"].to_pylist() == ["A", "A", "B"]
    assert with_group(table, "cabin~[AB]")["cabin~[AB]"].to_pylist() == ["A", "A", "B"]
    assert with_group(table, "cabin~(A|B)(\\d)").column_names == ["cabin", "cabin~(A|B)(\\d)"]


def test_a_column_whose_name_holds_the_mark_is_that_column():
    table = pa.table({"a~b": ["x"]})
    assert with_group(table, "a~b") is table


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cabin~(", "no regular expression"),
        ("cabin~Z", "finds nothing in 3 of 3 rows, the first of which is 'A1'"),
        ("file~x", "'file' is neither a column nor the pictures' files .*cabin"),
    ],
)
def test_a_pattern_that_cannot_be_used_says_why(name: str, message: str):
    with pytest.raises(SchemaError, match=message):
        with_group(pa.table({"cabin": ["A1", "A2", "B1"]}), name)


# Parts that are given


def test_training_rows_of_a_group_that_is_scored_are_left_out():
    train = {"x": np.arange(60.0), "y": np.arange(60.0), "who": np.arange(60) % 6}
    test = {"x": np.arange(20.0), "y": np.arange(20.0), "who": np.arange(20) % 2}
    rows, said = prepared(train, test=test, roles={"who": "group"})
    assert disjoint(parts_of(rows, "who"))
    assert any("20 training rows are left out" in line for line in said)
    with pytest.raises(SchemaError, match="every group of 'who'"):
        prepared({**train, "who": [0] * 60}, test=test, roles={"who": "group"})


def test_a_split_that_parts_units_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(splits, "_rows_of", lambda parts, units: random_split(len(units), USUAL, None, 0))
    units = np.arange(90) // 3
    assert not disjoint([set(units[part].tolist()) for part in unit_split(units, USUAL, None, 0)])
