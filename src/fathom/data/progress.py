"""Progress of long work on data: a bar on a terminal, elsewhere a line now and then; on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

__all__ = ["Counted"]

LINE_SECONDS = 30.0  # between lines, where no terminal shows the bar


class Counted:
    """Work that is counted: called with how much of it is done, it shows that and the time left.

    Args:
        label: what is being done, in front of the bar.
        total: how much there is to do.
        unit: of what is counted.
        show: whether anything is shown.
    """

    def __init__(self, label: str, total: int, unit: str, *, show: bool) -> None:
        self._label, self._total, self._unit, self._show = label, total, unit, show
        self._bar: Any = None
        self._told_s = time.monotonic()

    def __enter__(self) -> Counted:
        if self._show:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            console = Console(stderr=True)
            columns = [TextColumn("{task.description}"), BarColumn(10), TextColumn("{task.percentage:>3.0f}%")]
            columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
            self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
            self._bar.add_task(self._label, total=self._total)
            self._bar.start()
        return self

    def __call__(self, done: int) -> None:
        """Say how much of the work is done, that of an earlier process included."""
        if self._bar is None:
            return
        self._bar.update(self._bar.task_ids[0], completed=done)
        if self._bar.disable and time.monotonic() - self._told_s > LINE_SECONDS:
            self._told_s = time.monotonic()
            sys.stderr.write(f"{self._label}: {done:,} of {self._total:,} {self._unit}\n")
            sys.stderr.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
