"""tune: many short trainings, the best of which is trained once more, scored and kept as an ordinary run."""

from __future__ import annotations

import math
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import tomli_w

from fathom.api.augmenting import decided
from fathom.api.directory import check_directory, locked, open_directory, without_none
from fathom.api.examining import Say
from fathom.api.fitting import model_for
from fathom.api.large import rows_in_memory
from fathom.api.rows import Rows, prepare
from fathom.api.tuned import Tuning, concluded
from fathom.api.tuning_space import as_said, space_for
from fathom.api.tuning_study import DEFAULTS, WORKER, imported, open_study, put_back, quiet, settled
from fathom.api.tuning_trials import Given, waiting_for_others, work
from fathom.api.tuning_worker import Question, workers
from fathom.config import Config
from fathom.data import read
from fathom.data.readers import accepted_options
from fathom.errors import ConfigError, Interrupted, SchemaError
from fathom.runtime import available_threads, write_atomic
from fathom.training.budget import Budget

if TYPE_CHECKING:
    import optuna

__all__ = ["tune"]

USUAL_TRIALS = 50
ASKED, DATABASE = "tune.toml", "study.db"
# As in a run's directory: what is written last stands first, what tells whose it is last.
OURS = ("best.toml", "best", "defaults", f"{DATABASE}-journal", DATABASE, ASKED)
MOST_ROWS = 1_000_000
AUGMENT = "augment"


def tune(
    source: Any,
    target: str | Iterable[str] | None = None,
    *,
    trials: int | None = None,
    budget: str | None = None,
    trial_budget: str | None = None,
    space: Iterable[str] = (),
    workers: int = 1,
    storage: str | None = None,
    study: str | None = None,
    test: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    say: Say | None = None,
    **config: Any,
) -> Tuning:
    """Try nets and options on the same rows, and keep the one that validation liked best.

    The first trial is the defaults, so that the winner is never worse than they are on the validation rows. The rows
    for the final score are looked at when the trials are over: for the winner, and for the defaults beside it.

    Args:
        source: as ``fit`` takes it.
        target: as ``fit`` takes it.
        trials: how many in all, those before a resume included; without it and a budget, USUAL_TRIALS.
        budget: how long all of it may take, as in "10m".
        trial_budget: how long each trial trains, as ``fit`` takes its budget.
        space: what to vary, as in ("net.hidden", "optimizer.lr=1e-4..1e-2"); nothing takes what usually pays.
        workers: processes that run trials at once.
        storage: the address of a database that several machines share; without it a file in ``out``.
        study: its name there; without it one of data and target.
        test: as ``fit`` takes it.
        out: the study's directory; None keeps nothing on disk.
        resume: continue a study that was stopped, or add trials to one that has ended.
        overwrite: delete what ``out`` holds first.
        say: called with each line that tells a person what was found and tried.
        config: as ``fit`` takes it; what is said is not varied, unless ``space`` names it.

    Raises:
        InputError: what was handed in cannot be used; says what, where, what was allowed.
        Interrupted: a signal stopped the study; every trial that ended is kept.
        MissingExtra: optuna is not installed.
    """
    started, tell = time.monotonic(), say or (lambda line: None)
    imported()
    if isinstance(test, int | float):
        config, test = {**config, "test": test}, None
    asked = _asked(target, trial_budget, config)
    trials, budget_s = _limits(trials, budget)
    _check_workers(workers)
    if out is not None:
        check_directory(Path(out), resume=resume, overwrite=overwrite, ours=OURS, what="study")
    others = None if test is None else read(test, **accepted_options(test, asked.reading))
    rows = _in_memory(prepare(read(source, **asked.reading), others, replace(asked, folds=0), tell), tell)
    names = tuple(space)
    given = replace(_encoded(rows, asked, names), trials=trials, started_s=started, budget_s=budget_s)
    name = study or f"{rows.source.name}-{'+'.join(rows.schema.targets()) or 'none'}"
    tell(_described(given, workers))
    with _place(out, resume=resume, overwrite=overwrite) as (directory, own):
        url = _address(directory) if storage is None else storage
        about = {"config": as_said(asked), "data": rows.source.fingerprint, "space": given.space.names}
        with _keeping(directory if own else None), open_study(url, name, asked, about, workers=workers) as opened:
            asked = _with_augmentations(opened, given, asked, tell)
            given = replace(given, space=replace(given.space, said=as_said(asked)))
            question = Question(url, name, as_said(asked), names, about, workers)
            _record(directory, question, rows)
            _answer(opened, question, given, tell, alone=storage is None, loud=say is not None)
            found = concluded(opened, given.space, rows, directory if own else None, tell)
    found.seconds = time.monotonic() - started
    return found


def _asked(target: str | Iterable[str] | None, trial_budget: str | None, config: Mapping[str, Any]) -> Config:
    """The config of a run in which nothing is tuned; nothing is measured, so that a run is its config's alone."""
    if "budget" in config:
        raise ConfigError("budget stands twice: trial_budget is that of each trial")
    given = {"measure": False, "budget": trial_budget, **config}
    asked = Config.of({"target": target, **given} if target is not None else given)
    if asked.start is not None:
        raise ConfigError("a study starts from no other run; tune without start, then fit the winner with it")
    if asked.folds:
        raise ConfigError(
            f"folds = {asked.folds}: trials are judged by the same rows; tune without folds, then fit the winner with "
            f"them (fathom fit DATA --config DIR/best.toml --folds {asked.folds})"
        )
    return asked


def _limits(trials: int | None, budget: str | None) -> tuple[int | None, float]:
    if trials is not None and trials < 1:
        raise ConfigError(f"trials = {trials} is out of range (allowed: 1 or more)")
    seconds = Budget.parse(budget).seconds
    if budget is not None and seconds is None:
        raise ConfigError(f"budget {budget!r} of a study is a time (as in 90s, 10m, 2h); --trials counts trials")
    if trials is None and budget is None:
        trials = USUAL_TRIALS
    return trials, math.inf if seconds is None else seconds


def _check_workers(count: int) -> None:
    if not 1 <= count <= 256:
        raise ConfigError(f"workers = {count} is out of range (allowed: 1 to 256)")


def _in_memory(rows: Rows, tell: Say) -> Rows:
    """Rows of which those learned from are in memory, all or as many as trials get to see.

    Raises:
        SchemaError: there are none to choose by.
    """
    if rows.valid is None:
        raise SchemaError(
            f"{rows.source.name} has too few rows to choose by, and tuning chooses by them (--set valid=0.15)"
        )
    if isinstance(rows.train, pa.Table):
        return rows
    few = rows.train.spread(rows_in_memory(rows.train, MOST_ROWS))
    tell(f"note: trials learn from {few.num_rows:,} of {rows.train.num_rows:,} rows, spread evenly over them")
    return replace(rows, train=few)


def _encoded(rows: Rows, asked: Config, names: tuple[str, ...]) -> Given:
    train, valid = rows.schema.encode(rows.train), rows.schema.encode(rows.valid)
    return Given(rows.schema, train, valid, space_for(rows.schema, asked, len(train), names))


@contextmanager
def _place(out: str | Path | None, *, resume: bool, overwrite: bool) -> Iterator[tuple[Path, bool]]:
    """The study's directory, and whether it stays; no other study writes into it meanwhile."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="fathom-tune-") as folder:
            yield Path(folder), False
        return
    with locked(Path(out)):
        yield open_directory(Path(out), resume=resume, overwrite=overwrite, ours=OURS, what="study"), True


def _address(directory: Path) -> str:
    import sqlalchemy

    address = sqlalchemy.URL.create("sqlite", database=str(directory.resolve() / DATABASE))
    return address.render_as_string(hide_password=False)


def _record(directory: Path, question: Question, rows: Rows) -> None:
    """Write what is asked, but not where the database is: its address may hold a password."""
    source = {"name": rows.source.name, "place": rows.source.place or "", "fingerprint": rows.source.fingerprint}
    written = {
        "study": question.study,
        "space": list(question.names),
        "config": without_none(question.said),
        "source": source,
    }
    write_atomic(directory / ASKED, tomli_w.dumps(written).encode())


@contextmanager
def _keeping(directory: Path | None) -> Iterator[None]:
    """Have an interruption say that nothing is lost."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        number = stop.exit_status - 128 if isinstance(stop, Interrupted) else signal.SIGINT
        kept = "" if directory is None else f"; every trial that ended is in {directory}, continue with --resume"
        raise Interrupted(number, f"stopped{kept}") from stop


def _with_augmentations(study: optuna.Study, given: Given, asked: Config, tell: Say) -> Config:
    """The config with its augmentations decided, once for all trials."""
    written = study.user_attrs.get(AUGMENT)
    if written is None:
        model = model_for(given.schema, asked, len(given.train))
        choices, _ = decided(model, model.prepared(given.train), model.prepared(given.valid), asked, say=tell)
        written = [choice.plain() for choice in choices]
        with quiet():
            study.set_user_attr(AUGMENT, written)
    return Config.of({**as_said(asked), "augment": written})


def _answer(study: optuna.Study, question: Question, given: Given, tell: Say, *, alone: bool, loud: bool) -> None:
    """Have the study get as many trials as were wanted, or as there is time for."""
    with quiet():
        if not study.get_trials(deepcopy=False):
            for number, start in enumerate(given.space.starts()):
                study.enqueue_trial(start, user_attrs={DEFAULTS: True} if number == 0 else None, skip_if_exists=True)
        if alone:  # no other process can be at it: a trial that still runs has lost its worker
            _fail(study, None)
    if len(settled(study)):
        tell(f"the study has {len(settled(study)):,} trials already")
    with workers(question, given, loud=loud) as dead:
        work(study, given, tell)
        gone = dead()
    for worker in gone:
        _fail(study, worker)
    with quiet():
        waiting_for_others(study, given)
    work(study, given, tell)  # what the dead have left


def _fail(study: optuna.Study, worker: str | None) -> None:
    """Take the trials of a worker that is gone, or of all workers, from it, and put them back."""
    states = imported().trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        if worker is None or trial.user_attrs.get(WORKER) == worker:
            study.tell(trial.number, state=states.FAIL)
            put_back(study, study.trials[trial.number])


def _described(given: Given, count: int) -> str:
    idle = available_threads() - count
    hint = f" (--workers {available_threads()} would use every processor)" if idle > 0 else ""
    limit = f"{given.trials:,} trials" if given.trials is not None else "as many trials as there is time for"
    return f"space: {', '.join(given.space.names)}\n{limit}, {count} at once{hint}"
