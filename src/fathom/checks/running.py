"""Runs the checks that fit what is examined."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fathom.checks.check import CHECKS, SEVERITIES, Finding, counted
from fathom.checks.examined import Examined
from fathom.errors import ConfigError
from fathom.progress import one_by_one
from fathom.registry import Entry

__all__ = ["brief", "checked_choices", "run_checks"]


def run_checks(
    examined: Examined,
    *,
    limit_s: float = math.inf,
    asked: Mapping[str, Any] | None = None,
) -> tuple[Finding, ...]:
    """Run every check that has what it needs.

    Args:
        examined: what is looked at.
        limit_s: seconds that a thorough check may take, by what it expects of itself; of one that takes more a note
            is left.
        asked: name of a check to its options, or to False to leave it out.

    Returns:
        What was found, the gravest first.

    Raises:
        ConfigError: there is no such check, or it has no such option.
    """
    asked = checked_choices(asked or {})
    found: list[Finding] = []
    for entry in one_by_one(list(CHECKS), "checking", "checks", even=False):
        options = asked.get(entry.name, {})
        if isinstance(options, bool) or not _has(examined, entry.facts["needs"]):
            continue
        seconds = entry.facts["seconds"](examined) if "seconds" in entry.facts else 0.0
        if seconds > limit_s:
            found.append(_left_out(entry, seconds))
            continue
        # A product of sane matrices now and then raises the processor's flag for invalid numbers, by chance.
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            found += entry.factory(examined, **options)
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))


def checked_choices(asked: Mapping[str, Any]) -> dict[str, dict[str, Any] | bool]:
    """What was asked of checks, with each option as the check has it; True is the same as no options.

    Raises:
        ConfigError: there is no such check, or it has no such option.
    """
    found: dict[str, dict[str, Any] | bool] = {}
    for name, said in asked.items():
        options = CHECKS.checked({"name": name, **(said if isinstance(said, Mapping) else {})}).options
        if not isinstance(said, Mapping | bool):
            raise ConfigError(f"checks.{name} = {said!r} is not allowed (expected false, or a table of its options)")
        found[name] = False if said is False else dict(options)
    return found


def _left_out(entry: Entry, seconds: float) -> Finding:
    message = f"{entry.name} were not looked at, which takes about {max(1, round(seconds)):,} s"
    return Finding(entry.name, "note", message, "fathom check does it")


def _has(examined: Examined, needs: tuple[str, ...]) -> bool:
    there = {
        "inputs": bool(examined.inputs),
        "target": bool(examined.targets),
        "parts": bool(examined.parts),
        "pictures": bool(examined.pictures),
    }
    return examined.train.num_rows > 1 and all(there[need] for need in needs)


def brief(findings: Sequence[Finding]) -> Iterator[str]:
    """What is said of findings before a training: a line for each grave one, and how many others there are."""
    grave = [finding for finding in findings if finding.severity != "note"]
    for finding in grave:
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        yield f"{finding.severity}: {finding.message}{remedy}"
    if len(findings) > len(grave):
        yield f"fathom check shows {counted(len(findings) - len(grave), 'finding')} of less weight"
