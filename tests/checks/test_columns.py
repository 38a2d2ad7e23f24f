"""Identifiers, constants, missing and infinite values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

ROWS = 100


def test_what_was_left_out_as_an_identifier_is_told(look, random):
    data = {
        "customer_id": random.permutation(ROWS),
        "name": [f"name {k}" for k in range(ROWS)],
        "x": random.normal(size=ROWS),
    }
    (found,) = look(data, only="identifiers")
    assert (found.severity, found.columns) == ("note", ("customer_id", "name"))
    assert found.remedy == "to use one, --role customer_id=input"


def test_a_column_that_numbers_the_rows_is_told_and_one_that_only_grows_is_not(look, random):
    data = {"no": np.arange(ROWS) * 2 + 7, "grows": np.cumsum(random.random(ROWS)), "x": random.normal(size=ROWS)}
    (found,) = look(data, only="identifiers")
    assert found.columns == ("no",)
    assert found.remedy == "--role no=ignore, or --time no"


def test_constants_that_are_inputs_all_the_same_are_told(look, random):
    data = {"one": [1.5] * ROWS, "word": ["a"] * ROWS, "x": random.normal(size=ROWS)}
    assert [found.severity for found in look(data, only="constants")] == ["note"]
    (found,) = look(data, only="constants", one="input", word="input")
    assert (found.severity, found.columns) == ("warning", ("one", "word"))
    assert found.remedy == "--role one=ignore --role word=ignore"


def test_a_value_here_and_nothing_there_is_no_constant(look, random):
    sometimes = [1.0 if k % 3 else None for k in range(ROWS)]
    assert look({"sometimes": sometimes, "x": random.normal(size=ROWS)}, only="constants") == []


def test_columns_and_rows_that_are_mostly_empty_are_told(look, random):
    full = {f"f{k}": random.normal(size=ROWS).tolist() for k in range(3)}
    for column in full.values():
        column[17] = None
    data = {**full, "rare": [1.0 * k if k % 4 == 0 else None for k in range(ROWS)]}
    columns, rows = look(data, only="missing")
    assert columns.columns == ("rare",)
    assert "75 %" in columns.message
    assert columns.remedy == "to leave them out, --role rare=ignore"
    assert (rows.rows, rows.count) == ((17,), 1)


def test_a_few_missing_cells_are_no_finding(look, random):
    data = {f"f{k}": [None if row == k else float(row) for row in range(ROWS)] for k in range(5)}
    assert look(data, only="missing") == []


def test_infinite_numbers_are_counted_with_their_rows(look, random):
    values = random.normal(size=ROWS)
    values[[3, 8]] = np.inf, -np.inf
    (found,) = look({"x": values, "z": random.normal(size=ROWS)}, only="infinite")
    assert (found.columns, found.rows, found.count) == (("x",), (3, 8), 2)


def test_infinite_numbers_in_lists_are_counted(look, random):
    values = random.normal(size=(ROWS, 4))
    values[5, 2] = np.inf
    cells = pa.FixedSizeListArray.from_arrays(values.ravel(), 4)
    (found,) = look(pa.table({"block": cells, "x": random.normal(size=ROWS)}), only="infinite")
    assert found.count == 1
