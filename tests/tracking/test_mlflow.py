"""MLflow's own client reads back what a run logged."""

from __future__ import annotations

import json
import shutil
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fathom
from tests.tracking.followed import fit, logged, stopped

pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow without any run: its tables take seconds to make."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def store(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database of MLflow that is this test's alone."""
    shutil.copyfile(empty, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def client() -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient()


def only_run(client: Any, experiment: str = "fathom") -> Any:
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def assert_it_stands_there_once(client: Any, place: Path, run: fathom.Run) -> None:
    found, lines = only_run(client), logged(place)
    assert len(lines) > 3
    for name in set(lines[0]) - {"step"}:
        points = client.get_metric_history(found.info.run_id, name)
        assert [point.step for point in points] == [line["step"] for line in lines]
        assert [point.value for point in points] == [line[name] for line in lines]
    for name, metric in run.metrics["class"].items():
        for end, value in (("", metric.value), ("/low", metric.low), ("/high", metric.high)):
            (point,) = client.get_metric_history(found.info.run_id, f"final/class/{name}{end}")
            assert point.value == value
    assert found.info.status == "FINISHED"


def test_curves_are_the_log_and_scores_those_of_the_run(client: Any, tmp_path: Path):
    run = fit(tmp_path / "flowers", "mlflow")
    assert_it_stands_there_once(client, tmp_path / "flowers", run)
    assert only_run(client).info.run_name == "flowers"


def test_parameters_are_the_config(client: Any, tmp_path: Path):
    fit(tmp_path / "run", "mlflow", seed=5)
    params = only_run(client).data.params
    recorded = tomllib.loads((tmp_path / "run/config.toml").read_text())
    assert (params["seed"], params["budget"]) == ("5", "80steps")
    assert params["training.optimizer.name"] == recorded["training"]["optimizer"]["name"]
    assert json.loads(params["training.optimizer.lr"]) == recorded["training"]["optimizer"]["lr"]
    assert json.loads(params["kinds"]) == recorded["kinds"]
    assert {key.partition(".")[0] for key in params} == set(recorded) - {"versions", "source"}


def test_the_files_of_the_model_and_its_config_are_artifacts(client: Any, tmp_path: Path):
    fit(tmp_path / "run", "mlflow")
    run_id = only_run(client).info.run_id
    files = {item.path for item in client.list_artifacts(run_id, "model")}
    assert files == {f"model/{path.name}" for path in (tmp_path / "run/model").iterdir()}
    place = Path(client.download_artifacts(run_id, "model", str(tmp_path)))
    assert fathom.load(place).predict("iris").equals(fathom.load(tmp_path / "run").predict("iris"))
    assert "config.toml" in {item.path for item in client.list_artifacts(run_id)}


def test_a_run_that_was_stopped_goes_on_in_the_same_run(client: Any, tmp_path: Path):
    stopped(tmp_path / "run", "mlflow", 30)
    assert only_run(client).info.status == "FAILED"
    run = fit(tmp_path / "run", "mlflow", resume=True)
    assert_it_stands_there_once(client, tmp_path / "run", run)


def test_points_beyond_the_last_checkpoint_are_not_logged_twice(client: Any, tmp_path: Path):
    stopped(tmp_path / "run", "mlflow", 30)
    (tmp_path / "run/checkpoints/last.safetensors").unlink()  # as if it had been killed before the first
    run = fit(tmp_path / "run", "mlflow", resume=True)
    assert_it_stands_there_once(client, tmp_path / "run", run)


def test_resuming_a_finished_run_doubles_nothing(client: Any, tmp_path: Path):
    fit(tmp_path / "run", "mlflow")
    run = fit(tmp_path / "run", "mlflow", resume=True)
    assert_it_stands_there_once(client, tmp_path / "run", run)


def test_names_that_mlflow_refuses_are_written_otherwise(client: Any, tmp_path: Path):
    columns = {"x": list(range(40)), "größe (%)": [k % 2 == 0 for k in range(40)]}
    fathom.fit(columns, "größe (%)", out=tmp_path / "run", log="mlflow", budget="5steps", folds=0, measure=False)
    metrics = only_run(client).data.metrics
    assert any(name.startswith("final/gr__e ___/") for name in metrics)


def test_the_experiment_may_be_named_and_nothing_need_be_kept(client: Any):
    fit(None, {"name": "mlflow", "experiment": "flowers"}, budget="10steps")
    assert only_run(client, "flowers").info.run_name == "iris"
