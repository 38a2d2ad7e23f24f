"""Progress of long work: a bar with the time left on a terminal, elsewhere a line now and then; on stderr.

Work says how much of it is done, in whichever layer that is known: ``with Work("reading", size, "bytes") as done``.
Whether anybody looks is said once, from above, by ``shown()``; without that nothing is written. A thread of its own
draws, so that work neither waits nor prints; what is over at once shows nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar

from fathom.typeset import set_to_width

__all__ = ["BYTES", "Work", "one_by_one", "shown", "tell"]

PATIENCE_S = 1.0
"""Work that is over by then shows nothing."""

DRAWN_S = 0.2
LINE_S = 30.0
"""Between lines, where no terminal shows the bar."""

BAR_CELLS, LABEL_CELLS = 10, 24
BYTES = "bytes"
NOT_A_SCREEN = ("dumb", "unknown")

Item = TypeVar("Item")


@contextmanager
def shown(wanted: bool = True) -> Iterator[None]:
    """Inside the block, on the thread that entered it, long work is shown; it is inside an outer block as well."""
    if not wanted or _SCREEN.get() is not None:
        yield
        return
    screen = _Screen()
    token = _SCREEN.set(screen)
    try:
        yield
    finally:
        _SCREEN.reset(token)
        screen.close()


def tell(line: str) -> None:
    """Write a line to stderr, above a bar where there is one; nothing where nobody looks."""
    if _SCREEN.get() is not None:
        sys.stderr.write(f"{set_to_width(line)}\n")
        sys.stderr.flush()


def one_by_one(items: Collection[Item], label: str, unit: str, *, even: bool = True) -> Iterator[Item]:
    """The items one by one, as work that has so many parts; see ``Work``."""
    with Work(label, len(items), unit, even=even) as done:
        for number, item in enumerate(items):
            done(number)
            yield item


class Work:
    """Work of a known amount; called with how much of it is done, the first time with what was done before.

    Work inside other work is shown in its place, where it takes longer than a moment.

    Args:
        label: what is being done, in front of the bar.
        total: how much there is to do.
        unit: of what is counted; BYTES are shown as kB or MB, and nothing stands for a share of 1.
        at_most: whether it may end before all is done.
        even: whether its parts take about as long as each other; else nothing is said of the time that is left.
    """

    def __init__(self, label: str, total: float, unit: str = "", *, at_most: bool = False, even: bool = True) -> None:
        self.label = label
        self._total, self._unit, self._at_most, self._even = max(total, 1e-9), unit, at_most, even
        self._done, self._words = 0.0, ""
        self._started_s = time.monotonic()
        self._first: tuple[float, float] | None = None
        self._screen: _Screen | None = None

    def __enter__(self) -> Work:
        self._started_s, self._screen = time.monotonic(), _SCREEN.get()
        if self._screen is not None:
            self._screen.begin(self)
        return self

    def __call__(self, done: float, words: str = "") -> None:
        """Say how much of the work is done, that of an earlier process included, and what else is to be shown."""
        self._done, self._words = done, words
        self._first = self._first or (done, time.monotonic())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._screen is not None:
            self._screen.end(self)

    @property
    def is_watched(self) -> bool:
        return self._screen is not None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started_s

    @property
    def share(self) -> float:
        return min(1.0, self._done / self._total)

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes at the pace since the first call; None where there is none."""
        before, since_s = self._first or (0.0, 0.0)
        gained = self._done - before if self._even else 0.0
        return (time.monotonic() - since_s) * max(0.0, self._total - self._done) / gained if gained > 0 else None

    def told(self) -> str:
        """How much is done, how long that took, and how long the rest takes."""
        left, most = self.left_s, "at most " if self._at_most else ""
        times = f"{_clock(self.seconds)} gone" + ("" if left is None else f", {most}{_clock(left)} left")
        return ", ".join(filter(None, [self._amount(), times, self._words]))

    def _amount(self) -> str:
        if self._unit == BYTES:
            factor, unit = (1e6, "MB") if self._total >= 1e6 else (1e3, "kB")
            return f"{self._done / factor:,.0f} of {self._total / factor:,.0f} {unit}"
        return f"{self._done:,.0f} of {self._total:,.0f} {self._unit}" if self._unit else ""


class _Screen:
    """What a person sees of all work that is under way: the innermost that has taken longer than a moment."""

    def __init__(self) -> None:
        self._works: list[Work] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, work: Work) -> None:
        self._works.append(work)
        if self._thread is None:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._watch, args=(self._over,), name="progress", daemon=True)
            self._thread.start()

    def end(self, work: Work) -> None:
        if work in self._works:
            self._works.remove(work)
        if not self._works:
            self.close()

    def close(self) -> None:
        """Leave the terminal as it was, even where work was broken off that has not ended yet."""
        self._works.clear()
        thread, self._thread = self._thread, None
        self._over.set()
        if thread is not None:
            thread.join()

    def _watch(self, over: threading.Event) -> None:
        if over.wait(PATIENCE_S):
            return
        with suppress(OSError, ValueError):  # nobody reads stderr any more
            self._draw(over) if _is_screen() else self._write_lines(over)

    def _draw(self, over: threading.Event) -> None:
        with _bar() as bar:
            task = bar.add_task("", total=1.0, words="", visible=False)
            while not over.is_set():
                work = self._longest()
                if work is not None:
                    bar.update(task, description=work.label, completed=work.share, words=work.told())
                bar.update(task, visible=work is not None, refresh=True)
                over.wait(DRAWN_S)

    def _write_lines(self, over: threading.Event) -> None:
        while not over.wait(LINE_S):
            if (work := self._longest()) is not None:
                sys.stderr.write(f"{work.label}: {work.share:.0%}, {work.told()}\n")
                sys.stderr.flush()

    def _longest(self) -> Work | None:
        return next((work for work in reversed(self._works) if work.seconds >= PATIENCE_S), None)


_SCREEN: ContextVar[_Screen | None] = ContextVar("where progress is shown", default=None)


def _is_screen() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in NOT_A_SCREEN


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    label = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=LABEL_CELLS))
    share = TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True, min_width=4))
    words = TextColumn("{task.fields[words]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    # What goes to stdout goes above the bar only where stdout is that screen: a file must get its lines.
    return Progress(
        *(label, BarColumn(BAR_CELLS), share, words),
        console=Console(stderr=True, highlight=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )


def _clock(seconds: float) -> str:
    """``0:07``, ``12:30`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
