"""tune: trials on the same rows, kept in a database, the winner an ordinary run."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fathom
from fathom.api import tuned, tuning, tuning_study
from fathom.api.tuning_study import MOST_TRIES, counts, open_study, put_back, settled
from fathom.cli import main
from fathom.config import Config
from fathom.errors import ConfigError, Diverged, InputError, MissingExtra, SchemaError
from fathom.model import Model

pytest.importorskip("optuna")

ROWS = 160
QUICK: dict[str, Any] = {
    "trial_budget": "50steps",
    "net": {"name": "mlp", "hidden": [16]},
    "space": ["net.dropout", "optimizer.lr"],
    "baseline": False,
}


def rows(count: int = ROWS) -> dict[str, Any]:
    """Which side of a line a point lies on, with a little noise."""
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 3)).astype(np.float32)
    side = x[:, 0] + x[:, 1] + random.normal(0, 0.3, count) > 0
    return {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "side": np.where(side, "left", "right")}


def tune(**asked: Any) -> fathom.Tuning:
    return fathom.tune(rows(), "side", **{"trials": 6, **QUICK, **asked})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> fathom.Tuning:
    """A study that all tests may read."""
    return tune(out=tmp_path_factory.mktemp("tuning") / "study")


def trials_in(place: Path) -> list[tuple[int, str]]:
    with sqlite3.connect(place / "study.db") as database:
        return database.execute("select number, state from trials order by number").fetchall()


# ---------------------------------------------------------------- one study


def test_the_first_trial_is_the_defaults(study: fathom.Tuning):
    first = study.first
    assert first is not None
    assert (first.number, dict(first.changes)) == (0, {})
    asked = {key: QUICK[key] for key in ("net", "baseline")}
    plain = fathom.fit(rows(), "side", budget=QUICK["trial_budget"], measure=False, **asked)
    assert plain.outcome is not None
    assert plain.outcome.best == pytest.approx(first.value, abs=1e-6)


def test_the_winner_is_no_worse_than_the_defaults_on_validation(study: fathom.Tuning):
    values = [trial.value for trial in study.trials if trial.value is not None]
    assert study.first is not None
    assert study.best.value == max(values) >= (study.first.value or 0)
    assert len(study.trials) == 6


def test_the_winner_is_trained_again_as_in_its_trial(study: fathom.Tuning):
    assert study.run.outcome is not None
    assert study.run.outcome.best == pytest.approx(study.best.value, abs=1e-6)


def test_the_winner_is_an_ordinary_run(study: fathom.Tuning):
    assert study.directory is not None
    best = fathom.load(study.directory / "best")
    assert best.predict(rows(20)).num_rows == 20
    assert best.metrics == study.run.metrics


def test_the_winners_config_trains_the_same_network(study: fathom.Tuning, tmp_path: Path):
    assert study.directory is not None
    config = Config.read(study.directory / "best.toml")
    again = fathom.fit(rows(), out=tmp_path / "again", **config)
    weights = [place / "model/weights.safetensors" for place in (study.directory / "best", tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert again.rows == study.run.rows


def test_a_summary_is_json(study: fathom.Tuning):
    summary = json.loads(json.dumps(study.summary(), allow_nan=False))
    assert summary["metric"] == "skill"
    assert summary["metrics"]["side"]["accuracy"]["value"] > 0.7
    assert len(summary["trials"]) == 6
    if study.defaults is not None:
        accuracy = [summary[who]["side"]["accuracy"]["value"] for who in ("defaults", "metrics")]
        assert summary["gains"]["side"]["metric"] == "accuracy"
        assert summary["gains"]["side"]["value"] == pytest.approx(accuracy[1] - accuracy[0])


def test_no_trial_sees_the_rows_for_the_final_score(monkeypatch: pytest.MonkeyPatch):
    scored = []
    scores_on = Model.scores_on

    def noted(self: Model, table: Any, *judged: Any, **others: Any) -> Any:
        scored.append(table.num_rows)
        return scores_on(self, table, *judged, **others)

    monkeypatch.setattr(Model, "scores_on", noted)
    found = tune(trials=4)
    assert scored == [found.run.rows] * (1 if found.defaults is None else 2)


def test_rows_are_encoded_once(monkeypatch: pytest.MonkeyPatch):
    encoded = []
    encode = fathom.schema.Schema.encode  # type: ignore[attr-defined]
    monkeypatch.setattr(
        "fathom.schema.Schema.encode", lambda self, table, **how: (encoded.append(1), encode(self, table, **how))[1]
    )
    monkeypatch.setattr(
        tuning, "concluded", lambda *arguments: tuned.Tuning("skill", True, (), {}, None, None, {}, None)
    )
    tune(trials=4)
    assert len(encoded) == 2


def test_a_seed_repeats_a_study():
    first, again = (tune(trials=3, seed=4) for _ in range(2))
    assert [trial.config for trial in first.trials] == [trial.config for trial in again.trials]


def test_trials_that_fall_behind_are_pruned():
    found = tune(trials=12, trial_budget="100steps", space=["optimizer.lr=1e-6|1e-2"])
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert {trial.reason for trial in pruned} == {"behind the median"}
    assert all(trial.changes["optimizer.lr"] == 1e-6 for trial in pruned)


def test_a_trial_that_cannot_be_built_is_no_end(monkeypatch: pytest.MonkeyPatch):
    from fathom.api import tuning_trials

    make = tuning_trials.model_for

    def picky(schema: Any, asked: Config, rows: int) -> Model:
        if asked.net is not None and asked.net.options.get("dropout", 0.1) != 0.1:
            raise ConfigError("no such network")
        return make(schema, asked, rows)

    monkeypatch.setattr(tuning_trials, "model_for", picky)
    found = tune(trials=3, space=["net.dropout"])
    assert [trial.reason for trial in found.trials] == ["", "no such network", "no such network"]
    assert found.defaults is None


def test_a_mistake_in_what_is_asked_ends_the_study(monkeypatch: pytest.MonkeyPatch):
    def never(schema: Any, asked: Config, rows: int) -> Model:
        raise ConfigError("no such network")

    monkeypatch.setattr("fathom.api.tuning_trials.model_for", never)
    with pytest.raises(InputError, match="no such network"):
        tune()


def test_where_every_trial_diverges_that_is_said():
    with pytest.raises(Diverged, match="none of 2 trials"):
        tune(trials=2, optimizer={"name": "sgd", "lr": 10.0}, space=["optimizer.lr=9..10"], training={"clip_norm": 0.0})


def test_time_ends_a_study():
    started = time.monotonic()
    found = tune(trials=None, budget="6s")
    assert len(found.trials) > 1
    assert time.monotonic() - started < 30


# ---------------------------------------------------------------- going on


def test_a_study_that_is_there_is_refused_and_both_ways_out_are_named(study: fathom.Tuning):
    with pytest.raises(ConfigError, match="--resume continues it, --overwrite deletes it"):
        tune(out=study.directory)


def test_a_study_takes_more_trials(tmp_path: Path):
    first = tune(trials=2, out=tmp_path / "study")
    more = tune(trials=4, out=tmp_path / "study", resume=True)
    assert [number for number, _ in trials_in(tmp_path / "study")] == [0, 1, 2, 3]
    values = {trial.number: trial.value for trial in more.trials}
    assert all(values[trial.number] == trial.value for trial in first.trials)
    assert fathom.load(tmp_path / "study/best").metrics == more.run.metrics


@pytest.mark.parametrize("asked", [{"space": ["net.dropout"]}, {"seed": 3}, {"trial_budget": "60steps"}])
def test_another_question_is_refused(tmp_path: Path, asked: dict[str, Any]):
    tune(trials=1, out=tmp_path / "study")
    with pytest.raises(ConfigError, match="was begun with another"):
        tune(trials=2, out=tmp_path / "study", resume=True, **asked)


def test_overwrite_starts_anew(tmp_path: Path):
    tune(trials=2, out=tmp_path / "study")
    tune(trials=1, out=tmp_path / "study", overwrite=True)
    assert len(trials_in(tmp_path / "study")) == 1


def test_somebody_elses_directory_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="is no study's directory"):
        tune(out=tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


# ---------------------------------------------------------------- processes


def command(place: Path, *more: object) -> list[str]:
    quick = ("--trial-budget", "50steps", "--net", "mlp", "--space", "net.dropout,optimizer.lr")
    return ["tune", "iris", *quick, "--out", str(place), *map(str, more)]


def started(place: Path, *more: object) -> subprocess.Popen[str]:
    source = str(Path(fathom.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-m", "fathom.cli", *command(place, *more)],
        env=os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool], limit_s: float = 90.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def running(place: Path) -> bool:
    """Whether a trial beyond the first few is under way."""
    try:
        return any(number > 1 and state == "RUNNING" for number, state in trials_in(place))
    except sqlite3.OperationalError:
        return False


def test_a_killed_study_goes_on_and_leaves_no_trial_behind(tmp_path: Path):
    place = tmp_path / "study"
    with started(place, "--trials", 500) as process:
        wait_until(lambda: running(place))
        process.send_signal(signal.SIGKILL)
    ended = sum(state == "COMPLETE" for _, state in trials_in(place))
    with pytest.raises(SystemExit) as left:
        main(command(place, "--trials", ended + 3, "--resume"))
    assert not left.value.code
    states = [state for _, state in trials_in(place)]
    assert sum(state in ("COMPLETE", "PRUNED") for state in states) == ended + 3
    assert not {"RUNNING", "WAITING"} & set(states)


def test_an_interrupted_study_keeps_its_trials(tmp_path: Path):
    place = tmp_path / "study"
    with started(place, "--trials", 500) as process:
        wait_until(lambda: running(place))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert f"every trial that ended is in {place}, continue with --resume" in told
    assert "Traceback" not in told
    states = [state for _, state in trials_in(place)]
    assert states.count("COMPLETE") >= 1
    assert "RUNNING" not in states


def test_two_workers_share_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def after_the_other(study: Any, given: Any, tell: Any) -> None:
        wait_until(lambda: any("worker" in trial.user_attrs for trial in study.trials))
        work(study, given, tell)

    work = tuning.work
    monkeypatch.setattr(tuning, "work", after_the_other)
    found = tune(trials=8, workers=2, trial_budget="200steps", out=tmp_path / "study")
    with sqlite3.connect(tmp_path / "study/study.db") as database:
        workers = database.execute("select value_json from trial_user_attributes where key = 'worker'").fetchall()
    assert len(set(workers)) == 2
    assert len(found.trials) == 8
    assert sum(trial.is_default for trial in found.trials) == 1


# ---------------------------------------------------------------- the database


def opened(place: Path, **about: Any) -> Any:
    return open_study(f"sqlite:///{place}", "x", Config(), about)


def test_a_trial_that_kills_its_worker_is_given_up_in_the_end(tmp_path: Path):
    import optuna

    with opened(tmp_path / "x.db") as study:
        for _ in range(MOST_TRIES):
            with pytest.warns(UserWarning, match="Heartbeat"):
                trial = study.ask()
            trial.suggest_float("x", 0, 1)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            put_back(study, study.trials[trial.number])
        values = {trial.params["x"] for trial in study.trials}
        assert len(values) == 1
        assert [trial.state.name for trial in study.trials] == ["FAIL"] * MOST_TRIES
        assert [counts(trial) for trial in study.trials] == [False] * (MOST_TRIES - 1) + [True]
        assert len(settled(study)) == 1


def test_a_study_of_other_data_is_refused(tmp_path: Path):
    with opened(tmp_path / "x.db", data="abc"):
        pass
    with opened(tmp_path / "x.db", data="abc"):
        pass
    with pytest.raises(ConfigError, match="another data"), opened(tmp_path / "x.db", data="xyz"):
        pass


@pytest.mark.parametrize("url", ["", "nowhere", "sqlite:////no/such/place/x.db", "mysterydb://host/x"])
def test_a_database_that_cannot_be_used_is_one_line(url: str):
    with pytest.raises(ConfigError, match="storage") as caught:
        tune(storage=url)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        tune(storage="mysterydb://ada:secret@host/x")
    assert "secret" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tuning_study, "STARTUP_TRIALS", 2)
    tune(trials=2, out=tmp_path / "study")

    def refused(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("something was unpickled")

    for name in ("loads", "load", "Unpickler"):
        monkeypatch.setattr(pickle, name, refused)
    assert len(tune(trials=4, out=tmp_path / "study", resume=True).trials) == 4


# ---------------------------------------------------------------- mistakes


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"'optuna': pip install 'fathom-nn\[tune\]'"):
        tune()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"trials": 0}, "trials = 0"),
        ({"budget": "20epochs"}, "is a time"),
        ({"workers": 0}, "workers = 0"),
        ({"folds": 5}, "tune without folds"),
        ({"space": ["net.droput"]}, "did you mean 'net.dropout'"),
        ({"trial_budget": "soon"}, "budget 'soon'"),
        ({"nett": "mlp"}, "unknown key 'nett'"),
    ],
)
def test_a_mistake_is_told_before_any_trial(tmp_path: Path, asked: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        tune(out=tmp_path / "study", **asked)
    assert not (tmp_path / "study").exists()


def test_too_few_rows_to_choose_by_are_refused():
    with pytest.raises(SchemaError, match="too few rows to choose by"):
        fathom.tune(rows(8), "side", trials=1)
