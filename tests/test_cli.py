"""The command line: what it prints where, what it returns, and what it says of mistakes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import fathom.api
from fathom.cli import main
from fathom.cli.catalogue import ALL
from fathom.cli.rows import numbered, writer_for
from fathom.cli.settings import config_from
from fathom.cli.text import bold, number
from fathom.config import Config
from fathom.data import read
from fathom.errors import SchemaError
from fathom.registry import Choice

SOURCE = Path(__file__).resolve().parents[1] / "src"
QUICK = ("--budget", "60steps", "--set", "measure=false")
SCORE = re.compile(
    r"^  accuracy +[\d.]+ +\[[\d.]+, [\d.]+\] +\(linear [\d.]+, trivial [\d.]+\)$", re.MULTILINE
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        return json.loads(self.out)


def fathom_(*arguments: object) -> Done:
    """Run the command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Done(int(left.value.code or 0), *texts)


def process(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "fathom.cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, **{**pipes, **options})


def widest(text: str) -> str:
    return max(text.splitlines(), key=len)


def write_csv(place: Path, rows: list[dict[str, Any]]) -> Path:
    with open(place, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return place


def pets(count: int, seed: int) -> list[dict[str, Any]]:
    """Cats and dogs, told apart by size and colour; owners have three each, and each a day of birth."""
    random = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        dog = bool(random.random() < 0.5)
        size = round(float(random.normal(60 if dog else 30, 8)), 2)
        colour = str(random.choice(["black", "brown"] if dog else ["black", "red"]))
        rows.append(
            {
                "size": size,
                "colour": colour,
                "owner": k // 3,
                "day": k,
                "care": k % 2 + 1,
                "pet": "cat" if dog else "dog",
            }
        )
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    write_csv(folder / "pets.csv", pets(240, seed=0))
    write_csv(folder / "more.csv", pets(50, seed=1))
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> str:
    """A run of the command line that all tests may read."""
    directory = str(place / "run")
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--role", "owner=ignore", "--out", directory, *QUICK)
    assert done.status == 0, done.err
    return directory


@pytest.fixture
def own_run(run: str, tmp_path: Path) -> str:
    """A copy of that run, to be changed."""
    return str(shutil.copytree(run, tmp_path / "own"))


# ---------------------------------------------------------------- help


def test_help_names_every_command():
    done = fathom_("--help")
    assert done.status == 0
    for command in ("fit", "predict", "evaluate", "list", "show", "inspect", "demo"):
        assert re.search(rf"^  {command} ", done.out, re.MULTILINE)


def test_nothing_asked_is_answered_with_help():
    assert fathom_() == fathom_("--help")


def test_version():
    assert fathom_("--version") == Done(0, f"fathom {fathom.__version__}\n", "")


@pytest.mark.parametrize("command", ["", "fit", "predict", "evaluate", "list", "show", "inspect", "demo"])
def test_help_fits_80_columns(command: str):
    done = fathom_(*filter(None, [command]), "--help")
    assert done.out.startswith("Usage: ")
    assert len(widest(done.out)) <= 80, widest(done.out)


def test_help_of_a_command_loads_no_torch():
    code = (
        "import sys; from fathom.cli import main\ntry: main(['fit', '--help'])\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.endswith("False\n"), done


# ---------------------------------------------------------------- fit


def test_fit_prints_scores_and_what_next_on_stdout_and_the_rest_on_stderr(place: Path, tmp_path: Path):
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--out", tmp_path / "x", *QUICK)
    assert done.status == 0
    assert SCORE.search(done.out), done.out
    assert f"fathom predict {tmp_path}/x" in done.out
    assert re.search(r"^colour +input +category", done.err, re.MULTILINE)
    assert "colour" not in done.out
    assert "\033" not in done.out


def test_fit_summary_fits_80_columns(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert len(widest(fathom_("fit", place / "pets.csv", "--target", "pet", *QUICK).out)) <= 80


def test_fit_json_is_one_object(place: Path, tmp_path: Path):
    out = str(tmp_path / "x")
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--out", out, "--json", *QUICK)
    assert set(done.answer) == {"run", "rows", "metrics", "seconds", "folds"}
    assert done.answer["run"] == out
    assert set(done.answer["metrics"]["pet"]["accuracy"]) == {"value", "low", "high", "linear", "trivial"}
    assert done.answer["metrics"]["pet"]["accuracy"]["value"] > 0.8


def test_fit_names_its_directory_by_data_and_targets(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--target", "size", "--json", *QUICK)
    assert done.answer["run"] == "runs/pets-pet+size"
    assert set(done.answer["metrics"]) == {"pet", "size"}
    assert (tmp_path / "runs/pets-pet+size/model/MANIFEST.json").is_file()


def test_fit_takes_a_bundled_set_with_its_own_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert fathom_("fit", "iris", "--json", *QUICK).answer["run"] == "runs/iris-class"


def test_fit_scores_on_the_test_data_given(place: Path, tmp_path: Path):
    more = place / "more.csv"
    done = fathom_(
        "fit", place / "pets.csv", "--target", "pet", "--test", more, "--out", tmp_path / "x", "--json", *QUICK
    )
    assert done.answer["rows"] == 50


def test_fit_without_target_rebuilds_the_inputs(tmp_path: Path):
    done = fathom_("fit", "iris", "--target", "none", "--out", tmp_path / "x", *QUICK)
    assert "number columns, rebuilt" in done.out


def test_fit_options_reach_the_run(place: Path, tmp_path: Path):
    options = ["--net", "mlp", "--set", "net.hidden=[8]", "--set", "optimizer=sgd", "--set", "head.label_smoothing=0.1"]
    options += ["--kind", "care=category", "--role", "owner=ignore", "--seed", 5, "--out", tmp_path / "x"]
    assert fathom_("fit", place / "pets.csv", "--target", "pet", *options, *QUICK).status == 0
    config = tomllib.loads((tmp_path / "x/config.toml").read_text())
    assert (config["seed"], config["nets"]["vector"]["hidden"]) == (5, [8])
    assert config["training"]["optimizer"]["name"] == "sgd"
    assert config["heads"]["pet"]["label_smoothing"] == 0.1
    assert (config["kinds"]["care"]["name"], config["roles"]["owner"]) == ("category", "ignore")


@pytest.mark.parametrize(("role", "column"), [("weight", "care"), ("group", "owner"), ("time", "day")])
def test_fit_gives_a_column_its_role(role: str, column: str, place: Path, tmp_path: Path):
    done = fathom_("fit", place / "pets.csv", "--target", "pet", f"--{role}", column, "--out", tmp_path / "x", *QUICK)
    assert re.search(rf"^{column} +{role} ", done.err, re.MULTILINE), done.err


def test_fit_from_the_config_of_a_run_repeats_it(run: str, place: Path, tmp_path: Path):
    again = tmp_path / "again"
    assert fathom_("fit", place / "pets.csv", "--config", f"{run}/config.toml", "--out", again).status == 0
    assert (again / "model/weights.safetensors").read_bytes() == (Path(run) / "model/weights.safetensors").read_bytes()


# ---------------------------------------------------------------- the run's directory


def test_an_existing_directory_is_refused_and_both_ways_out_are_named(own_run: str, place: Path):
    before = sorted(path.stat().st_mtime_ns for path in Path(own_run).rglob("*"))
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--out", own_run, *QUICK)
    assert done.status == 2
    assert "--resume" in done.err
    assert "--overwrite" in done.err
    assert sorted(path.stat().st_mtime_ns for path in Path(own_run).rglob("*")) == before


def test_overwrite_replaces_the_run(own_run: str, place: Path):
    command = ("fit", place / "pets.csv", "--target", "pet", "--out", own_run, "--seed", 9)
    assert fathom_(*command, "--overwrite", *QUICK).status == 0
    assert tomllib.loads((Path(own_run) / "config.toml").read_text())["seed"] == 9


@pytest.mark.parametrize(
    "mistake",
    [("--target", "pat"), ("--target", "pet", "--net", "convnet"), ("--target", "pet", "--set", "monitor=r2")],
)
def test_a_mistake_overwrites_nothing_and_leaves_no_directory(
    mistake: tuple[str, ...], own_run: str, place: Path, tmp_path: Path
):
    assert fathom_("fit", place / "pets.csv", *mistake, "--out", own_run, "--overwrite", *QUICK).status == 2
    assert (Path(own_run) / "model/MANIFEST.json").is_file()
    assert fathom_("fit", place / "pets.csv", *mistake, "--out", tmp_path / "new", *QUICK).status == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
def test_a_directory_without_a_config_is_somebody_elses(option: str, place: Path, tmp_path: Path):
    theirs = tmp_path / "theirs" / "model" / "thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    done = fathom_("fit", "iris", "--budget", "1step", "--out", tmp_path / "theirs", option)
    assert (done.status, theirs.read_text()) == (2, "years of work")
    assert "is no run's directory" in done.err


def test_a_link_to_nowhere_is_no_directory(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    done = fathom_("fit", "iris", "--budget", "1step", "--out", tmp_path / "link")
    assert done.status == 2
    assert "name a directory" in done.err


@pytest.mark.parametrize("content", [b"x =", b"\xff\xfe"])
def test_a_config_that_cannot_be_read_is_named(content: bytes, own_run: str, place: Path):
    (Path(own_run) / "config.toml").write_bytes(content)
    done = fathom_(
        "fit", place / "pets.csv", "--target", "pet", "--role", "owner=ignore", *QUICK, "--out", own_run, "--resume"
    )
    assert done.status == 2
    assert "config.toml cannot be read" in done.err


def test_resuming_a_finished_run_gives_its_scores(own_run: str, place: Path):
    command = ("fit", place / "pets.csv", "--target", "pet", "--role", "owner=ignore", "--out", own_run, "--json")
    scores = json.loads((Path(own_run) / "model/metrics.json").read_text())
    assert fathom_(*command, "--resume", *QUICK).answer["metrics"] == scores


def test_resuming_with_other_options_is_refused(own_run: str, place: Path):
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--out", own_run, "--seed", 3, "--resume", *QUICK)
    assert done.status == 2
    assert "seed was 0 and is now 3" in done.err


@pytest.mark.parametrize("budget", ["90steps", "1m"])
def test_resuming_with_another_budget_says_what_to_do_instead(budget: str, own_run: str, place: Path):
    before = (Path(own_run) / "config.toml").read_bytes()
    command = ("fit", place / "pets.csv", "--target", "pet", "--role", "owner=ignore", "--out", own_run, "--resume")
    done = fathom_(*command, *QUICK, "--budget", budget)
    assert done.status == 2
    told = f"budget was '60steps' and is now '{budget}', but a run is planned to its end"
    assert told in done.err.splitlines()[-1]
    assert "another --out" in done.err
    assert (Path(own_run) / "config.toml").read_bytes() == before


# ---------------------------------------------------------------- settings


def settings(*texts: str, **options: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("budget", "seed", "net", "head", "weight", "group", "time", "config"))
    return config_from({**nothing, "target": (), "kind": (), "role": (), "set": texts, **options})


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["net.depth=4"], {"net": {"depth": 4}}),
        (["optimizer=sgd", "optimizer.lr=0.1"], {"optimizer": {"name": "sgd", "lr": 0.1}}),
        (["optimizer.lr=0.1", "optimizer=sgd"], {"optimizer": {"name": "sgd", "lr": 0.1}}),
        (["net.norm=layer", "net.norm.groups=8"], {"net": {"norm": {"name": "layer", "groups": 8}}}),
        (["nets.image.dropout=0"], {"nets": {"image": {"dropout": 0}}}),
        (["training.clip_norm=1", "training.optimizer.lr=1"], {"training": {"clip_norm": 1}, "optimizer": {"lr": 1}}),
    ],
)
def test_settings_merge_into_nested_keys(texts: list[str], expected: dict[str, Any]):
    assert settings(*texts) == expected


def test_net_and_its_settings_are_one_choice():
    assert settings("net.depth=4", net="mlp") == {"net": {"name": "mlp", "depth": 4}}


def test_a_role_is_read_from_the_right():
    assert settings(role=["a=b=ignore"]) == {"roles": {"a=b": "ignore"}}


def test_the_command_line_goes_before_the_file(tmp_path: Path):
    file = tmp_path / "c.toml"
    file.write_text(
        'seed = 1\nbudget = "1m"\nnet = "mlp"\n[training.optimizer]\nname = "sgd"\nlr = 0.5\n[kinds]\nname = "number"\n'
    )
    said = settings("net.dropout=0.5", "optimizer.lr=0.1", "kinds.name=category", config=str(file), seed=2)
    assert said == {
        "seed": 2,
        "budget": "1m",
        "net": {"name": "mlp", "dropout": 0.5},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "kinds": {"name": "category"},
        "training": {},
    }


def test_another_name_drops_the_options_of_the_file(tmp_path: Path):
    file = tmp_path / "c.toml"
    file.write_text('net = {name = "convnet", depth = 3}\n')
    assert settings(config=str(file), net="mlp") == {"net": "mlp"}
    assert settings("net.name=mlp", config=str(file)) == {"net": {"name": "mlp"}}


def test_options_alone_are_those_of_the_default():
    asked = Config.of(settings("optimizer.lr=0.5", "schedule.name=cosine"))
    assert asked.training == {"optimizer": Choice("adamw", {"lr": 0.5}), "schedule": Choice("cosine")}


def test_a_budget_in_seconds_tells_what_it_does_not_bound(tmp_path: Path):
    options = ("--set", "measure=false", "--net", "linear", "--folds", "0", "--set", "baseline=false")
    timed = fathom_("fit", "iris", "--budget", "0.2s", "--out", tmp_path / "a", *options)
    line = "budget: 0.2 s of training; checks, linear model, scores and report come on top"
    assert line in " ".join(timed.err.split())
    assert "budget:" not in fathom_("fit", "iris", "--budget", "2steps", "--out", tmp_path / "b", *options).err


@pytest.mark.parametrize("mistake", [("--budget", "soon"), ("--set", "net.dropout=x"), ("--net", "mpl")])
def test_a_mistaken_value_is_told_before_a_run_that_exists_and_before_any_row_is_read(
    mistake: tuple[str, str], own_run: str, place: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fathom.data.read", lambda *given, **options: pytest.fail("rows were read"))
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--out", own_run, *mistake)
    assert done.status == 2
    assert mistake[1].rpartition("=")[2] in done.err
    assert "exists already" not in done.err


def test_a_run_that_exists_is_told_before_any_row_is_read(own_run: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fathom.data.read", lambda *given, **options: pytest.fail("rows were read"))
    done = fathom_("fit", "nowhere.csv", "--target", "pet", "--out", own_run)
    assert "exists already" in done.err


# ---------------------------------------------------------------- mistakes, as JSON

MISTAKES = {
    "fit": ("nowhere.csv", "--target", "pet"),
    "tune": ("nowhere.csv", "--target", "pet"),
    "check": ("nowhere.csv", "--no-such-option"),
    "predict": ("nowhere", "nowhere.csv"),
    "evaluate": ("nowhere",),
    "compare": ("nowhere", "there"),
    "list": ("nothing",),
    "show": ("net", "nothing"),
    "inspect": ("nowhere", "--row", "one"),
    "report": ("nowhere",),
    "demo": ("--no-such-option",),
    "generate": ("nowhere", "--prompt", "x"),
    "pretrain": ("nowhere.txt",),
}


def test_every_command_with_json_has_a_mistake_to_try():
    from fathom.cli.commands import fathom as commands

    having = {name for name, command in commands.commands.items() if any("--json" in p.opts for p in command.params)}
    assert having == MISTAKES.keys()


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_an_object_where_json_is_asked_for(command: str):
    plainly = fathom_(command, *MISTAKES[command])
    done = fathom_(command, *MISTAKES[command], "--json")
    assert (plainly.status, plainly.out) == (2, "")
    assert (done.status, done.err) == (2, plainly.err)
    assert done.answer == {"error": plainly.err.removeprefix("fathom: error: ").rstrip("\n"), "status": 2}


def test_json_is_asked_for_only_before_two_dashes_and_of_commands_that_have_it():
    assert fathom_("predict", "nowhere", "--", "--json").out == ""
    assert fathom_("completion", "bash", "--json").out == ""
    assert fathom_("--json").out == ""


def test_an_error_whose_reader_went_away_leaves_no_traceback():
    with process("predict", "nowhere", "x.csv", "--json") as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        told = started.stderr.read()
        assert started.wait() == 2
    assert told.startswith("fathom: error: ")
    assert "Traceback" not in told
    assert "Exception" not in told


# ---------------------------------------------------------------- predict, evaluate


def test_predict_writes_numbered_rows_as_csv(run: str, place: Path):
    done = fathom_("predict", run, place / "more.csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert (done.status, done.err) == (0, "")
    assert list(rows[0]) == ["row", "pet", "pet probability cat", "pet probability dog"]
    assert [int(row["row"]) for row in rows] == list(range(50))
    truth = [row["pet"] for row in pets(50, seed=1)]
    assert np.mean([row["pet"] == pet for row, pet in zip(rows, truth, strict=True)]) > 0.8
    for row in rows:
        assert float(row["pet probability cat"]) + float(row["pet probability dog"]) == pytest.approx(1, abs=1e-5)


def test_predict_tells_what_training_never_saw(run: str, tmp_path: Path):
    rows = [{**row, "colour": "green" if k < 7 else row["colour"]} for k, row in enumerate(pets(20, seed=1))]
    done = fathom_("predict", run, write_csv(tmp_path / "new.csv", rows))
    assert done.status == 0
    assert done.err == "note: column 'colour': 7 cells hold 1 value that training never saw, as 'green'\n"
    assert len(done.out.splitlines()) == 21


def test_predict_writes_the_same_rows_into_every_format(run: str, place: Path, tmp_path: Path):
    files = {ending: tmp_path / f"p.{ending}" for ending in ("csv", "parquet", "jsonl")}
    for file in files.values():
        done = fathom_("predict", run, place / "more.csv", "--out", file)
        assert (done.status, done.out) == (0, "")
    expected = fathom_("predict", run, place / "more.csv", "--json").answer["predictions"]
    assert pyarrow.parquet.read_table(files["parquet"]).to_pylist() == expected
    assert [json.loads(line) for line in files["jsonl"].read_text().splitlines()] == expected
    assert [row["pet"] for row in pyarrow.csv.read_csv(files["csv"]).to_pylist()] == [row["pet"] for row in expected]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_predictions_are_written_some_rows_after_another_and_whole_or_not_at_all(tmp_path: Path, ending: str):
    def broken() -> Iterator[pa.Table]:
        yield from pieces
        raise SchemaError("the last cell is wrong")

    pieces, place = [pa.table({"y": [1.5, 2.5]}), pa.table({"y": [3.5]})], tmp_path / f"p.{ending}"
    with pytest.raises(SchemaError):
        writer_for(place)(numbered(broken()))
    assert list(tmp_path.iterdir()) == []
    assert writer_for(place)(numbered(pieces)) == 3
    assert read(place).parts["train"].to_pydict() == {"row": [0, 1, 2], "y": [1.5, 2.5, 3.5]}
    assert list(tmp_path.iterdir()) == [place]


def test_predict_json_names_the_file_it_wrote(run: str, place: Path, tmp_path: Path):
    out = str(tmp_path / "p.csv")
    answer = fathom_("predict", run, place / "more.csv", "--out", out, "--json").answer
    assert (answer["run"], answer["rows"], answer["out"]) == (run, 50, out)
    assert "predictions" not in answer


def test_predict_refuses_an_unknown_format_before_it_works(run: str, place: Path, tmp_path: Path):
    done = fathom_("predict", "no-such-run", place / "more.csv", "--out", tmp_path / "p.xls")
    assert (done.status, done.out) == (2, "")
    assert ".parquet" in done.err


def test_predict_refuses_a_place_that_is_not_there_before_it_works(run: str, place: Path, tmp_path: Path):
    done = fathom_("predict", run, place / "more.csv", "--out", tmp_path / "absent" / "answers.csv")
    assert done.status == 2
    assert "there is no directory" in done.err


def test_evaluate_scores_other_rows(run: str, place: Path):
    done = fathom_("evaluate", run, place / "more.csv", "--json")
    assert set(done.answer) == {"run", "rows", "metrics", "evaluation", "seconds"}
    assert done.answer["rows"] == 50
    truth = [row["pet"] for row in pets(50, seed=1)]
    guess = [row["pet"] for row in fathom_("predict", run, place / "more.csv", "--json").answer["predictions"]]
    share = np.mean([a == b for a, b in zip(truth, guess, strict=True)])
    assert done.answer["metrics"]["pet"]["accuracy"]["value"] == pytest.approx(share)
    assert SCORE.search(fathom_("evaluate", run, place / "more.csv").out)


def test_evaluate_says_when_the_rows_were_learned_from(run: str, place: Path):
    assert "flatter" in fathom_("evaluate", run, place / "pets.csv").err
    assert "flatter" not in fathom_("evaluate", run, place / "more.csv").err


# ---------------------------------------------------------------- list, show, inspect


def test_list_names_everything_with_its_summary():
    done = fathom_("list")
    assert len(widest(done.out)) <= 80, widest(done.out)
    flat = " ".join(done.out.split())
    for registry in ALL:
        for entry in registry:
            assert f"{entry.name} {entry.summary.replace('``', '')}" in flat


def test_list_json_says_what_nets_take_and_give():
    answer = fathom_("list", "nets", "--json").answer
    assert list(answer) == ["nets"]
    (convnet,) = [net for net in answer["nets"] if net["name"] == "convnet"]
    assert (convnet["takes"], convnet["gives"]) == ("image", ["maps", "vector"])
    assert convnet["summary"]


def test_list_takes_the_singular_too():
    assert fathom_("list", "kind") == fathom_("list", "kinds")
    assert "category" in fathom_("list", "kind").out


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (("reader", "csv"), "      allowed: 'auto', '.', ','"),
        (("reader", "csv"), "Options (as in --set reading.header=auto):"),
        (("reader", "folder"), "Its options are those of what reads the files in it, such as csv."),
        (("kind", "datetime"), "Options (as in --kind COLUMN=datetime --set kinds.COLUMN.unit=s):"),
        (("kind", "category"), "      allowed: int, 0 to 1,000,000"),
    ],
)
def test_show_says_what_can_be_typed(said, line):
    assert line in fathom_("show", *said).out.splitlines()


def test_readers_are_listed_with_the_ends_of_files_names():
    out = fathom_("list", "readers").out
    assert "(files that end in .parquet)" in out
    assert "Read a folder of pictures" in out
    assert "(holds" not in out


def test_show_prints_options_with_defaults_and_what_is_allowed():
    done = fathom_("show", "net", "mlp")
    assert "hidden = [256, 128]\n      width of each layer.\n      allowed: list of int, 1 to 65,536" in done.out
    options = {option["name"]: option for option in fathom_("show", "net", "mlp", "--json").answer["options"]}
    assert (options["dropout"]["default"], options["dropout"]["low"], options["dropout"]["high"]) == (0.1, 0, 0.95)
    assert "gelu" in options["activation"]["choices"]
    assert options["hidden"]["type"] == "list of int"


def test_show_fits_80_columns_for_everything():
    for registry in ALL:
        for entry in registry:
            done = fathom_("show", registry.what, entry.name)
            assert done.status == 0
            assert len(widest(done.out)) <= 80, widest(done.out)
            for option in entry.options:
                assert f"  {option} = " in done.out


def test_show_training_shows_the_engine():
    assert "clip_norm = 1.0" in fathom_("show", "training").out


def test_inspect_counts_every_parameter_once(run: str):
    answer = fathom_("inspect", run, "--json").answer
    network = fathom.api.load(run).model.network
    assert answer["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert sum(layer["parameters"] for layer in answer["layers"]) == answer["parameters"]
    assert ["body.layers.0", 8, [128]] in [
        [layer["name"], layer["members"], layer["shape"]] for layer in answer["layers"]
    ]


def test_inspect_shows_columns_layers_and_scores(run: str):
    done = fathom_("inspect", run)
    assert re.search(r"^  owner +ignore ", done.out, re.MULTILINE)
    assert re.search(r"^  heads\.0\.output +StackedLinear +\(8·B, 2\) +2,064 +4\.1 k$", done.out, re.MULTILINE), (
        done.out
    )
    assert SCORE.search(done.out)


# ---------------------------------------------------------------- demo


def test_demo_tells_its_story_and_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = fathom_("demo", "--json")
    assert done.status == 0
    assert done.answer["metrics"]["digit"]["accuracy"]["value"] >= 0.98
    assert done.answer["reloaded_equal"] is True
    assert len(widest(done.err)) <= 80, widest(done.err)
    assert re.search(r"accuracy 0\.9[89]", done.err)
    assert "fathom inspect runs/demo" in done.err


# ---------------------------------------------------------------- exit statuses


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["fti"], "did you mean 'fit'"),
        (["fit", "iris", "--targt", "x"], "'--target'"),
        (["fit", "iris", "--net", "mpl"], "did you mean 'mlp'"),
        (["fit", "iris", "--set", "net.droput=0.1"], "did you mean 'dropout'"),
        (["fit", "iris", "--set", "nte.dropout=0.1"], "did you mean 'net'"),
        (["fit", "iris", "--set", "optimizer.lrr=0.1"], "did you mean 'lr'"),
        (["fit", "iris", "--target", "clas"], "did you mean 'class'"),
        (["fit", "iris", "--role", "class=targt"], "did you mean 'target'"),
        (["fit", "iris", "--kind", "class"], "column=kind"),
        (["fit", "iris", "--set", "seed"], "key=value"),
        (["fit", "iris", "--budget", "2 moons"], "20epochs"),
        (["fit", "iris", "--set", "source=3"], "--set source"),
        (["fit", "iris", "--set", 'target=[["a"]]'], "unknown column"),
        (["fit", "iris", "--budget", "1step", "--out", "x" * 300], "too long"),
        (["fit", "iris", "--config", "none.toml"], "none.toml"),
        (["fit", "irsi"], "iris"),
        (["fit"], "'DATA'"),
        (["list", "netz"], "did you mean 'nets'"),
        (["show", "net", "mpl"], "did you mean 'mlp'"),
        (["show", "net"], "convnet"),
        (["inspect", "runs/none"], "no such directory"),
    ],
)
def test_a_mistake_is_one_line_that_helps(
    arguments: list[str], near: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = fathom_(*arguments)
    assert (done.status, done.out) == (2, "")
    line = done.err.splitlines()[-1]
    assert line.startswith("fathom: error: ")
    assert near in line
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_what_the_machine_refuses_is_no_bug(place: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = fathom_("fit", place / "pets.csv", "--target", "pet", "--out", tmp_path / "file/run", *QUICK)
    assert done.status == 2
    assert "Not a directory" in done.err


def test_divergence_is_3(tmp_path: Path):
    wild = ["--set", "optimizer.name=sgd", "--set", "optimizer.lr=10", "--set", "training.clip_norm=0"]
    done = fathom_("fit", "diabetes", "--out", tmp_path / "x", *wild, *QUICK)
    assert done.status == 3, done.err
    assert "diverged" in done.err.splitlines()[-1]


def test_a_bug_is_70_and_its_traceback_is_in_a_file(run: str, monkeypatch: pytest.MonkeyPatch):
    def broken(directory: str) -> None:
        raise KeyError("of ours")

    monkeypatch.setattr(fathom.api, "load", broken)
    done = fathom_("inspect", run)
    assert (done.status, done.out, len(done.err.splitlines())) == (70, "", 1)
    report = Path(re.search(r"(/\S+\.txt)", done.err)[1])  # type: ignore[index]
    assert "Traceback" in report.read_text()
    assert "of ours" in report.read_text()
    report.unlink()


def test_an_interrupted_run_can_be_resumed(place: Path, tmp_path: Path):
    """By SIGINT; tests/training/test_killed.py has both signals."""
    command = ["fit", place / "pets.csv", "--target", "pet", "--out", tmp_path / "x", "--set", "measure=false"]
    command += ["--budget", "1500steps", "--set", "training.threads=1", "--net", "mlp", "--set", "net.hidden=[8]"]
    command += ["--set", "folds=0", "--set", "baseline=false"]
    with process(*command) as started:
        until = time.monotonic() + 60
        while not (tmp_path / "x/log.jsonl").exists() and time.monotonic() < until and started.poll() is None:
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=60)
    assert started.returncode == 128 + signal.SIGINT, err
    assert err.splitlines()[-1].startswith("fathom: stopped")
    assert "--resume" in err.splitlines()[-1]
    assert (tmp_path / "x/checkpoints/last.safetensors").exists()
    assert "--resume" in fathom_("inspect", tmp_path / "x").err
    assert fathom_(*command, "--resume").status == 0
    assert [json.loads(line)["step"] for line in (tmp_path / "x/log.jsonl").read_text().splitlines()][-1] == 1500


def test_a_signal_outside_training_is_one_line():
    code = """
import signal, fathom.api
from fathom.cli import main
for number in (signal.SIGINT, signal.SIGTERM):
    fathom.api.load = lambda directory: signal.raise_signal(number)
    try:
        main(["inspect", "x"])
    except SystemExit as left:
        print(left.code - number)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "128\n128\n", "fathom: stopped\n" * 2)


@pytest.mark.parametrize("command", ["--help", "predict"])
def test_a_broken_pipe_is_quiet(command: str, run: str, place: Path):
    arguments = [command] if command == "--help" else [command, run, place / "more.csv"]
    reading, writing = os.pipe()
    os.close(reading)
    with process(*arguments, stdout=writing) as started:
        os.close(writing)
        _, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (128 + signal.SIGPIPE, "")


# ---------------------------------------------------------------- text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bold_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with redirect_stdout(Terminal()):
        assert bold("x") == "\033[1mx\033[0m"
        monkeypatch.setenv("NO_COLOR", "1")
        assert bold("x") == "x"
    monkeypatch.delenv("NO_COLOR")
    with redirect_stdout(io.StringIO()):
        assert bold("x") == "x"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9573, "0.957"),
        (0.99998, "0.99998"),
        (1.0, "1"),
        (0.0, "0"),
        (-2.345, "-2.35"),
        (52345.6, "52,346"),
        (np.nan, "-"),
    ],
)
def test_numbers_are_short_and_never_say_1_of_less(value: float, shown: str):
    assert number(value) == shown
