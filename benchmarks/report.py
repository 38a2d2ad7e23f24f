"""How results are told: on which machine, with which versions, by which command; in docs/benchmarks.md."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["installed", "table", "told_with", "write_section"]

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def installed(package: str) -> str | None:
    """The version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def told_with(command: str, packages: Iterable[str]) -> str:
    """Where, when, with what and how a figure came about."""
    versions = ", ".join(f"{package} {installed(package) or 'not installed'}" for package in packages)
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()}; {day}; "
        f"Python {platform.python_version()}, {versions}; `{command}`."
    )


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table, its first column left and the others right."""
    rule = ("---", *["---:"] * (len(head) - 1))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Put text between a section's markers, at the page's end where it has none."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before = page.read_text() if page.exists() else "# Benchmarks\n"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    after = pattern.sub(lambda _: section, before) if pattern.search(before) else f"{before.rstrip()}\n\n{section}\n"
    page.parent.mkdir(exist_ok=True)
    page.write_text(after)


def _processor() -> str:
    """The processor's model, as Linux tells it."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
