"""What a network is worth: one sentence a target, and each score with its interval drawn beside the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fathom.heads import METRICS
from fathom.report.words import score_words, titled

__all__ = ["Bar", "Row", "rows_of", "sentence", "verdict"]

Metric = Mapping[str, float | None]
MARGIN = 0.06  # of the drawing's width, left and right
NOTHING = 1e-3  # of an R²: the mean of the training rows is not quite that of others


@dataclass(frozen=True)
class Bar:
    """Where, from 0 to 100, a score, its interval and the scores to stand beside are drawn; None where one is not."""

    value: float | None
    low: float | None
    high: float | None
    linear: float | None
    trivial: float | None


@dataclass(frozen=True)
class Row:
    """One metric of a table of scores."""

    name: str
    about: str
    higher: bool
    metric: Metric
    bar: Bar


def rows_of(metrics: Mapping[str, Metric]) -> list[Row]:
    """The rows of a target's table of scores."""
    rows = []
    for name, metric in metrics.items():
        about, higher = _about(name)
        rows.append(Row(name, about, higher, metric, _bar(metric)))
    return rows


def sentence(target: str, metrics: Mapping[str, Metric], rows: int) -> str:
    """What the first metric says of so many rows (0: unknown), beside the linear model and the trivial answer."""
    name, metric = next(iter(metrics.items()))
    value = f"{score_words(metric.get('value'))}{_interval(metric)}"
    linear, trivial = metric.get("linear"), metric.get("trivial")
    counted = f"{rows:,} row{'' if rows == 1 else 's'}" if rows else "the rows"
    if name == "accuracy":
        said, usual = f"it gets {value} of {counted} right", "the usual class"
    elif name == "r2":
        said, usual = f"it explains {value} of how the values of {counted} vary (R²)", "the mean"
        trivial = 0.0 if trivial is not None and abs(trivial) < NOTHING else trivial
    else:
        higher = "" if _about(name)[1] else ", lower being better"
        said, usual = f"its {name} is {value} on {counted}{higher}", "the trivial answer"
    verb = "gets" if name == "accuracy" else "comes to"
    beside = [f"a linear model {verb} {score_words(linear)}"] if linear is not None else []
    beside += [f"{usual} {'' if beside else f'{verb} '}{score_words(trivial)}"] if trivial is not None else []
    return f"{titled(target)}: {said}" + (f", where {' and '.join(beside)}." if beside else ".")


def verdict(metrics: Mapping[str, Metric]) -> str:
    """What the first metric should not leave unsaid; empty where the network is better than what it stands beside."""
    name, metric = next(iter(metrics.items()))
    value, linear, trivial = metric.get("value"), metric.get("linear"), metric.get("trivial")
    sign = 1 if _about(name)[1] else -1
    if value is None:
        return "These rows do not tell what it is worth."
    if trivial is not None and sign * value <= sign * trivial:
        return "That is no better than an answer that does not look at the inputs."
    if linear is None:
        return ""
    if sign * value <= sign * linear:
        return "A linear model does as well or better."
    low, high = metric.get("low"), metric.get("high")
    if low is not None and high is not None and low <= linear <= high:
        return "The linear model's score lies within the interval: these rows can hardly tell the two apart."
    return ""


def _interval(metric: Metric) -> str:
    low, high = metric.get("low"), metric.get("high")
    return "" if low is None or high is None else f" [{score_words(low)}, {score_words(high)}]"


def _about(name: str) -> tuple[str, bool]:
    """What a metric is, and whether more of it is better; the loss of a head without metrics has no entry."""
    if name not in METRICS.names():
        return "", name != "loss"
    entry = METRICS.get(name)
    return entry.summary.replace("``", ""), bool(entry.facts["higher"])


def _bar(metric: Metric) -> Bar:
    known = [value for name, value in metric.items() if value is not None and name != "trivial_is"]
    least, most = (min(known), max(known)) if known else (0.0, 1.0)
    width = (most - least) or 1.0

    def place(key: str) -> float | None:
        value = metric.get(key)
        return None if value is None else round(100 * (MARGIN + (1 - 2 * MARGIN) * (value - least) / width), 2)

    return Bar(*map(place, ("value", "low", "high", "linear", "trivial")))
