"""Progress of long work: what a terminal and a pipe are shown of it, and when nothing is."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fathom import progress
from fathom.progress import Work, one_by_one, shown, tell

SOURCE = Path(__file__).resolve().parents[1] / "src"
HIDDEN, BACK = b"\x1b[?25l", b"\x1b[?25h"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets its lines at once, and work of a moment is long."""
    monkeypatch.setattr(progress, "LINE_S", 0.02)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.05)


Captured = pytest.CaptureFixture[str]


def busy(seconds: float = 0.2) -> None:
    time.sleep(seconds)


def test_a_pipe_gets_plain_lines(capsys: Captured):
    with shown(), Work("reading", 3e6, "bytes") as done:
        done(0)
        busy()
        done(1.5e6)
        busy()
    told = capsys.readouterr().err
    assert told.splitlines()[-1] == "reading: 50%, 2 of 3 MB, 0:00 gone, 0:00 left"
    assert "\x1b" not in told


def test_nothing_is_written_where_nobody_looks(capsys: Captured):
    with Work("reading", 1, "rows") as done:
        done(0)
        busy()
        tell("a line")
    with shown(False), Work("reading", 1, "rows"):
        busy()
    assert capsys.readouterr().err == ""
    assert not done.is_watched


def test_what_is_over_at_once_shows_nothing(capsys: Captured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "PATIENCE_S", 5.0)
    with shown(), Work("reading", 1, "rows"):
        busy()
    assert capsys.readouterr().err == ""


def test_work_inside_other_work_is_shown_in_its_place(capsys: Captured):
    with shown(), Work("outer", 1, "rows"):
        busy()
        with Work("inner", 1, "rows"):
            busy()
        busy()
    seen = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert [name for name, before in zip(seen, [None, *seen], strict=False) if name != before] == [
        "outer", "inner", "outer"
    ]  # fmt: skip


def test_the_time_left_is_told_by_the_pace_of_this_process(monkeypatch: pytest.MonkeyPatch):
    now = iter([0.0, 0.0, 10.0, 20.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with Work("training", 100, "steps") as done:
        done(50)  # those of a run that was stopped
        done(60)
        assert done.left_s == pytest.approx((20.0 - 10.0) * 40 / 10)


def test_nothing_is_said_of_the_time_left_before_there_is_a_pace_or_where_parts_differ():
    with Work("checking", 3, "checks", even=False) as done:
        done(0)
        done(1)
        assert done.left_s is None
    with Work("reading", 3) as done:
        done(0)
        assert done.left_s is None
        assert "left" not in done.told()


def test_work_that_may_end_before_says_at_most():
    with Work("training", 1.0, at_most=True) as done:
        done(0.0)
        busy(0.01)
        done(0.5, "epoch 3.0")
        assert re.fullmatch(r"0:00 gone, at most 0:00 left, epoch 3\.0", done.told())


def test_parts_are_counted_one_by_one(capsys: Captured):
    with shown():
        for _ in one_by_one("ab", "looking", "letters"):
            busy()
    assert "looking: 50%, 1 of 2 letters" in capsys.readouterr().err


def test_an_error_in_work_ends_what_is_shown(capsys: Captured):
    def failing() -> Iterator[None]:
        with Work("reading", 1, "rows"):
            busy()
            yield

    rows = failing()

    def broken_off() -> None:
        with shown():
            next(rows)  # left in the middle, and closed only later
            raise KeyError

    with pytest.raises(KeyError):
        broken_off()
    assert capsys.readouterr().err
    busy()
    assert capsys.readouterr().err == ""
    assert "progress" not in {thread.name for thread in threading.enumerate()}
    rows.close()


def test_a_closed_stderr_ends_no_work(monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with shown(), Work("reading", 1, "rows"):
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0:00"), (59.6, "1:00"), (750, "12:30"), (3723, "1:02:03"), (360000, "100:00:00")]
)
def test_a_time_is_told_as_a_clock_has_it(seconds: float, told: str):
    assert progress._clock(seconds) == told


# ---------------------------------------------------------------- a real terminal

CHILD = """
import signal, sys, time
from fathom import progress
from fathom.progress import Work, shown
progress.PATIENCE_S = 0.1
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
with shown(), Work("training", 1.0) as done:
    done(0.0)
    time.sleep(0.4)
    done(0.5, "epoch 12.0, skill 0.1234")
    time.sleep(0.4)
    sys.stderr.write("a line above\\n")
    time.sleep(float(sys.argv[1]))
sys.stderr.write("the end\\n")
"""


def on_terminal(seconds: float, kill: int | None = None, **environment: str) -> tuple[int, bytes]:
    """Run work in a process whose stderr is a terminal; the exit status, and what the terminal got."""
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(seconds)],
        env=plain | {"PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "80", **environment},
        stderr=theirs,
        stdout=subprocess.DEVNULL,
    )
    os.close(theirs)
    got = b""
    with closing(os.fdopen(ours, "rb", buffering=0)) as screen:
        while True:
            try:
                piece = screen.read(4096)
            except OSError:  # the terminal is gone with its last process
                break
            if not piece:
                break
            got += piece
            if kill is not None and b"line above" in got:
                child.send_signal(kill)
                kill = None
    return child.wait(30), got


def frames(got: bytes) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", got.decode())]


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_a_terminal_shows_a_bar_of_one_line(columns: int):
    status, got = on_terminal(0.3, COLUMNS=str(columns))
    shown = [frame for frame in frames(got) if "50%" in frame]
    assert status == 0
    assert shown
    assert all(frame.startswith("tr") for frame in shown)
    assert max(map(len, frames(got))) <= columns
    assert re.search(r"0:0\d gone, 0:0\d left", shown[-1])
    assert (columns < 60) or "epoch 12.0, skill 0.1234" in shown[-1]


def test_what_is_written_meanwhile_stands_above_the_bar():
    _, got = on_terminal(0.3)
    assert "a line above" in [frame.rstrip() for frame in frames(got)]


def test_the_bar_is_gone_in_the_end_and_the_cursor_back():
    _, got = on_terminal(0.3)
    assert got.rindex(BACK) > got.rindex(HIDDEN)
    assert got.endswith(b"\x1b[2Kthe end\r\n")


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_leaves_the_terminal_as_it_was(number: int):
    status, got = on_terminal(20, kill=number)
    assert status != 0
    assert got.rindex(BACK) > got.rindex(HIDDEN)
    assert got.rindex(b"\x1b[2K") > got.rindex(b"training")


def test_without_colour_the_bar_has_none():
    colour = re.compile(rb"\x1b\[(3|4|9|10)\d")
    assert colour.search(on_terminal(0.3)[1])
    _, got = on_terminal(0.3, NO_COLOR="1")
    assert b"50%" in got
    assert not colour.search(got)


def test_a_dumb_terminal_gets_no_escapes():
    _, got = on_terminal(0.3, TERM="dumb")
    assert got == b"a line above\r\nthe end\r\n"
