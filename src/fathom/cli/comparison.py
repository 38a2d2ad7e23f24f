"""Runs beside each other, as a person reads it."""

from __future__ import annotations

import math
from pathlib import Path

from fathom.api.comparing import Compared
from fathom.api.directory import CONFIG, MODEL
from fathom.cli.text import bold, number
from fathom.heads.pairing import SIGNIFICANT, Comparison, Difference
from fathom.manifest import MANIFEST
from fathom.typeset import aligned, one_line, shortened

__all__ = ["runs_and_data", "told"]

TESTS = {
    "mcnemar": "p by McNemar's exact test",
    "bootstrap": "p by the paired bootstrap",
}


def runs_and_data(places: tuple[str, ...]) -> tuple[list[str], str | None]:
    """Runs, and last, where it is no run's or model's directory, the rows to compare them on."""
    *others, last = places
    is_run = any((Path(last) / name).exists() for name in (MODEL, MANIFEST, CONFIG))
    return (list(places), None) if is_run or len(places) <= 2 else (others, last)


def told(found: Compared) -> str:
    """A table of scores a target, then each pair's differences and what they mean."""
    names = [_letter(k) for k in range(len(found.runs))]
    parts = [aligned([(f"  {letter}", run) for letter, run in zip(names, found.runs, strict=True)])]
    for target, metrics in found.targets.items():
        head = ("  ", *names)
        rows = [(f"  {one.metric}", *map(number, one.values)) for one in metrics]
        parts += [bold(f"{shortened(one_line(target), 40)}, on the same {found.rows:,} rows"), aligned([head, *rows])]
        for k in range(len(metrics[0].differences)):
            parts.append(_pair(metrics, k))
    return "\n".join([*parts, *_legend(found)])


def _pair(metrics: list[Comparison], place: int) -> str:
    first = metrics[0].differences[place]
    lines = [
        (
            f"  {one.metric}",
            f"{difference.value:+.3g}",
            _interval(difference),
            f"p {_p(difference.p)}",
            _verdict(one, difference),
        )
        for one in metrics
        for difference in (one.differences[place],)
    ]
    return "\n".join(
        [f"{_letter(first.second)} - {_letter(first.first)}", aligned(lines), f"  {_said(metrics[0], first)}"]
    )


def _interval(difference: Difference) -> str:
    known = math.isfinite(difference.low) and math.isfinite(difference.high)
    return f"[{difference.low:+.3g}, {difference.high:+.3g}]" if known else ""


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _verdict(one: Comparison, difference: Difference) -> str:
    better = one.better(difference)
    return "within noise" if better is None else f"{_letter(better)} is better"


def _said(one: Comparison, difference: Difference) -> str:
    """One sentence on the metric to quote."""
    pair = f"{_letter(difference.first)} and {_letter(difference.second)}"
    better = one.better(difference)
    if better is None:
        return f"→ by {one.metric}, the difference of {pair} is within noise"
    other = difference.first if better == difference.second else difference.second
    return f"→ by {one.metric}, {_letter(better)} is better than {_letter(other)}"


def _legend(found: Compared) -> list[str]:
    used = dict.fromkeys(d.test for metrics in found.targets.values() for one in metrics for d in one.differences)
    corrected = ", corrected for several pairs (Holm)" if len(found.runs) > 2 else ""
    return [
        f"  [95 % interval]; {'; '.join(TESTS[test] for test in used)}{corrected}; noise: p of {SIGNIFICANT:g} or more"
    ]


def _letter(place: int) -> str:
    return chr(ord("A") + place)
