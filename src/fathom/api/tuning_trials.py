"""What one worker does: trials, one after another, each watched and ended when it falls behind."""

from __future__ import annotations

import json
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fathom.api.fitting import model_for
from fathom.api.learning import train_on
from fathom.api.tuning_options import Dimension
from fathom.api.tuning_space import Space
from fathom.api.tuning_study import (
    CONFIG,
    DEFAULTS,
    REASON,
    SECONDS,
    WORKER,
    counts,
    imported,
    is_higher_better,
    put_back,
    quiet,
    worker_name,
)
from fathom.config import Config
from fathom.data.store import TensorStore
from fathom.errors import Diverged, InputError, Interrupted, first_line
from fathom.runtime import StopSignal
from fathom.schema import Schema
from fathom.training.hooks import Hook, Moment, Progress

if TYPE_CHECKING:
    import optuna

__all__ = ["Given", "waiting_for_others", "work"]

RUNGS_AN_EPOCH = 8
"""Trials are compared each time that they have seen sqrt(2) times as many rows, from an eighth of an epoch on."""

SLOW, SLOW_FROM_S = 5.0, 10.0
"""A trial that takes so many times as long as the defaults is given up."""

POLL_S = 1.0
SHARE_FOR_THE_END = 0.5
"""At most this share of a study's time is kept for training the winner and the defaults once more."""


class _Late(Exception):
    """The study's time is over."""


class _Surplus(Exception):
    """Another worker has begun the last trial that was wanted."""


@dataclass(frozen=True)
class Given:
    """What a worker needs; the rows for the final score are not among it.

    Attributes:
        schema: fitted on the training rows.
        train: learned from, encoded.
        valid: chosen by, encoded.
        space: what is varied.
        trials: how many in all; None has no limit.
        started_s: when the study began here, in seconds of ``time.monotonic``.
        budget_s: how long it may take, the last training of the winner included.
        parent: the process without which to stop; None for that process itself.
    """

    schema: Schema
    train: TensorStore
    valid: TensorStore
    space: Space
    trials: int | None = None
    started_s: float = 0.0
    budget_s: float = math.inf
    parent: int | None = None


def work(study: optuna.Study, given: Given, tell: Callable[[str], None]) -> None:
    """Run trials until the study has as many as it should, or its time is over.

    Args:
        study: shared with other workers.
        given: the rows and the space.
        tell: is told how each trial ended.

    Raises:
        Interrupted: a signal came; the trial under way is run again when the study goes on.
        InputError: the defaults cannot be trained.
    """
    bench = _Bench(given)
    with StopSignal() as stop, quiet():
        while _wanting(study, given.trials) and time.monotonic() < _deadline(study, given):
            try:
                study.optimize(bench, n_trials=1)
            except (Interrupted, KeyboardInterrupt, _Late) as end:
                put_back(study, _last_of_mine(study), died=False)
                if isinstance(end, _Late):
                    return
                raise
            except _Surplus:
                return
            tell(_told(study, _last_of_mine(study)))
            if stop.number is not None:
                raise Interrupted(stop.number, "stopped")


def waiting_for_others(study: optuna.Study, given: Given) -> None:
    """Wait until no other worker has a trial under way; those of the dead are failed when they fall silent."""
    states, fail_stale = imported().trial.TrialState, imported().storages.fail_stale_trials
    while study.get_trials(deepcopy=False, states=(states.RUNNING,)) and time.monotonic() < _deadline(study, given):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fail_stale(study)
        time.sleep(POLL_S)


class _Bench:
    """Runs one trial: a network made and trained with the values that are suggested, and watched."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def __call__(self, trial: optuna.Trial) -> float:
        """The best validation score of a trial.

        Raises:
            TrialPruned: it fell behind, was slow, diverged or could not be built.
            Interrupted: a signal came.
        """
        pruned = imported().TrialPruned
        trial.set_user_attr(WORKER, worker_name(os.getpid()))
        if self._given.trials is not None and _rank(trial.study, trial.number) >= self._given.trials:
            raise _Surplus
        is_default = bool(trial.user_attrs.get(DEFAULTS))
        config = self._config(trial, is_default=is_default)
        trial.set_user_attr(CONFIG, json.dumps(config))
        started = time.perf_counter()
        try:
            return self._trained(trial, config, is_default=is_default)
        except (Diverged, InputError) as error:
            if is_default and isinstance(error, InputError):
                raise
            trial.set_user_attr(REASON, "diverged" if isinstance(error, Diverged) else first_line(error))
            raise pruned(first_line(error)) from error
        finally:
            trial.set_user_attr(SECONDS, round(time.perf_counter() - started, 3))

    def _config(self, trial: optuna.Trial, *, is_default: bool) -> dict[str, Any]:
        def suggest(dimension: Dimension) -> Any:
            if is_default and dimension.default is None:  # what is measured has no value to note
                return dimension.choices[0] if dimension.choices else dimension.low
            return _suggested(trial, dimension)

        config = self._given.space.config(suggest)
        return dict(self._given.space.said) if is_default else config

    def _trained(self, trial: optuna.Trial, config: Mapping[str, Any], *, is_default: bool) -> float:
        asked = Config.of(config)
        model = model_for(self._given.schema, asked, len(self._given.train))
        watch = _Watch(trial, asked.monitor, self._given, prunes=not is_default)
        train, valid = model.prepared(self._given.train), model.prepared(self._given.valid)
        wanted = "" if self._given.trials is None else f" of {self._given.trials:,}"
        shown = Progress(f"trial {trial.number}{wanted}", at_most=True, ends=False)
        outcome = train_on(model, train, valid, asked, hooks=(shown, watch))
        if outcome.best is None:
            raise Diverged("validation gave no number")
        return outcome.best if is_higher_better(asked.monitor) else -outcome.best


class _Watch(Hook):
    """Reports what validation gave, and ends a trial that falls behind."""

    def __init__(self, trial: optuna.Trial, monitor: str, given: Given, *, prunes: bool) -> None:
        self._trial, self._monitor, self._parent, self._prunes = trial, monitor, given.parent, prunes
        # The defaults are there to be compared with, so they end by themselves.
        self._deadline = _deadline(trial.study, given) if prunes else math.inf
        self._limit_s = _patience_s(trial.study) if prunes else math.inf
        self._better = max if is_higher_better(monitor) else min
        self._best: float | None = None
        self._rung = -1

    def ticked(self, moment: Moment) -> None:
        if self._parent is not None and os.getppid() != self._parent:
            raise Interrupted(signal.SIGTERM, "the process that began the study is gone")
        if time.monotonic() > self._deadline:
            raise _Late
        if moment.elapsed_s > self._limit_s:
            self._prune(f"slower than {SLOW:g} times the defaults")

    def looked(self, moment: Moment) -> None:
        score = moment.scores.get(self._monitor, math.nan)
        if not math.isnan(score):
            self._best = score if self._best is None else self._better(self._best, score)
        rung = math.floor(2 * math.log2(max(1.0, RUNGS_AN_EPOCH * moment.epoch)))
        if self._best is None or rung <= self._rung:
            return
        for passed in range(self._rung + 1, rung + 1):
            self._trial.report(self._best, passed)
        self._rung = rung
        if self._prunes and self._trial.should_prune():
            self._prune("behind the median")

    def _prune(self, reason: str) -> None:
        self._trial.set_user_attr(REASON, reason)
        raise imported().TrialPruned(reason)


def _suggested(trial: optuna.Trial, dimension: Dimension) -> Any:
    if dimension.choices:
        return trial.suggest_categorical(dimension.key, dimension.choices)
    if dimension.whole:
        return trial.suggest_int(dimension.key, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(dimension.key, dimension.low, dimension.high, log=dimension.log)


def _wanting(study: optuna.Study, trials: int | None) -> bool:
    return trials is None or sum(map(counts, study.get_trials(deepcopy=False))) < trials


def _rank(study: optuna.Study, number: int) -> int:
    """How many of the trials that count were begun before one."""
    return sum(counts(trial) for trial in study.get_trials(deepcopy=False) if trial.number < number)


def _last_of_mine(study: optuna.Study) -> optuna.trial.FrozenTrial:
    """The trial that this worker ran last."""
    return max(
        (
            trial
            for trial in study.get_trials(deepcopy=False)
            if trial.user_attrs.get(WORKER) == worker_name(os.getpid())
        ),
        key=lambda trial: trial.number,
    )


def _deadline(study: optuna.Study, given: Given) -> float:
    """When trials must end, so that the winner and the defaults can be trained once more, by ``time.monotonic``."""
    if math.isinf(given.budget_s):
        return math.inf
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    last = [trial for trial in ended if DEFAULTS in trial.user_attrs] + ([study.best_trial] if ended else [])
    needed_s = sum(trial.user_attrs.get(SECONDS, 0.0) for trial in last)
    return given.started_s + given.budget_s - min(needed_s, SHARE_FOR_THE_END * given.budget_s)


def _patience_s(study: optuna.Study) -> float:
    """How long a trial may take, by how long the defaults took."""
    taken = [
        trial.user_attrs.get(SECONDS) for trial in study.get_trials(deepcopy=False) if DEFAULTS in trial.user_attrs
    ]
    known = [seconds for seconds in taken if seconds is not None]
    return max(SLOW_FROM_S, SLOW * max(known)) if known else math.inf


def _told(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> str:
    seconds = trial.user_attrs.get(SECONDS, 0.0)
    ended = f"{trial.value:.5g}" if trial.state.name == "COMPLETE" else trial.user_attrs.get(REASON, "pruned")
    best = [other for other in study.get_trials(deepcopy=False) if other.state.name == "COMPLETE"]
    found = f" (best {study.best_value:.5g}, trial {study.best_trial.number})" if best else ""
    return f"trial {trial.number}: {ended}, {seconds:.1f} s{found}"
