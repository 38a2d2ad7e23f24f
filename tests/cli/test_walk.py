"""``fathom inspect --row`` and ``--filters``, as a person and a program see them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from PIL import Image

import fathom
from fathom.cli import main
from fathom.typeset import WIDEST

QUICK: dict[str, Any] = {"budget": "60steps", "measure": False, "baseline": False, "folds": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run on a CSV, which stands beside it."""
    place, draw = tmp_path_factory.mktemp("walk"), np.random.default_rng(0)
    x = draw.normal(size=(120, 2))
    columns = {
        "first number of two": x[:, 0],
        "v": x[:, 1],
        "y": np.where(x[:, 0] + draw.normal(size=120) > 0, "yes", "no"),
    }
    pa.csv.write_csv(pa.table(columns), place / "table.csv")
    training = {"optimizer": {"name": "sgd", "lr": 0.2}}
    fathom.fit(
        place / "table.csv", "y", out=place / "run", net={"name": "mlp", "hidden": [8]}, training=training, **QUICK
    )
    return place / "run"


@pytest.fixture(scope="module")
def pictures() -> fathom.Run:
    """Return a run on pictures in memory."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 9, 9), dtype=np.uint8)
    table = pa.table({"x": pa.FixedShapeTensorArray.from_numpy_ndarray(pixels), "y": np.arange(60) % 2})
    return fathom.fit(table, "y", net="resnet", **QUICK | {"budget": "2steps"})


def shown(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["inspect", *map(str, arguments)])
    found = capsys.readouterr()
    return ended.value.code, found.out, found.err  # type: ignore[return-value]


def test_a_row_is_walked_from_the_runs_own_data(run: Path, capsys: pytest.CaptureFixture[str]):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    status, out, _ = shown(capsys, run, "--row", 3)
    assert status == 0
    assert all(len(line) <= WIDEST for line in out.splitlines())
    rows = pa.csv.read_csv(run.parent / "table.csv").slice(3, 1).to_pylist()[0]
    assert f"truth of y  {rows['y']}" in out
    assert f"{rows['v']:.6g}" in out
    for words in ("row 3", "forward", "heads.0.output", "backward", "after sgd at 0.01", "after sgd at 0.2"):
        assert words in out
    assert out.index("body.layers.0") < out.index("heads.0.output") < out.rindex("body.layers.0")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_json_holds_the_same(run: Path, capsys: pytest.CaptureFixture[str]):
    status, out, _ = shown(capsys, run, "--row", 3, "--rate", 0.5, "--json")
    found = json.loads(out)
    assert status == 0
    assert found["row"] == 3
    assert [step["rate"] for step in found["steps"]] == [0.5, 0.2]
    assert {layer["name"] for layer in found["layers"]} >= {"body.layers.0", "heads.0.output"}
    assert found["steps"][0]["loss"] < found["loss"]


def test_another_row_is_another_walk(run: Path, capsys: pytest.CaptureFixture[str]):
    losses = {json.loads(shown(capsys, run, "--row", row, "--json")[1])["loss"] for row in (0, 1, 119)}
    assert len(losses) == 3


@pytest.mark.parametrize("row", [-1, 120])
def test_a_row_that_is_not_there_is_refused(row: int, run: Path, capsys: pytest.CaptureFixture[str]):
    status, _, err = shown(capsys, run, "--row", row)
    assert (status, err) == (2, f"fathom: error: there is no row {row} (allowed: 0 to 119)\n")


def test_rows_of_another_file_are_walked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "other.csv").write_text("first number of two,v,y\n8.125,0,no\n")
    status, out, _ = shown(capsys, run, "--row", 0, "--data", tmp_path / "other.csv")
    assert status == 0
    assert "8.125" in out


def test_data_that_changed_is_not_taken_for_the_runs_own(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    moved = tmp_path / "run"
    shutil.copytree(run, moved)
    config = (moved / "config.toml").read_text()
    (tmp_path / "table.csv").write_text("first number of two,v,y\n" + "8.125,0,no\n7,1,yes\n" * 30)
    (moved / "config.toml").write_text(config.replace(str(run.parent / "table.csv"), str(tmp_path / "table.csv")))
    status, _, err = shown(capsys, moved, "--row", 0)
    assert status == 2
    assert "is no longer what the run learned from; name rows by --data DATA" in err


def test_a_model_alone_needs_data(run: Path, capsys: pytest.CaptureFixture[str]):
    status, _, err = shown(capsys, run / "model", "--row", 0)
    assert status == 2
    assert "name rows by --data DATA" in err
    status, out, _ = shown(capsys, run / "model", "--row", 0, "--data", run.parent / "table.csv", "--json")
    assert [step["optimizer"] for step in json.loads(out)["steps"]] == ["sgd"]


def test_symptoms_are_shown_with_the_layers(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "while it was trained" not in shown(capsys, run)[1]
    ill = tmp_path / "ill"
    shutil.copytree(run, ill)
    lines = [json.loads(line) for line in (ill / "depths.jsonl").read_text().splitlines()]
    for line in lines:
        line["layers"]["body.layers.0"]["dead"] = 1.0
    (ill / "depths.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = shown(capsys, ill)[1]
    assert "body.layers.0: 100% of its units are silent in every row: dying" in " ".join(out.split())
    assert all(len(line) <= WIDEST for line in out.splitlines())
    (symptom,) = json.loads(shown(capsys, ill, "--json")[1])["symptoms"]
    assert symptom["name"] == "dying"


def test_filters_are_painted_into_one_picture(pictures: fathom.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pictures.save(tmp_path / "model")
    status, out, err = shown(capsys, tmp_path / "model", "--filters", tmp_path / "f.png")
    assert (status, out) == (0, "")
    assert f"32 filters are in {tmp_path / 'f.png'}; without patches: " in " ".join(err.split())
    with Image.open(tmp_path / "f.png") as painted:
        alone = painted.size
    table = tmp_path / "rows.npz"
    np.savez(table, x=np.random.default_rng(1).integers(0, 256, (6, 9, 9), dtype=np.uint8), y=np.arange(6) % 2)
    status, _, err = shown(capsys, tmp_path / "model", "--filters", tmp_path / "g.png", "--data", table)
    told = f"32 filters are in {tmp_path / 'g.png'}, each with the patches of 6 rows that it answers to most"
    assert (status, " ".join(err.split())) == (0, told)
    with Image.open(tmp_path / "g.png") as painted:
        assert painted.size[0] > 4 * alone[0]


@pytest.mark.parametrize(
    ("name", "words"), [("f.txt", "no such format"), ("f.png", "no convolution of this network looks at pictures")]
)
def test_what_cannot_be_painted_is_told(
    name: str, words: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    status, _, err = shown(capsys, run, "--filters", tmp_path / name)
    assert status == 2
    assert words in err
    assert not (tmp_path / name).exists()
