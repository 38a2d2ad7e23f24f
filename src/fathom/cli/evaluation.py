"""An evaluation in full, as a person reads it: what stands below the scores."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fathom.cli.text import bold, number
from fathom.trust.evaluation import EvaluatedTarget, Evaluation
from fathom.trust.mistakes import Mistake
from fathom.trust.slices import Slice
from fathom.typeset import aligned, width

__all__ = ["parts"]

MOST_CLASSES, MOST_PAIRS, MOST_MISTAKES, MOST_COLUMNS = 12, 5, 5, 15
LONGEST_NAME, LINES_OF_CELLS = 24, 3


def parts(evaluation: Evaluation) -> list[str]:
    """Classes, pairs that are confused, thresholds, slices and mistakes of each target; then the columns."""
    several = len(evaluation.targets) > 1
    found = []
    for name, target in evaluation.targets.items():
        of = f"{_short(name)}: " if several else ""
        found += [f"{bold(of + title)}\n{lines}" for title, lines in _of_target(target)]
    return [*found, *_importance(evaluation)]


def _of_target(target: EvaluatedTarget) -> Iterator[tuple[str, str]]:
    if target.classes:
        yield _classes(target)
    if target.confusion is not None and (pairs := _pairs(target.confusion)):
        yield "most often taken for another", pairs
    if target.operating_points:
        yield f"flagged as {_short(target.classes[1].name)} from this probability on", _points(target.operating_points)
    if target.residuals is not None:
        levels = target.residuals["quantiles"].items()
        cells = [(f"  {100 * float(level):g} % of rows below", number(value)) for level, value in levels]
        yield "truth minus prediction", aligned(cells)
    if target.slices:
        yield "worse than elsewhere, more than chance explains", "\n".join(map(_slice, target.slices))
    if target.mistakes:
        yield "furthest from the truth (rows from 0)", "\n".join(map(_mistake, target.mistakes[:MOST_MISTAKES]))


def _classes(target: EvaluatedTarget) -> tuple[str, str]:
    """Each class in its order, or of many those of the lowest f1."""
    shown, title = list(target.classes), "each class"
    if len(shown) > MOST_CLASSES:
        shown = sorted(shown, key=lambda one: (math.isnan(one.f1), one.f1))[:MOST_CLASSES]
        title = f"the {MOST_CLASSES} of {len(target.classes):,} classes with the lowest f1"
    rows = [
        (_short(x.name), f"{x.rows:,}", *map(number, (x.precision, x.recall, x.f1, x.auc, x.average_precision)))
        for x in shown
    ]
    return title, _table([("class", "rows", "precision", "recall", "f1", "auc", "avg. precision"), *rows])


def _pairs(confusion: Mapping[str, Any]) -> str:
    """The pairs of truth and answer that most rows have, each with its share of the truth's rows."""
    names, counts = [_short(name) for name in confusion["classes"]], confusion["counts"]
    wrong = [(counts[i][j], i, j) for i in range(len(names)) for j in range(len(names)) if i != j and counts[i][j]]
    worst = sorted(wrong, key=lambda pair: -pair[0])[:MOST_PAIRS]
    return "\n".join(
        f"  {names[i]} → {names[j]}: {count:,} of {sum(counts[i]):,} rows ({100 * count / sum(counts[i]):.3g} %)"
        for count, i, j in worst
    )


def _points(points: Sequence[Mapping[str, float]]) -> str:
    names = ("threshold", "precision", "recall", "false_positive_rate", "flagged")
    head = ("threshold", "precision", "recall", "false positive rate", "rows flagged")
    return _table([head, *(tuple(number(point[name]) for name in names) for point in points)])


def _slice(one: Slice) -> str:
    interval = f" [{number(one.low)}, {number(one.high)}]" if math.isfinite(one.low) else ""
    told = f"{one.metric} {number(one.value)}{interval} in {one.rows:,} rows, elsewhere {number(one.elsewhere)}"
    return f"{_wrapped(one.where, '  ')}\n    {told}"


def _mistake(one: Mistake) -> str:
    sure = "" if one.probability is None else f" ({number(one.probability)})"
    sure = sure if one.chrf is None else f" (chrF {number(one.chrf)})"
    told = _wrapped(f"row {one.row:,}: {one.truth}, answered {one.prediction}{sure}", "  ")
    cells = _wrapped("; ".join(f"{name} {value}" for name, value in one.cells.items() if value), "    ")
    return told if not one.cells else f"{told}\n{cells}"


def _importance(evaluation: Evaluation) -> list[str]:
    if not evaluation.importance:
        return []
    rows = [
        (_short(x.column), x.metric, number(x.drop), f"[{number(x.low)}, {number(x.high)}]")
        for x in evaluation.importance[:MOST_COLUMNS]
    ]
    lines = [_table([("column", "metric", "loses", "95 % interval"), *rows])]
    more = len(evaluation.importance) - len(rows)
    lines += [f"  ... {more:,} more"] if more > 0 else []
    lines += [f"  {len(evaluation.left_out):,} columns more were not looked at"] if evaluation.left_out else []
    return [f"{bold('what is lost where a column is shuffled')}\n" + "\n".join(lines)]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A first column of words, and columns of numbers, each to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return "\n".join(lines)


def _wrapped(words: str, indent: str) -> str:
    """Lines of the usual width, a few at most; whatever breaks lines in someone's data is a blank."""
    lines = textwrap.wrap(
        " ".join(words.split()), width() - len(indent) - 2, max_lines=LINES_OF_CELLS, placeholder=" …"
    )
    return "\n".join(f"{indent if k == 0 else indent + '  '}{line}" for k, line in enumerate(lines or [""]))


def _short(name: str) -> str:
    plain = " ".join(name.split())
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 1]}…"
