"""What ``fathom tune`` is asked, and what a study found, as a person reads it."""

from __future__ import annotations

import math
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fathom.api import Run, Tuning
from fathom.api.tuned import Trial
from fathom.cli.settings import config_from
from fathom.cli.text import bold, number, scored
from fathom.errors import ConfigError, unknown_name
from fathom.typeset import aligned

__all__ = ["asked_from", "tuned"]

STUDY = ("trials", "budget", "trial_budget", "space", "workers", "storage", "study")
"""What a file says under [tune], and the options of the same names."""

SHOWN_TRIALS, SHOWN_SHARES = 5, 6
LEAST_SHARE = 0.01


def asked_from(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of Config, and what is said of the study itself: by options, and by [tune] in a file.

    Raises:
        ConfigError: an option that cannot be read, an unknown key, or a file that is no TOML.
    """
    options = {key: value for key, value in said.items() if key not in STUDY}
    config = config_from(defaultdict(lambda: None, {**options, "budget": said["trial_budget"]}))
    table = config.pop("tune", {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"tune = {table!r} is not allowed (expected a table: {', '.join(STUDY)})")
    for key in table:
        if key not in STUDY:
            raise ConfigError(unknown_name("key of [tune]:", key, STUDY))
    given = {key: said[key] for key in STUDY if said[key] not in (None, ())}
    study = {**_checked(table), **given}
    study["space"] = [name.strip() for text in study.get("space", ()) for name in text.split(",") if name.strip()]
    budget = config.pop("budget", None)
    return config, {**study, "trial_budget": budget or study.get("trial_budget")}


def tuned(found: Tuning) -> str:
    """The best trials, what mattered, the winner's scores beside those of the defaults, and what next."""
    better = "more" if found.higher else "less"
    title = f"{len(found.trials):,} trials by {found.metric} on the rows to choose by ({better} is better)"
    rows = [("trial", found.metric, "seconds", "otherwise than the defaults"), *map(_row, _shown(found))]
    parts = [bold(title), aligned(rows, indent=2), _counted(found)]
    shares = [(name, share) for name, share in found.importance.items() if share >= LEAST_SHARE][:SHOWN_SHARES]
    if shares:
        parts.append("  what mattered: " + ", ".join(f"{name} {share:.0%}" for name, share in shares))
    return "\n".join([*parts, "", *_scores(found), *_next_steps(found)])


def _checked(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table's values, each of its type.

    Raises:
        ConfigError: one is not.
    """
    types = {"trials": int, "workers": int, "space": list}
    for key, value in table.items():
        expected = types.get(key, str)
        if type(value) is not expected:
            raise ConfigError(f"tune.{key} = {value!r} is not allowed (expected {expected.__name__})")
    return dict(table)


def _shown(found: Tuning) -> Iterable[Trial]:
    """The best trials, and the defaults wherever they came."""
    best = [trial for trial in found.trials if trial.value is not None][:SHOWN_TRIALS]
    first = found.first
    return best if first is None or first in best else [*best, first]


def _row(trial: Trial) -> tuple[str, ...]:
    assert trial.value is not None
    changes = ", ".join(f"{key}={_value(value)}" for key, value in trial.changes.items())
    words = "(the defaults)" if trial.is_default else changes or "(nothing)"
    return str(trial.number), f"{trial.value:.5g}", f"{trial.seconds:.1f}", words


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _counted(found: Tuning) -> str:
    ended: dict[str, int] = {}
    for trial in found.trials:
        if trial.value is None:
            ended[_brief(trial)] = ended.get(_brief(trial), 0) + 1
    complete = sum(trial.value is not None for trial in found.trials)
    words = [f"{complete:,} ran to their end", *(f"{count:,} {reason}" for reason, count in ended.items())]
    return "  " + "; ".join(words)


def _brief(trial: Trial) -> str:
    known = ("behind the median", "slower than", "diverged", "its worker died")
    return next((trial.reason for start in known if trial.reason.startswith(start)), "could not be built")


def _scores(found: Tuning) -> list[str]:
    """The scores of the winner, then those of the defaults."""
    if not found.run.rows:
        return ["no rows were held out for a score; the validation score above flatters the winner"]
    where = f"on {found.run.rows:,} rows that no trial saw"
    parts = [scored(found.run.metrics, where)]
    if found.defaults is None:
        return [*parts, "  note: nothing did better on validation than the defaults, which are kept"]
    flattered = (
        "  note: the winner was chosen for its validation score, which therefore",
        "  flatters it; the scores on the held-out rows do not",
    )
    return [*parts, *_of_defaults(found, found.defaults), *flattered]


def _of_defaults(found: Tuning, plain: Run) -> list[str]:
    """The first metric of the defaults, and what the winner has over them on the same rows."""
    lines = []
    for target, metrics in plain.metrics.items():
        name, metric = next(iter(metrics.items()))
        interval = f" [{number(metric.low)}, {number(metric.high)}]" if math.isfinite(metric.low) else ""
        lines.append(f"  the defaults on these rows: {target}: {name} {number(metric.value)}{interval}")
        if target in found.gains:
            (gain,) = found.gains[target].differences
            noise = "" if gain.significant else "; within noise"
            lines.append(f"  difference: {gain.value:+.3g} [{gain.low:+.3g}, {gain.high:+.3g}], p {gain.p:.2g}{noise}")
    return lines


def _next_steps(found: Tuning) -> list[str]:
    if found.directory is None:
        return []
    place = shlex.quote(str(found.directory))
    commands = [
        (f"fathom predict {place}/best NEW.csv", "predict other rows with the winner"),
        (f"fathom fit DATA --config {place}/best.toml", "train it again, longer or on more rows"),
        ("fathom tune ... --resume --trials N", "add trials"),
    ]
    return [f"The study is in {place}, after {found.seconds:.1f} s. Next:", aligned(commands, indent=2)]
