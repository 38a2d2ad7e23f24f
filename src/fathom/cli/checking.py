"""A report of checks, as a person reads it."""

from __future__ import annotations

import re
from collections import Counter

from fathom.api.checking import Report
from fathom.api.examining import columns_shown
from fathom.checks import Finding
from fathom.checks.check import SEVERITIES
from fathom.cli.text import bold
from fathom.typeset import set_to_width

__all__ = ["reported"]

HELD = "\xa0"  # a blank at which no line is broken


def reported(report: Report) -> str:
    """The table of columns, then each finding with what settles it on the line below."""
    rows = ", ".join(f"{count:,} {part}" for part, count in report.rows.items()) if len(report.rows) > 1 else None
    title = f"{report.source}: {rows or format(report.rows['train'], ',')} rows, {len(report.columns)} columns"
    columns = columns_shown([tuple(column.values()) for column in report.columns])
    parts = [bold(title), *(_wrapped(f"note: {note}") for note in report.notes), columns]
    if not report.findings:
        return "\n\n".join(["\n".join(parts), "nothing found that a person need look at"])
    return "\n\n".join(["\n".join(parts), *(_found(finding) for finding in report.findings), _summary(report)])


def _found(finding: Finding) -> str:
    lines = [_wrapped(f"{bold(finding.severity)} ({finding.check}): {finding.message}")]
    if finding.rows:
        more = f" ... ({finding.count:,} in all)" if finding.count > len(finding.rows) else ""
        lines.append(_wrapped(f"rows {', '.join(map(str, finding.rows))}{more}", "  "))
    return "\n".join([*lines, *([_wrapped(f"→ {finding.remedy}", "  ")] if finding.remedy else [])])


def _summary(report: Report) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    words = [f"{counts[name]} {name}{'s' if counts[name] > 1 else ''}" for name in SEVERITIES if counts[name]]
    return f"{', '.join(words)} (row numbers start at 0)"


def _wrapped(words: str, indent: str = "") -> str:
    """Lines in which no option is parted from its value, and no number from its sign."""
    held = re.sub(r"(--[a-z]+) ", rf"\1{HELD}", words).replace(" %", f"{HELD}%")
    return set_to_width(indent + held).replace(HELD, " ")
