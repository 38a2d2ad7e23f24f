"""What a study found: its trials, what mattered, the winner as a run, and how it stands beside the defaults."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import tomli_w

from fathom.api.directory import remove, without_none
from fathom.api.examining import Say
from fathom.api.fitting import fit_rows
from fathom.api.rows import Rows
from fathom.api.run import Run, plain_scores
from fathom.api.tuning_space import Space
from fathom.api.tuning_study import CONFIG, DEFAULTS, REASON, SECONDS, imported, is_higher_better, quiet, settled
from fathom.config import Config
from fathom.errors import Diverged
from fathom.heads.pairing import Comparison, compared
from fathom.model import Model
from fathom.resampling import resampled_together
from fathom.runtime import write_atomic

if TYPE_CHECKING:
    import optuna

__all__ = ["Trial", "Tuning", "concluded"]

FEWEST_FOR_IMPORTANCE = 10
BEST, PLAIN = "best", "defaults"
BETTER = {None: None, 0: "defaults", 1: "winner"}
SUFFIXES = (".doublings", ".depth")


@dataclass(frozen=True)
class Trial:
    """One training of a study.

    Attributes:
        number: counted from 0 in the order in which they began.
        state: "complete", "pruned" or "failed".
        value: the best validation score, None unless complete.
        seconds: how long it took.
        reason: why it was ended before its time, or "".
        config: what it was asked, which holds what differs from the defaults.
        changes: what it differs in from the study's first trial, as ``--set`` names it.
        is_default: whether it is that first trial.
    """

    number: int
    state: str
    value: float | None
    seconds: float
    reason: str
    config: Mapping[str, Any]
    changes: Mapping[str, Any]
    is_default: bool


@dataclass
class Tuning:
    """What a study found.

    Attributes:
        metric: what validation watched.
        higher: whether more of it is better.
        trials: all that ended, the best first, then those that were ended before their time.
        importance: what share of the differences each thing varied explains; empty where trials are few.
        run: the winner, trained once more and scored on the rows held out for that.
        defaults: the defaults, likewise; None where they won.
        gains: each target to its first metric, and what the winner has over the defaults on those rows.
        directory: the study's directory, or None where nothing was kept.
        seconds: how long it took.
    """

    metric: str
    higher: bool
    trials: tuple[Trial, ...]
    importance: Mapping[str, float]
    run: Run
    defaults: Run | None
    gains: Mapping[str, Comparison]
    directory: Path | None
    seconds: float = field(default=math.nan)

    @property
    def best(self) -> Trial:
        """The trial that validation liked best."""
        return self.trials[0]

    @property
    def first(self) -> Trial | None:
        """The trial of the defaults, unless it did not end well."""
        return next((trial for trial in self.trials if trial.is_default and trial.value is not None), None)

    def summary(self) -> dict[str, Any]:
        """What ``fathom tune --json`` prints."""
        return {
            "study": None if self.directory is None else str(self.directory),
            "run": None if self.run.directory is None else str(self.run.directory),
            "metric": self.metric,
            "trials": [_plain_trial(trial) for trial in self.trials],
            "importance": dict(self.importance),
            "rows": self.run.rows,
            "metrics": plain_scores(self.run.metrics),
            "gains": {target: _plain_gain(one) for target, one in self.gains.items()},
            "defaults": None if self.defaults is None else plain_scores(self.defaults.metrics),
            "seconds": round(self.seconds, 3),
        }


def concluded(study: optuna.Study, space: Space, rows: Rows, directory: Path | None, tell: Say) -> Tuning:
    """Train the winner and the defaults once more, score both, and keep them.

    Args:
        study: its trials are over.
        space: what was varied.
        rows: those held out for the final score among them.
        directory: where the runs go, or None.
        tell: is told what happens.

    Raises:
        Diverged: no trial ended with a score.
    """
    asked = Config.of(space.said)
    with quiet():
        trials = _ranked(study, space, asked.monitor)
        importance = _importance(study)
    if trials[0].value is None:
        raise Diverged(f"none of {len(trials)} trials ended with a score ({trials[0].reason or 'pruned'})")
    best = trials[0]
    tell(f"trial {best.number} is the best of {len(trials):,}; it is trained once more and scored")
    if directory is not None:
        _keep_config(directory, best.config)
    run = _run(rows, best.config, directory, BEST)
    plain = None if best.is_default else _run(rows, space.said, directory, PLAIN)
    gains = {} if plain is None or rows.test is None else _gains(plain.model, run.model, rows.test)
    return Tuning(asked.monitor, is_higher_better(asked.monitor), trials, importance, run, plain, gains, directory)


def _gains(plain: Model, best: Model, table: pa.Table) -> dict[str, Comparison]:
    """How far the winner's first metric of each target is from that of the defaults, on the same rows."""
    (before, kept), (after, _) = plain.judged(table), best.judged(table)
    groups = resampled_together(plain.schema, table, kept)
    metrics = {target: plain.metrics_of(target) for target in before}
    return {
        target: compared(names[:1], [before[target], after[target]], groups)[0] for target, names in metrics.items()
    }


def _run(rows: Rows, config: Mapping[str, Any], directory: Path | None, name: str) -> Run:
    """A run of its own in the study's directory, taken up where it was stopped."""
    if directory is None:
        return fit_rows(rows, Config.of(config))
    return fit_rows(rows, Config.of(config), directory / name, resume=(directory / name).exists())


def _keep_config(directory: Path, config: Mapping[str, Any]) -> None:
    """Write what ``fathom fit --config`` takes; an earlier winner's run makes room first."""
    path, content = directory / f"{BEST}.toml", tomli_w.dumps(without_none(config)).encode()
    if path.exists() and path.read_bytes() == content:
        return
    path.unlink(missing_ok=True)
    remove(directory / BEST)
    write_atomic(path, content)


def _ranked(study: optuna.Study, space: Space, monitor: str) -> tuple[Trial, ...]:
    plain = space.plain()
    found = [_trial(trial, plain) for trial in settled(study)]
    sign = -1 if is_higher_better(monitor) else 1
    return tuple(
        sorted(found, key=lambda trial: (math.inf if trial.value is None else sign * trial.value, trial.number))
    )


def _trial(trial: optuna.trial.FrozenTrial, plain: Mapping[str, Any]) -> Trial:
    attributes = trial.user_attrs
    config = json.loads(attributes.get(CONFIG, "{}"))
    complete = trial.state.name == "COMPLETE"
    return Trial(
        trial.number,
        {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed"),
        trial.value if complete else None,
        float(attributes.get(SECONDS, 0.0)),
        str(attributes.get(REASON, "" if complete else "its worker died")),
        config,
        dict(_changes(plain, config)) if not attributes.get(DEFAULTS) else {},
        bool(attributes.get(DEFAULTS)),
    )


def _changes(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of a tree that another has not, by its dotted key."""
    if not isinstance(now, Mapping):
        if now != before:
            yield key, now
        return
    for name, value in now.items():
        inner = before.get(name) if isinstance(before, Mapping) else None
        yield from _changes(inner, value, _joined(key, name))


def _joined(key: str, name: str) -> str:
    if name == "name":
        return key
    short = {"training.optimizer": "optimizer", "training.schedule": "schedule"}
    whole = f"{key}.{name}".strip(".")
    return short.get(whole, whole)


def _importance(study: optuna.Study) -> dict[str, float]:
    """PED-ANOVA's importance (Watanabe et al. 2023) of each thing varied, largest first, its axes added up."""
    optuna = imported()
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < FEWEST_FOR_IMPORTANCE:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    shares: dict[str, float] = {}
    for key, share in found.items():
        name = next((key.removesuffix(suffix) for suffix in SUFFIXES if key.endswith(suffix)), key)
        shares[name] = shares.get(name, 0.0) + float(share)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _plain_gain(one: Comparison) -> dict[str, Any]:
    (gain,) = one.differences
    ends = {"low": gain.low, "high": gain.high, "p": gain.p}
    known = {key: value if math.isfinite(value) else None for key, value in ends.items()}
    return {"metric": one.metric, "value": gain.value, **known, "better": BETTER[one.better(gain)]}


def _plain_trial(trial: Trial) -> dict[str, Any]:
    return {key: value for key, value in asdict(trial).items() if key != "config"}
