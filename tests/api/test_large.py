"""Tables larger than memory: split, fitted, encoded into files and trained from there."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import fathom
from fathom.api import large, rows, stores
from fathom.api.rows import prepare
from fathom.config import Config
from fathom.data import Source, read, selection, sharded
from fathom.data.selection import Selection
from fathom.errors import Interrupted, SchemaError
from fathom.training.log import RunLog

ROWS = 6000
LIMIT_BYTES = 1_000_000


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process seem to have little memory, so that a small table is large; return the cache's folder."""
    for module in (selection, sharded, large, stores):
        monkeypatch.setattr(module, "memory_limit_bytes", lambda: LIMIT_BYTES)
    for module in (sharded, stores):
        monkeypatch.setattr(module, "SHARD_BYTES", 8192)
    monkeypatch.setattr(selection, "MOST_PIECE_ROWS", 512)
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made(**columns: Any) -> pa.Table:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, 4))
    town = draw.integers(0, 4, ROWS)
    known = {f"x{k}": x[:, k] for k in range(4)} | {"town": np.array(["Ulm", "Bonn", "Graz", "Linz"])[town]}
    return pa.table({**known, "y": np.where(x[:, 0] + town > 1.5, "yes", "no"), **columns})


def prepared(table: pa.Table, **asked: Any) -> tuple[rows.Rows, list[str]]:
    said: list[str] = []
    found = prepare(read(table), None, Config.of({"target": "y", **asked}), said.append)
    assert isinstance(found.train, Selection)
    assert found.train.table.nbytes > LIMIT_BYTES / 5
    return found, said


def parts(found: rows.Rows, column: str) -> list[list[Any]]:
    tables = [found.train.in_memory(), found.valid, found.test]
    return [table[column].to_pylist() for table in tables if table is not None]


def test_every_row_is_in_one_part_and_held_out_rows_are_bounded(cache):
    found, said = prepared(made(number=np.arange(ROWS)), roles={"number": "ignore"})
    train, valid, test = parts(found, "number")
    assert sorted(train + valid + test) == list(range(ROWS))
    assert 0 < len(valid) < 0.05 * ROWS
    assert 0 < len(test) < 0.05 * ROWS
    assert (found.numbers["valid"].tolist(), found.numbers["test"].tolist()) == (valid, test)
    assert sum("larger than memory" in line for line in said) == 2
    assert any("kinds are inferred from" in line for line in said)


def test_given_rows_that_are_drawn_keep_their_numbers(cache):
    table, given = made(number=np.arange(ROWS)), made(number=np.arange(ROWS))
    asked = Config.of({"target": "y", "roles": {"number": "ignore"}})
    found = prepare(Source({"train": table, "test": given}, (), "two", None, ()), None, asked, lambda line: None)
    assert found.test is not None
    assert found.test.num_rows < ROWS
    assert (found.numbers["test"] - ROWS).tolist() == found.test["number"].to_pylist()


def test_the_split_is_a_function_of_the_seed(cache):
    first, again, other = (prepared(made(), seed=seed)[0].valid for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_rows_with_equal_inputs_are_in_one_part(cache):
    table = made()
    twins = pa.concat_tables([table, table.slice(0, 1000)]).take(np.random.default_rng(0).permutation(ROWS + 1000))
    found, _ = prepared(twins)
    train, valid, test = (set(values) for values in parts(found, "x0"))
    assert not (train & valid)
    assert not (train & test)
    assert not (valid & test)


@pytest.mark.parametrize("groups", [7, 2000])
def test_no_group_is_in_two_parts(cache, monkeypatch, groups):
    monkeypatch.setattr(large, "MOST_GROUPS_COUNTED", 100)
    group = np.char.add("g", np.random.default_rng(1).integers(0, groups, ROWS).astype(str))
    found, _ = prepared(made(patient=group), roles={"patient": "group"})
    train, valid, test = (set(values) for values in parts(found, "patient"))
    assert not (train & valid)
    assert not (train & test)
    assert not (valid & test)
    assert min(len(train), len(valid), len(test)) > 0


def test_fewer_groups_than_parts_are_refused(cache):
    with pytest.raises(SchemaError, match="holds 2 groups"):
        prepared(made(patient=np.arange(ROWS) % 2), roles={"patient": "group"})


def test_later_rows_are_held_out_and_those_without_a_time_are_not(cache):
    when = np.random.default_rng(1).permutation(ROWS)
    found, _ = prepared(made(when=pa.array(when, mask=when < 10)), roles={"when": "time"})
    train, valid, test = parts(found, "when")
    assert None in train
    assert max(w for w in train if w is not None) < min(valid)
    assert max(valid) < min(test)


def test_dates_as_people_write_them_put_a_large_table_in_order(cache):
    days = np.datetime64("2025-11-20") + np.random.default_rng(1).integers(0, 120, ROWS)
    when = [None if n < 10 else day.strftime("%d.%m.%Y") for n, day in enumerate(days.tolist())]
    found, _ = prepared(made(when=when, row=np.arange(ROWS)), roles={"when": "time", "row": "ignore"})
    train, valid, test = ([days[row] for row in part if row >= 10] for part in parts(found, "row"))
    assert max(train) < min(valid)
    assert max(valid) < min(test)


def test_a_cell_that_is_no_date_is_told_wherever_it_stands(cache, monkeypatch):
    when = np.array([f"{1 + n % 28}.01.2026" for n in range(ROWS)], dtype=object)
    when[2500] = "soon"
    monkeypatch.setattr(large, "MOST_TIMES_SORTED", 64)
    monkeypatch.setattr(large, "MOST_ROWS_LOOKED_AT", 64)
    with pytest.raises(SchemaError, match=r"'when': times are to be.*'soon'"):
        prepared(made(when=when.tolist()), roles={"when": "time"})


def test_time_and_groups_together_are_refused(cache):
    with pytest.raises(SchemaError, match="by time or by groups"):
        prepared(made(when=np.arange(ROWS), who=np.arange(ROWS) % 9), roles={"when": "time", "who": "group"})


def test_too_few_times_are_refused(cache):
    with pytest.raises(SchemaError, match="holds 2 times"):
        prepared(made(when=np.arange(ROWS) % 2), roles={"when": "time"})


def test_rows_without_a_target_are_left_out(cache):
    table = made()
    labels = pa.array([None if n % 3 == 0 else y for n, y in enumerate(table["y"].to_pylist())])
    found, said = prepared(table.set_column(table.schema.get_field_index("y"), "y", labels))
    assert all(None not in labels for labels in parts(found, "y"))
    assert any("2,000 rows without any target are left out" in line for line in said)


def test_kinds_are_fitted_on_the_training_rows_as_in_memory(cache):
    found, _ = prepared(made(weight=np.tile([0.0] * 512 + [1.0] * 512, 6)[:ROWS]), roles={"weight": "weight"})
    whole = found.schema.fit(found.train.in_memory())
    for column, expected in zip(found.schema.columns, whole.columns, strict=True):
        for name, value in vars(expected.fitted.spec).items() if expected.fitted else ():
            np.testing.assert_allclose(getattr(column.fitted.spec, name), value, rtol=2e-2, atol=1e-2)


def test_weights_that_are_all_zero_are_refused(cache):
    with pytest.raises(SchemaError, match="every one is 0"):
        prepared(made(weight=np.zeros(ROWS)), roles={"weight": "weight"})


def test_test_rows_that_are_given_are_used_and_their_groups_are_not_learned_from(cache):
    groups = np.char.add("g", (np.arange(ROWS) % 50).astype(str))
    table = made(patient=groups)
    source = Source({"train": table, "test": table.slice(0, 10)}, ("y",), "t", None, ())
    found = prepare(source, None, Config.of({"target": "y", "roles": {"patient": "group"}}), lambda line: None)
    train, _, test = parts(found, "patient")
    assert test == table["patient"].slice(0, 10).to_pylist()
    assert not set(train) & set(test)


def test_rows_that_are_given_are_not_called_drawn(cache):
    source = Source({"train": made(), "test": made().slice(0, 10)}, ("y",), "t", None, ())
    said: list[str] = []
    prepare(source, None, Config.of({"target": "y"}), said.append)
    assert sum("rows are drawn" in line for line in said) == 1


@pytest.mark.parametrize("beside", [True, False])
def test_of_a_large_test_table_beside_a_small_one_some_rows_are_drawn_and_said(cache, beside):
    few, many, said = made().slice(0, 400), made(number=np.arange(ROWS)), []
    few = few.append_column("number", pa.array(range(400)))
    source = Source({"train": few, **({"test": many} if beside else {})}, ("y",), "t", None, ())
    given = None if beside else read(many)
    asked = Config.of({"target": "y", "folds": 0, "roles": {"number": "ignore"}})
    found = prepare(source, given, asked, said.append)
    assert isinstance(found.train, pa.Table)
    assert found.train.num_rows < 400
    assert 50 < found.test.num_rows < 1000
    assert found.test["number"][-1].as_py() > 4000, "they are drawn from all of it"
    assert any(f"test table is larger than memory can hold: {found.test.num_rows} rows are drawn" in s for s in said)


# --- training ---------------------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {"budget": "120steps", "measure": False, "training": {"threads": 1, "batch_size": 64}}


def test_a_run_from_files_learns_and_leaves_nothing_behind(cache, tmp_path):
    run = fathom.fit(made(), "y", out=tmp_path / "run", **SETTINGS)
    assert run.metrics["y"]["accuracy"].low > 0.8
    assert run.linear is not None
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    unnamed = fathom.fit(made(), "y", **SETTINGS)
    assert unnamed.metrics["y"]["accuracy"].value == run.metrics["y"]["accuracy"].value
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_run_that_was_stopped_finds_its_files_and_ends_as_if_it_had_not_been(cache, tmp_path, monkeypatch):
    whole = fathom.fit(made(), "y", out=tmp_path / "whole", **SETTINGS)
    write, stopped = RunLog.write, []

    def stopping(log: RunLog, *values: Any) -> None:
        write(log, *values)
        if not stopped:
            stopped.append(1)
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "write", stopping)
        with pytest.raises(Interrupted):
            fathom.fit(made(), "y", out=tmp_path / "run", **SETTINGS)
    kept = list(cache.rglob("*.safetensors"))
    assert len(kept) > 5
    encoded = []
    with monkeypatch.context() as patch:
        patch.setattr(stores, "write_shards", lambda place, count, *a: encoded.append(_written(place, count, *a)))
        again = fathom.fit(made(), "y", out=tmp_path / "run", resume=True, **SETTINGS)
    assert encoded == [0]
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert again.model.files()["weights.safetensors"] == whole.model.files()["weights.safetensors"]


def _written(place: Path, count: int, encode: Any, told: Any) -> int:
    """How many shards are encoded anew."""
    numbers: list[int] = []
    sharded.write_shards(place, count, lambda number: numbers.append(number) or encode(number), told)
    return len(numbers)
