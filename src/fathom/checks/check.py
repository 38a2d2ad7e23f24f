"""What a check is, and what it finds.

A check is a function of what is examined; it yields its findings. Its keyword-only parameters are its options. The
facts of its registration say what it costs ("cheap": looked at before every training; "thorough": only where it is
asked for, or where ``seconds``, a function of what is examined, says that it takes little) and what must be there
for it (``needs``: "inputs", "target", "parts", "pictures").
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fathom.registry import Registry

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Finding",
    "Severity",
    "counted",
    "option",
    "percent",
    "without",
]

CHECKS = Registry("check", "fathom.checks")

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know of their data.

    Attributes:
        check: the name of the check that found it.
        severity: "error" where nothing can be learned, "warning" where scores may mislead, "note" otherwise.
        message: one line: what, where, how much.
        remedy: what settles it, word for word where an option does; empty where nothing need be done.
        columns: the columns it is about.
        rows: numbers of some rows it is about, from 0, as they stand in the source.
        count: how many rows it is about in all.
    """

    check: str
    severity: Severity
    message: str
    remedy: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    count: int = 0

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "check": self.check,
            "severity": self.severity,
            "message": self.message,
            "remedy": self.remedy,
            "columns": list(self.columns),
            "rows": list(self.rows),
            "count": self.count,
        }


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 row``, ``2 rows``."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def option(name: str, value: str) -> str:
    """An option as it is typed: ``--role 'T (degC)=ignore'``."""
    return f"--{name} {shlex.quote(value)}"


def without(names: Sequence[str]) -> str:
    """The options that leave columns out."""
    return " ".join(option("role", f"{name}=ignore") for name in names)


def percent(share: float) -> str:
    """A share in per cent, that does not say 0 or 100 of what is neither."""
    for digits in range(4):
        shown = f"{100 * share:.{digits}f}"
        if float(shown) not in (0, 100) or share in (0, 1):
            return f"{shown} %"
    return "0.001 %" if share < 0.5 else "99.999 %"
