"""The study: trials in a database that several processes and machines share."""

from __future__ import annotations

import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fathom.config import Config
from fathom.errors import ConfigError, MissingExtra, first_line
from fathom.heads import METRICS
from fathom.model import SKILL
from fathom.runtime import seed_from

if TYPE_CHECKING:
    import optuna

__all__ = [
    "CONFIG",
    "DEFAULTS",
    "REASON",
    "SECONDS",
    "WORKER",
    "counts",
    "imported",
    "is_higher_better",
    "open_study",
    "put_back",
    "quiet",
    "settled",
    "worker_name",
]

HEARTBEAT_S, DEAD_S = 10, 40
"""A worker says so often that it lives; one that has been silent for so long is dead, and its trial is run again."""

MOST_TRIES = 3
STARTUP_TRIALS, TRIALS_BEFORE_PRUNING, RUNGS_BEFORE_PRUNING = 10, 5, 8
LOCK_WAIT_S = 60.0
CONFIG, DEFAULTS, SECONDS, REASON, WORKER, TRIES = "config", "defaults", "seconds", "reason", "worker", "tries"
"""What is written beside a trial."""


def imported() -> Any:
    """The package that samples and prunes.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("optuna", "tune") from error
    return optuna


def is_higher_better(monitor: str) -> bool:
    """Whether what validation watches is to grow."""
    return monitor == SKILL or bool(METRICS.get(monitor).facts["higher"])


@contextmanager
def open_study(
    url: str, name: str, asked: Config, about: Mapping[str, Any], *, workers: int = 1
) -> Iterator[optuna.Study]:
    """Open a study, or make it; its database is let go of when the block ends.

    Args:
        url: of the database.
        name: of the study in it.
        asked: the config where nothing is tuned.
        about: what every worker must agree on, as JSON.
        workers: how many there may be here; the sampler is then told what the others try.

    Raises:
        ConfigError: the database cannot be used, or its study is of other data or another question.
        MissingExtra: optuna is not installed.
    """
    storage = _storage(url)
    try:
        study = _study(storage, name, asked, workers)
        _agree(study, about)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _study(storage: Any, name: str, asked: Config, workers: int) -> optuna.Study:
    optuna = imported()
    direction = "maximize" if is_higher_better(asked.monitor) else "minimize"
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
        begun = len(study.get_trials(deepcopy=False))
        one_of = worker_name(os.getpid()) if workers > 1 else ""
        # Made anew in each process: nothing of it is kept in the database.
        study.sampler = optuna.samplers.TPESampler(
            seed=seed_from("tune", asked.seed, begun, one_of) % 2**32,
            n_startup_trials=STARTUP_TRIALS,
            multivariate=True,
            group=True,
            constant_liar=workers > 1,
        )
    study.pruner = optuna.pruners.MedianPruner(TRIALS_BEFORE_PRUNING, RUNGS_BEFORE_PRUNING)
    return study


def settled(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that ended: with a score, pruned, or given up after several deaths."""
    states = imported().trial.TrialState
    ended = (states.COMPLETE, states.PRUNED)
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state in ended or _given_up(trial)]


def put_back(study: optuna.Study, trial: optuna.trial.FrozenTrial, *, died: bool = True) -> None:
    """Put a trial that failed back into the queue, with the same values.

    Args:
        study: whose trial it is.
        trial: failed, because its worker ended and not the trial itself.
        died: whether the trial itself may have been the death of its worker; after a few such deaths it stays failed.
    """
    tries = trial.user_attrs.get(TRIES, 1) + died
    if tries > MOST_TRIES:
        return
    kept = {key: value for key, value in trial.user_attrs.items() if key == DEFAULTS}
    optuna = imported()
    study.add_trial(
        optuna.create_trial(
            state=optuna.trial.TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={**kept, TRIES: tries},
            system_attrs={"fixed_params": trial.params},
        )
    )


def counts(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial is one of those that were wanted: one that failed stands in the queue again."""
    return trial.state.name in ("COMPLETE", "PRUNED", "RUNNING") or _given_up(trial)


def worker_name(process: int) -> str:
    """A process on this machine, as its trials name it."""
    return f"{socket.gethostname()}:{process}"


@contextmanager
def quiet() -> Iterator[None]:
    """Have optuna keep its log to itself inside the block; what it says is said in our own words."""
    optuna = imported()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _storage(url: str) -> Any:
    """The database, whose trials are failed and run again when their worker falls silent.

    Raises:
        ConfigError: it cannot be reached, or the address is none.
    """
    optuna = imported()
    import sqlalchemy

    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise ConfigError("storage is no address of a database (as in sqlite:///study.db, postgresql://...)") from error
    waits = {"connect_args": {"timeout": LOCK_WAIT_S}} if parsed.get_backend_name() == "sqlite" else {}
    try:
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                url.replace("{", "{{").replace("}", "}}"),
                engine_kwargs=waits,
                heartbeat_interval=HEARTBEAT_S,
                grace_period=DEAD_S,
                heartbeat_stale_trial_callback=put_back,
            )
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        shown = parsed.render_as_string(hide_password=True)
        raise ConfigError(f"storage {shown} cannot be used: {first_line(error)}") from error


def _agree(study: optuna.Study, about: Mapping[str, Any]) -> None:
    """Write down what a study is about, or see that it is about the same.

    Raises:
        ConfigError: it is not.
    """
    for key, value in about.items():
        written = json.dumps(value, sort_keys=True)
        before = study.user_attrs.get(key)
        if before is None:
            study.set_user_attr(key, written)
        elif before != written:
            raise ConfigError(
                f"study {study.study_name!r} was begun with another {key}: {before:.200} (now {written:.200}); "
                "ask as before, or name another study or directory"
            )


def _given_up(trial: optuna.trial.FrozenTrial) -> bool:
    return trial.state.name == "FAIL" and trial.user_attrs.get(TRIES, 1) >= MOST_TRIES
