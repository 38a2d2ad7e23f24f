"""Everything fathom raises on purpose, and what messages have in common.

FathomError                 whatever fathom raises on purpose
├── InputError              a mistake in what was handed in (exit 2); also a ValueError
│   ├── SourceError         data that cannot be read: which file, row, column, and what was allowed
│   ├── SchemaError         columns, kinds and roles that do not fit each other or the data
│   ├── ConfigError         an option, a name or a value that is not allowed
│   ├── ModelError          a run or model directory that cannot be loaded
│   └── MissingExtra        an optional dependency that is not installed
├── Diverged                training produced NaN, Inf or an exploding loss (exit 3)
└── Interrupted             a signal stopped the run after a checkpoint was written (exit 130 or 143)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "ConfigError",
    "Diverged",
    "FathomError",
    "InputError",
    "Interrupted",
    "MissingExtra",
    "ModelError",
    "SchemaError",
    "SourceError",
    "first_line",
    "lacking",
    "listed",
    "unknown_name",
]


MOST_LETTERS = 300
MOST_NAMED = 10


class FathomError(Exception):
    """Whatever fathom raises on purpose; ``exit_status`` is what the command line returns for it."""

    exit_status = 70


class InputError(FathomError, ValueError):
    """A mistake in what was handed in: the message says what, where, what was allowed and what is near."""

    exit_status = 2


class SourceError(InputError):
    """Data that cannot be read; names the file and, where known, the row and the column."""


class SchemaError(InputError):
    """Columns, kinds and roles that do not fit each other or the data."""


class ConfigError(InputError):
    """An option, a name or a value that is not allowed."""


class ModelError(InputError):
    """A run or model directory that cannot be loaded."""


class MissingExtra(InputError):
    """An optional dependency that is not installed; the message holds the command that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}: pip install 'fathom-nn[{extra}]'")


class Diverged(FathomError):
    """Training produced NaN, Inf or an exploding loss; raised before the weights were touched by it."""

    exit_status = 3


class Interrupted(FathomError):
    """A signal stopped the run after a checkpoint was written."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


def first_line(error: BaseException) -> str:
    """What a library says of a failure, as far as one line goes."""
    return str(error).strip().split("\n", 1)[0][:MOST_LETTERS] or type(error).__name__


def listed(names: Iterable[object], most: int = 5) -> str:
    """``a, b, c``, and how many more."""
    words = list(map(str, names))
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most:,} more"


def unknown_name(what: str, got: str, allowed: Iterable[str]) -> str:
    """The message for a name that does not exist: what it was meant to be, what is near, what is allowed.

    Args:
        what: the sort of thing that was named, as in ``"net"`` or ``"column"``.
        got: the name that was given.
        allowed: every name that would have been accepted.

    Returns:
        One line of text, ready to be raised.
    """
    names = [str(name) for name in allowed]
    near = difflib.get_close_matches(str(got), names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    return f"unknown {what} {got!r}{hint} (allowed: {shown or 'none'})"


def lacking(absent: Sequence[str], present: Sequence[str]) -> str:
    """The one message for rows that lack columns: which, what may be meant by the first, and what there is."""
    near = difflib.get_close_matches(absent[0], present, n=1, cutoff=0.6)
    meant = f"; is {near[0]!r} meant to be {absent[0]!r}?" if near else ""
    return f"the data lacks {_quoted(absent)}, which the model needs{meant} (it has {_quoted(present)})"


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(repr(name) for name in names[:MOST_NAMED]) + more
