"""TensorBoard's own reader reads back what a run logged."""

from __future__ import annotations

import math
import shutil
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest

import fathom
from fathom.errors import ConfigError
from tests.tracking.followed import fit, logged, stopped

pytest.importorskip("tensorboard")


def events(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    return EventAccumulator(str(folder)).Reload()


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The step and value of each point of each curve, as TensorBoard draws them."""
    found = events(folder)
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def assert_curves_are_the_log(place: Path) -> None:
    lines, curves = logged(place), points(place / "tensorboard/training")
    assert len(lines) > 3
    assert set(curves) == set(lines[0]) - {"step"}
    for name, curve in curves.items():
        assert [step for step, _ in curve] == [line["step"] for line in lines]
        assert [value for _, value in curve] == pytest.approx([line[name] for line in lines], rel=1e-6)


def assert_scores_are_the_runs(place: Path, run: fathom.Run) -> None:
    curves = points(place / "tensorboard/summary")
    for name, metric in run.metrics["class"].items():
        for end, value in (("", metric.value), ("/low", metric.low), ("/high", metric.high)):
            ((step, logged_value),) = curves[f"class/{name}{end}"]
            assert (step, math.isclose(logged_value, value, rel_tol=1e-6)) == (0, True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, fathom.Run]:
    """A run that was followed to its end."""
    place = tmp_path_factory.mktemp("finished") / "run"
    return place, fit(place, "tensorboard")


def test_curves_are_the_log_and_scores_those_of_the_run(finished: tuple[Path, fathom.Run]):
    place, run = finished
    assert_curves_are_the_log(place)
    assert_scores_are_the_runs(place, run)


def test_the_config_stands_beside_them(finished: tuple[Path, fathom.Run]):
    place, _ = finished
    (text,) = events(place / "tensorboard/summary").Tensors("config/text_summary")
    written = text.tensor_proto.string_val[0].decode()
    config = tomllib.loads("\n".join(line.removeprefix("    ") for line in written.splitlines()))
    recorded = tomllib.loads((place / "config.toml").read_text())
    assert config == {key: value for key, value in recorded.items() if key not in ("versions", "source")}


@pytest.mark.parametrize("checkpoint_s", [0.0, 1000.0], ids=["from a checkpoint", "from the one that the signal wrote"])
def test_a_run_that_was_stopped_has_each_point_once(checkpoint_s: float, tmp_path: Path):
    place, training = tmp_path / "run", {"threads": 1, "checkpoint_s": checkpoint_s}
    stopped(place, "tensorboard", 30, training=training)
    run = fit(place, "tensorboard", training=training, resume=True)
    assert_curves_are_the_log(place)
    assert_scores_are_the_runs(place, run)


def test_points_beyond_the_last_checkpoint_are_taken_back(tmp_path: Path):
    place = tmp_path / "run"
    stopped(place, "tensorboard", 30)
    (place / "checkpoints/last.safetensors").unlink()  # as if it had been killed before the first
    fit(place, "tensorboard", resume=True)
    assert_curves_are_the_log(place)


def test_resuming_a_finished_run_doubles_nothing(finished: tuple[Path, fathom.Run], tmp_path: Path):
    shutil.copytree(finished[0], tmp_path / "run")
    run = fit(tmp_path / "run", "tensorboard", resume=True)
    assert_curves_are_the_log(tmp_path / "run")
    assert_scores_are_the_runs(tmp_path / "run", run)


def test_each_fold_has_curves_of_its_own(tmp_path: Path):
    fit(tmp_path / "run", "tensorboard", folds=2, ensemble=2, budget="10steps")
    folders = {path.name for path in (tmp_path / "run/tensorboard").iterdir()}
    assert folders == {"summary", "fold-1-of-2", "fold-2-of-2"}


def test_overwriting_a_run_deletes_its_events(tmp_path: Path):
    fit(tmp_path / "run", "tensorboard", budget="10steps")
    fit(tmp_path / "run", (), budget="10steps", overwrite=True)
    assert not (tmp_path / "run/tensorboard").exists()


def test_without_a_directory_it_is_refused_before_anything_is_read():
    with pytest.raises(ConfigError, match="name one"):
        fathom.fit("no-such-data", log="tensorboard")
