"""compare: runs on the rows that they held out, or on others, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import fathom
from fathom.api.comparing import compare
from fathom.errors import InputError

QUICK = {"budget": "200steps", "measure": False, "baseline": False, "seed": 0}
ROWS = 600


def write(place: Path, seed: int = 0, count: int = ROWS) -> Path:
    """Rows of which only a net that bends its lines says the class."""
    draw = np.random.default_rng(seed)
    a, b = draw.normal(0, 1, (2, count))
    table = {"a": a, "b": b, "y": np.where(a * b > 0, "yes", "no"), "n": a + b + draw.normal(0, 0.1, count)}
    pa.csv.write_csv(pa.table(table), place)
    return place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write(folder / "rows.csv")
    write(folder / "more.csv", seed=1)
    for name, config in {
        "linear": {"net": "linear"},
        "mlp": {"net": "mlp"},
        "twin": {"net": "mlp", "ensemble": 2},
        "other seed": {"net": "linear", "seed": 1},
    }.items():
        fit(folder, name, **config)
    return folder


def fit(folder: Path, name: str, target: str = "y", **config: Any) -> None:
    given = {**QUICK, "roles": {"n" if target == "y" else "y": "ignore"}, **config}
    fathom.fit(folder / "rows.csv", target, out=folder / name, **given)


def test_the_better_run_is_named_on_the_rows_that_both_held_out(place):
    found = compare([place / "linear", place / "mlp"])
    assert found.rows == 90
    first = found.targets["y"][0]
    assert first.metric == "accuracy"
    assert first.better(first.differences[0]) == 1
    scores = [fathom.load(place / name).metrics["y"]["accuracy"].value for name in ("linear", "mlp")]
    assert first.values == pytest.approx(scores)
    plain = found.plain()["targets"]["y"]["accuracy"]["differences"][0]
    assert plain["better"] == str(place / "mlp")
    assert plain["test"] == "mcnemar"


def test_nets_alike_are_within_noise(place):
    found = compare([place / "mlp", place / "twin"])
    first = found.targets["y"][0]
    assert first.better(first.differences[0]) is None


def test_other_rows_compare_runs_that_held_out_others(place):
    with pytest.raises(InputError, match="held different test rows out"):
        compare([place / "linear", place / "other seed"])
    found = compare([place / "linear", place / "other seed", place / "mlp"], place / "more.csv")
    assert found.rows == ROWS
    assert [(one.first, one.second) for one in found.targets["y"][0].differences] == [(0, 1), (0, 2), (1, 2)]


def test_models_alone_are_compared_on_rows_that_are_named(place):
    models = [place / "linear" / "model", place / "mlp" / "model"]
    with pytest.raises(InputError, match="a model alone has no test rows"):
        compare(models)
    assert compare(models, place / "more.csv").targets["y"][0].differences[0].significant


def test_runs_on_test_data_of_their_own_are_compared_on_it(place):
    for name in ("one", "two"):
        fathom.fit(place / "rows.csv", "n", test=place / "more.csv", out=place / name, **QUICK, roles={"y": "ignore"})
    found = compare([place / "one", place / "two"])
    assert found.rows == ROWS
    assert [one.metric for one in found.targets["n"]] == ["r2", "rmse", "mae"]
    with pytest.raises(InputError, match="no target in common"):
        compare([place / "one", place / "mlp"])


def test_data_that_has_changed_is_told(place, tmp_path):
    write(tmp_path / "rows.csv")
    for name in ("p", "q"):
        fit(tmp_path, name, net="linear")
    assert compare([tmp_path / "p", tmp_path / "q"]).targets["y"][0].values[0] > 0
    write(tmp_path / "rows.csv", seed=5)
    with pytest.raises(InputError, match="is not what the runs learned from"):
        compare([tmp_path / "p", tmp_path / "q"])
    (tmp_path / "rows.csv").unlink()
    with pytest.raises(InputError, match="cannot be read again"):
        compare([tmp_path / "p", tmp_path / "q"])


def test_one_run_is_not_compared(place):
    with pytest.raises(InputError, match="1 run"):
        compare([place / "mlp"])
