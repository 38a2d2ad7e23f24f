"""A report of checks, as a person reads it."""

from __future__ import annotations

import re
import textwrap
from collections import Counter

from fathom.api.checking import Report
from fathom.checks import Finding
from fathom.checks.check import SEVERITIES
from fathom.cli.text import WIDTH, aligned, bold

__all__ = ["reported"]

MOST_COLUMNS = 40
HELD = "\xa0"  # a blank at which no line is broken


def reported(report: Report) -> str:
    """The table of columns, then each finding with what settles it on the line below."""
    rows = ", ".join(f"{count:,} {part}" for part, count in report.rows.items()) if len(report.rows) > 1 else None
    title = f"{report.source}: {rows or format(report.rows['train'], ',')} rows, {len(report.columns)} columns"
    parts = [bold(title), *(_wrapped(f"note: {note}", "", "  ") for note in report.notes), _table(report)]
    if not report.findings:
        return "\n\n".join(["\n".join(parts), "nothing found that a person need look at"])
    return "\n\n".join(["\n".join(parts), *(_found(finding) for finding in report.findings), _summary(report)])


def _table(report: Report) -> str:
    rows = [tuple(column.values()) for column in report.columns]
    shown = [(_shortened(row[0]), *row[1:]) for row in rows[:MOST_COLUMNS]]
    more = [] if len(rows) <= MOST_COLUMNS else [(f"... {len(rows) - MOST_COLUMNS:,} more", "", "", "")]
    return aligned([("column", "role", "kind", "because"), *shown, *more])


def _shortened(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _found(finding: Finding) -> str:
    lines = [_wrapped(f"{bold(finding.severity)} ({finding.check}): {finding.message}", "", "  ")]
    if finding.rows:
        more = f" ... ({finding.count:,} in all)" if finding.count > len(finding.rows) else ""
        lines.append(_wrapped(f"rows {', '.join(map(str, finding.rows))}{more}", "  ", "    "))
    return "\n".join([*lines, *([_wrapped(f"→ {finding.remedy}", "  ", "    ")] if finding.remedy else [])])


def _summary(report: Report) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    words = [f"{counts[name]} {name}{'s' if counts[name] > 1 else ''}" for name in SEVERITIES if counts[name]]
    return f"{', '.join(words)} (row numbers start at 0)"


def _wrapped(words: str, first: str, others: str) -> str:
    """Lines of the usual width, in which no option is parted from its value, and no number from its sign."""
    held = re.sub(r"(--[a-z]+) ", rf"\1{HELD}", words).replace(" %", f"{HELD}%")
    lines = textwrap.fill(
        held, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )
    return lines.replace(HELD, " ")
