"""What a person reads: scores, and what to do next."""

from __future__ import annotations

import math
import os
import shlex
import sys
import tomllib

from fathom.api import Run
from fathom.api.directory import CONFIG, REPORT
from fathom.api.folding import Folds
from fathom.heads import METRICS
from fathom.model import Metric, Scores
from fathom.report.words import number, titled
from fathom.signals import Role
from fathom.typeset import aligned, one_line, shortened

__all__ = ["bold", "fingerprint_of", "fitted", "number", "scored"]

LONGEST_TITLE = 40


def fitted(run: Run) -> str:
    """What ``fathom fit`` ends with: scores, where the run stands, and what next."""
    if run.folds is not None:
        parts = [_folded(run.folds), scored(run.metrics, _rows_scored(run))]
    elif run.rows:
        parts = [scored(run.metrics, f"on {run.rows:,} rows that it did not learn from")]
    else:
        parts = ["too few rows to hold some out for a score; evaluate it on others"]
    place = shlex.quote(str(run.directory))
    inputs = [column.kind.name for column in run.model.schema.of_role(Role.INPUT)]
    writes = any(head.name == "generate" for head in run.model.layout.heads.values())
    new = "PICTURES/" if set(inputs) == {"image"} else "NEW.csv" if inputs else "NEW.txt"
    generate = (f"fathom generate {place} --prompt TEXT", "write the answer" if inputs else "go on with a text")
    commands = [
        *([generate] if writes and inputs in ([], ["text"]) else []),
        *([(f"fathom predict {place} {new}", "predict other rows")] if inputs else []),
        (f"fathom evaluate {place} {new}", "score it on other rows" if inputs else "score it on other texts"),
        (f"fathom inspect {place}", "see what it is made of"),
    ]
    has_report = run.directory is not None and (run.directory / REPORT).is_file()
    parts += [f"The run is in {place}, after {run.seconds:.1f} s."]
    parts += [f"Its report, to open in a browser: {place}/{REPORT}"] if has_report else []
    parts += ["Next:", aligned(commands, indent=2)]
    return "\n".join(parts)


def _rows_scored(run: Run) -> str:
    if run.folds is not None and run.rows == run.folds.rows:
        return f"on {run.rows:,} rows, each by the network that did not learn from it"
    return f"by all networks together, on {run.rows:,} rows that none learned from"


def _folded(folds: Folds) -> str:
    """One table a target: each metric's mean over folds with its deviation, and that of all rows together."""
    parts = []
    for target, metrics in folds.together.items():
        head = ("", "mean ± deviation", f"{folds.rows:,} rows together")
        rows = [head]
        for name, metric in metrics.items():
            mean, deviation = folds.spread(target, name)
            rows.append((name, f"{number(mean)} ± {number(deviation)}", " ".join(_cells(name, metric)[1:3])))
        parts += [bold(f"{_title(target)}, over {len(folds.scores)} folds"), aligned(rows, indent=2)]
    return "\n".join(parts)


def scored(scores: Scores, where: str) -> str:
    """One table a target, and a line on how to read them."""
    parts = []
    for target, metrics in scores.items():
        rows = [_cells(name, metric) for name, metric in metrics.items()]
        parts += [bold(f"{_title(target)}, {where}"), aligned(rows, gap=1, indent=2)]
        parts += _notes(target, metrics)
    return "\n".join([*parts, _legend(scores)])


def bold(words: str) -> str:
    """The words, in bold where a person looks at a terminal and did not set NO_COLOR."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return words if plain else f"\033[1m{words}\033[0m"


def fingerprint_of(run: Run) -> str | None:
    """The fingerprint of the data that a run learned from, where it is known."""
    config = None if run.directory is None else run.directory / CONFIG
    if config is None or not config.is_file():
        return None
    source = tomllib.loads(config.read_text()).get("source", {})
    return str(source.get("fingerprint"))


def _title(target: str) -> str:
    return shortened(one_line(titled(target)), LONGEST_TITLE)


def _cells(name: str, metric: Metric) -> tuple[str, ...]:
    """``accuracy 0.957 [0.946, 0.966] (linear 0.93, trivial 0.104)``, in parts."""
    known = math.isfinite(metric.low) and math.isfinite(metric.high)
    interval = f"[{number(metric.low)}, {number(metric.high)}]" if known else ""
    others = {"linear": metric.linear, "trivial": metric.trivial}
    beside = ", ".join(f"{other} {number(value)}" for other, value in others.items() if value is not None)
    beside += "" if metric.trivial_is is None else f": {one_line(metric.trivial_is)}"
    return name, number(metric.value), interval, f"({beside})" if beside else ""


def _notes(target: str, metrics: dict[str, Metric]) -> list[str]:
    """What the first metric should not leave unsaid."""
    name, metric = next(iter(metrics.items()))
    if metric.linear is None or not math.isfinite(metric.value):
        return []
    sign = 1 if METRICS.get(name).facts["higher"] else -1
    if sign * metric.linear < sign * metric.value:
        return []
    return [f"  note: a linear model does as well or better on {titled(target)}"]


def _legend(scores: Scores) -> str:
    names = dict.fromkeys(name for metrics in scores.values() for name in metrics)
    lower = [name for name in names if name == "loss" or not METRICS.get(name).facts["higher"]]
    named = any(metric.trivial_is for metrics in scores.values() for metric in metrics.values())
    trivial = "the best of those that need no learning" if named else "the usual class or mean"
    words = f"[95 % interval] (linear model; trivial answer: {trivial})"
    lines = [words] + ([f"lower is better: {', '.join(lower)}"] if lower else [])
    return "\n".join(f"  {line}" for line in lines)
