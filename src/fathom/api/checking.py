"""check: what is wrong with data, before anything is trained on it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fathom.api.examining import examine
from fathom.checks import Finding
from fathom.config import Config
from fathom.data import read
from fathom.data.readers import accepted_options

__all__ = ["Report", "check"]


@dataclass(frozen=True)
class Report:
    """What was found in data.

    Attributes:
        source: the name of what was read.
        rows: how many rows each part holds: "train", and "valid" and "test" where they were given.
        columns: name, role and kind of each column, and why.
        findings: what a person should know, the gravest first.
        notes: how the source was read.
    """

    source: str
    rows: dict[str, int]
    columns: tuple[dict[str, str], ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def trainable(self) -> bool:
        """Whether nothing was found that leaves nothing to learn."""
        return all(finding.severity != "error" for finding in self.findings)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "source": self.source,
            "rows": dict(self.rows),
            "columns": [dict(column) for column in self.columns],
            "findings": [finding.plain() for finding in self.findings],
            "notes": list(self.notes),
        }


def check(source: Any, target: str | Iterable[str] | None = None, *, test: Any = None, **config: Any) -> Report:
    """Read data and look for what would mislead: leaks, wrong labels, copies, drift, codes for unknown values, ...

    Args:
        source: a path, a folder, a data frame, a dict of arrays, or the name of a data set.
        target: the column or columns to predict; "none" for no target; None takes the source's own.
        test: other rows, on which the network would be scored.
        config: the keys of ``config.Config``; ``checks={"labels": False}`` leaves a check out, ``checks={"drift":
            {"distance": 0.2}}`` sets an option of one.

    Raises:
        InputError: what was handed in cannot be used; says what, where, what was allowed.
    """
    asked = Config.of({"target": target, **config} if target is not None else config)
    found = read(source, **asked.reading)
    others = None if test is None else read(test, **accepted_options(test, asked.reading))
    examined = examine(found, others, asked, lambda line: None, limit_s=math.inf)
    counts = {part: table.num_rows for part, table in found.parts.items()}
    if others is not None:
        counts["test"] = others.parts.get("test", others.parts["train"]).num_rows
    columns = tuple(dict(zip(("name", "role", "kind", "reason"), row, strict=True)) for row in examined.schema.rows())
    return Report(found.name, counts, columns, examined.findings, found.notes)
