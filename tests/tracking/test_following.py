"""Trackers that fail or are missing, and what following costs where nobody asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fathom
from fathom.cli import main
from fathom.config import Config
from fathom.errors import ConfigError, MissingExtra
from fathom.registry import Choice
from fathom.tracking import TRACKERS, following
from fathom.tracking.tracker import TRACKED, Tracker
from tests.tracking.followed import fit, stopped

CALLS = ("__init__", "trained", "looked", "scored", "closed")


class Notebook(Tracker):
    """Keeps what it is told, and fails where it is told to."""

    told: list[tuple[Any, ...]] = []  # noqa: RUF012 - of the one that each test makes
    fails_in = ""

    def __init__(self, run: Any, *, pages: int = 3) -> None:
        self._note("__init__", run.name, pages)

    def trained(self, what: str, step: int) -> None:
        self._note("trained", what, step)

    def looked(self, what: str, step: int, values: Any) -> None:
        self._note("looked", what, step)

    def scored(self, scores: Any, model: Path | None) -> None:
        self._note("scored", model)

    def closed(self, *, failed: bool) -> None:
        self._note("closed", failed)

    def _note(self, what: str, *about: Any) -> None:
        if what == Notebook.fails_in:
            raise RuntimeError(f"no page for {what}\nand no pen")
        Notebook.told.append((what, *about))


@pytest.fixture(autouse=True)
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    TRACKERS.names()
    monkeypatch.setattr(TRACKERS, "_entries", dict(TRACKERS._entries))
    TRACKERS.register("notebook")(Notebook)
    Notebook.told, Notebook.fails_in = [], ""
    return Notebook.told


def test_a_tracker_is_told_of_a_run_from_beginning_to_end(notebook: list[tuple[Any, ...]], tmp_path: Path):
    fit(tmp_path / "run", {"name": "notebook", "pages": 7})
    looks = [step for what, *about in notebook if what == "looked" for step in about[1:]]
    assert looks == sorted(set(looks))
    assert looks[-1] == 80
    others = [one for one in notebook if one[0] != "looked"]
    assert others == [
        ("__init__", "run", 7),
        ("trained", "training", 0),
        ("scored", tmp_path / "run/model"),
        ("closed", False),
    ]


def test_a_run_that_is_stopped_is_told_so_and_where_it_goes_on(notebook: list[tuple[Any, ...]], tmp_path: Path):
    stopped(tmp_path / "run", "notebook", 30)
    last = [about[1] for what, *about in notebook if what == "looked"][-1]
    assert notebook[-1] == ("closed", True)
    notebook.clear()
    fit(tmp_path / "run", "notebook", resume=True)
    assert ("trained", "training", last) in notebook


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> fathom.Run:
    """A run that nobody follows."""
    return fit(tmp_path_factory.mktemp("plain") / "run", ())


@pytest.mark.parametrize("call", CALLS)
def test_a_tracker_that_fails_costs_one_line_and_no_run(call: str, plain: fathom.Run, tmp_path: Path):
    Notebook.fails_in = call
    said: list[str] = []
    run = fit(tmp_path / "run", ["notebook"], say=said.append)
    warnings = [line for line in said if line.startswith("warning: notebook")]
    assert warnings == [f"warning: notebook no longer follows this run, which goes on: no page for {call}"]
    assert run.metrics == plain.metrics
    assert (tmp_path / "run/model/MANIFEST.json").is_file()


def test_one_that_fails_leaves_the_other(notebook: list[tuple[Any, ...]], tmp_path: Path):
    pytest.importorskip("tensorboard")
    Notebook.fails_in = "looked"
    with pytest.warns(UserWarning, match="notebook no longer follows"):
        fit(tmp_path / "run", ["notebook", "tensorboard"])
    assert any((tmp_path / "run/tensorboard/training").iterdir())
    assert "scored" not in [what for what, *_ in notebook]


def test_a_server_that_is_away_does_not_keep_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    said: list[str] = []
    run = fit(tmp_path / "run", "mlflow", say=said.append)
    assert len([line for line in said if line.startswith("warning: mlflow no longer follows")]) == 1
    assert run.seconds < 60


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_told_before_anything_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(following, "find_spec", lambda package: None)
    with pytest.raises(MissingExtra):
        fathom.fit("no-such-data", log=name, out=tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["fit", "iris", "--log", name, "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"fathom: error: this needs the package '{name}': pip install 'fathom-nn[track]'"
    assert not (tmp_path / "run").exists()


def test_what_nobody_asks_for_is_not_imported():
    code = "import sys, fathom.api, fathom.config; fathom.config.Config.of({'log': ['tensorboard', 'mlflow']})\n"
    code += "print([name for name in ('tensorboard', 'mlflow', 'torch.utils.tensorboard') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"


def test_trackers_are_named_one_by_one_or_together():
    assert Config.of({"log": "mlflow"}).log == (Choice("mlflow"),)
    both = (Choice("tensorboard"), Choice("mlflow", {"experiment": "x"}))
    assert Config.of({"log": ["tensorboard", {"name": "mlflow", "experiment": "x"}]}).log == both
    assert Config.of(Config.of({"log": both}).plain()).log == both
    with pytest.raises(ConfigError, match="did you mean 'mlflow'"):
        Config.of({"log": "mlfow"})


def test_a_run_may_be_resumed_with_another_tracker(tmp_path: Path):
    stopped(tmp_path / "run", (), 30)
    assert fit(tmp_path / "run", "notebook", resume=True).outcome.steps == 80


def test_whatever_trackers_leave_in_a_run_is_known_to_be_its_own():
    left = [name for entry in TRACKERS for name in entry.facts.get("files", ())]
    assert sorted(left) == sorted(TRACKED)
