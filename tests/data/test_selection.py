"""Rows of a table that stays where it is: pieces, cuts, parts and samples of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fathom.data import selection
from fathom.data.selection import Selection, is_large, rows_within

ROWS = 1000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MOST_PIECE_ROWS", 64)


@pytest.fixture
def rows() -> Selection:
    return Selection(pa.table({"n": np.arange(ROWS), "w": np.arange(ROWS).astype(str)}))


def numbers(tables: list[pa.Table]) -> list[int]:
    return [n for table in tables for n in table["n"].to_pylist()]


def multiples(rows: Selection, of: int) -> Selection:
    return rows.where(lambda piece: pa.array(piece["n"].to_numpy() % of == 0))


def test_pieces_are_all_selected_rows_in_order(rows):
    assert len(list(rows.pieces())) > 10
    assert numbers(rows.pieces()) == list(range(ROWS))
    thirds = multiples(rows, 3)
    assert (thirds.num_rows, numbers(thirds.pieces())) == (334, list(range(0, ROWS, 3)))
    assert numbers(multiples(thirds, 2).pieces()) == list(range(0, ROWS, 6))


def test_null_is_not_selected(rows):
    known = rows.where(lambda piece: pc.if_else(pc.less(piece["n"], 5), None, pc.less(piece["n"], 7)))
    assert numbers(known.pieces()) == [5, 6]


def test_parts_share_the_selected_rows_out(rows):
    even = multiples(rows, 2)
    first, second = even.parted(lambda piece, start: (np.arange(start, start + len(piece)) // 2) % 3, 2)
    assert numbers(first.pieces()) == list(range(0, ROWS, 6))
    assert numbers(second.pieces()) == list(range(2, ROWS, 6))


@pytest.mark.parametrize("of", [1, 7, 300])
@pytest.mark.parametrize("size", [1, 10, 64, 5000])
def test_cuts_hold_every_selected_row_in_pieces_of_about_one_size(rows, of, size):
    chosen = rows if of == 1 else multiples(rows, of)
    pieces = [chosen.between(*cut) for cut in chosen.cuts(size)]
    assert numbers(pieces) == list(range(0, ROWS, of))
    assert all(piece.num_rows for piece in pieces)
    assert max(piece.num_rows for piece in pieces) <= max(2 * size, 1 + size // 4 + size)


@pytest.mark.parametrize("of", [1, 7])
def test_a_sample_is_spread_over_all_rows_and_not_larger_than_asked(rows, of):
    chosen = rows if of == 1 else multiples(rows, of)
    found = chosen.spread(50)
    assert 40 <= found.num_rows <= 50
    places = np.array(found["n"])
    assert set(places) <= set(range(0, ROWS, of))
    assert max(np.diff(places)) < 100
    assert places[0] < 50
    assert places[-1] > 850
    assert numbers([chosen.spread(ROWS)]) == list(range(0, ROWS, of))


def test_thinning_draws_evenly_and_is_a_function_of_the_seed(rows):
    few, again, other = rows.thinned(200, 1), rows.thinned(200, 1), rows.thinned(200, 2)
    assert 150 < few.num_rows < 250
    assert few.in_memory() == again.in_memory()
    assert few.in_memory() != other.in_memory()
    assert abs(np.mean(few.in_memory()["n"]) - ROWS / 2) < 80
    assert rows.thinned(ROWS, 1) is rows


def test_a_table_is_large_by_its_share_of_the_memory(rows, monkeypatch):
    size = rows.table.nbytes
    for times, large in ((4, True), (6, False)):
        monkeypatch.setattr(selection, "memory_limit_bytes", lambda times=times: times * size)
        assert is_large(rows.table) is large
    assert rows_within(rows.table, size / 10) == ROWS // 10
