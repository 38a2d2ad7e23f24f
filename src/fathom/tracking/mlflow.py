"""MLflow: parameters, metrics and the model's files, on whatever server or database MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import json
import math
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fathom.errors import ConfigError
from fathom.heads.scoring import Scores
from fathom.runtime import write_atomic
from fathom.tracking.tracker import TRACKERS, Followed, Tracker

__all__ = ["MLflow"]

RUN_ID = "mlflow.json"
BY_COLUMN = ("heads", "kinds", "roles", "missing")
"""Tables whose keys are names of columns, which MLflow may not take as names of parameters."""

LONGEST_VALUE, AT_ONCE = 6000, 100
"""What MLflow allows of a parameter, in letters, and of one call."""

REFUSED = re.compile(r"[^\w\-./ :]", re.ASCII)
"""What the name of a metric may not hold."""

UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # MLflow's own keep a training waiting for minutes where a server is away
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@TRACKERS.register("mlflow", package="mlflow", extra="track", files=(RUN_ID,))
class MLflow(Tracker):
    """A run of MLflow, where MLFLOW_TRACKING_URI or else MLflow's own default says.

    Its id stands in ``mlflow.json`` in the run's directory, so that a run that is resumed goes on in it.

    Args:
        run: the run.
        experiment: of MLflow, made where there is none of that name.
    """

    def __init__(self, run: Followed, *, experiment: str = "fathom") -> None:
        self._place = None if run.directory is None else run.directory / RUN_ID
        self._last: dict[str, int] = {}
        with _calling():
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient()
            self._run_id = self._resumed() or self._created(run, experiment)

    def trained(self, what: str, step: int) -> None:
        """Points that the run has from before it was stopped are not logged twice."""
        with _calling():
            points = self._client.get_metric_history(self._run_id, _key(what, "loss"))
        self._last[what] = max((point.step for point in points), default=0)

    def looked(self, what: str, step: int, values: Mapping[str, float]) -> None:
        if step > self._last[what]:
            self._log({_key(what, name): value for name, value in values.items()}, step)

    def scored(self, scores: Scores, model: Path | None) -> None:
        values: dict[str, float] = {}
        for target, metrics in scores.items():
            for name, metric in metrics.items():
                found = {"": metric.value, "/low": metric.low, "/high": metric.high}
                values |= {_key("final", f"{target}/{name}{end}"): value for end, value in found.items()}
        with _calling():
            logged = self._client.get_run(self._run_id).data.metrics
        self._log({name: value for name, value in values.items() if name not in logged}, 0)
        with _calling():
            for path in () if self._place is None else (self._place.with_name("config.toml"),):
                self._client.log_artifact(self._run_id, str(path))
            if model is not None:
                self._client.log_artifacts(self._run_id, str(model), "model")

    def closed(self, *, failed: bool) -> None:
        with _calling():
            self._client.set_terminated(self._run_id, "FAILED" if failed else "FINISHED")

    def _resumed(self) -> str | None:
        """The id of the run that this one goes on with."""
        if self._place is None or not self._place.exists():
            return None
        try:
            run_id = str(json.loads(self._place.read_text())["run_id"])
        except (LookupError, TypeError, ValueError) as error:
            raise ConfigError(f"{self._place} is not as fathom writes it ({error!r:.200})") from error
        self._client.update_run(run_id, "RUNNING")
        return run_id

    def _created(self, run: Followed, experiment: str) -> str:
        known = self._client.get_experiment_by_name(experiment)
        experiment_id = self._client.create_experiment(experiment) if known is None else known.experiment_id
        run_id: str = self._client.create_run(experiment_id, run_name=run.name).info.run_id
        from mlflow.entities import Param

        found = [Param(key, value[:LONGEST_VALUE]) for key, value in _flat(run.config).items()]
        for start in range(0, len(found), AT_ONCE):
            self._client.log_batch(run_id, params=found[start : start + AT_ONCE])
        if self._place is not None:
            write_atomic(self._place, json.dumps({"run_id": run_id}).encode())
        return run_id

    def _log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        found = [Metric(key, float(value), now_ms, step) for key, value in values.items() if math.isfinite(value)]
        with _calling():
            for start in range(0, len(found), AT_ONCE):
                self._client.log_batch(self._run_id, metrics=found[start : start + AT_ONCE])


@contextmanager
def _calling() -> Iterator[None]:
    """MLflow as it should be while it is called from inside a training: soon back, and without words of its own."""
    unset = {name: value for name, value in UNLESS_SET.items() if name not in os.environ}
    os.environ.update(unset)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in unset:
            del os.environ[name]


def _key(what: str, name: str) -> str:
    return REFUSED.sub("_", name if what == "training" else f"{what}/{name}")


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested keys as ``training.optimizer.lr``; tables by column as JSON."""
    found: dict[str, str] = {}
    for key, value in config.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value and name not in BY_COLUMN:
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found
