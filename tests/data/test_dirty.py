"""Dirty sources are read right or refused in one line, and each case fails on a reader that lacks what it tests."""

from __future__ import annotations

import csv
import importlib
import io
import struct
import zlib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pyarrow as pa
import pytest

from fathom.cli import main
from tests.data.dirty import Case, attempt, knock_out

FEWEST_CASES = 150

# What becomes of a case on a reader that lacks something: another table or message, or a library's own error.
FAILS = (
    *(AssertionError, LookupError, TypeError, AttributeError, ValueError, OSError, EOFError),
    *(struct.error, csv.Error, zlib.error, pa.ArrowException),
)


def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for path in sorted(Path(__file__).parent.glob("cases_*.py")):
        for case in importlib.import_module(f"tests.data.{path.stem}").CASES:
            key = f"{path.stem.removeprefix('cases_')}: {case.name}"
            assert key not in found, key
            found[key] = case
    return found


CASES = cases()
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
refused = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refused is not None])


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= FEWEST_CASES


@every
def test_a_dirty_source_is_read_right_or_refused(case: Case, tmp_path: Path) -> None:
    attempt(case, tmp_path)


@every
def test_a_case_fails_on_a_reader_that_lacks_what_it_tests(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert case.without
    knock_out(case, monkeypatch)
    with pytest.raises(FAILS):
        attempt(case, tmp_path)


@refused
def test_a_refused_source_ends_the_command_line_with_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, folder = CASES[name], tmp_path / "data"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    made = case.make(folder)
    if not isinstance(made, str | Path):
        pytest.skip("the command line reads no objects")
    arguments = ["fit", str(made), "--target", case.target or "y", "--out", str(tmp_path / "run"), *spoken(case)]
    if case.test is not None:
        arguments += ["--test", str(case.test(folder))]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(arguments)
    lines = err.getvalue().splitlines()
    assert left.value.code == 2, err.getvalue()
    assert lines[-1].startswith("fathom: error: ")
    assert "Traceback" not in err.getvalue()
    assert case.target is not None or len(lines) == 1, lines
    assert out.getvalue() == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def spoken(case: Case) -> list[str]:
    """The options of a case, and the further keys of its Config, as one gives them on the command line."""
    said: list[str] = []
    for name, value in case.options.items():
        if name == "header":
            said.append("--header" if value == "yes" else "--no-header")
        elif name == "columns":
            said += ["--columns", ",".join(value)]
        elif isinstance(value, bool):
            said += [f"--{name}"] if value else []
        else:
            said += [
                part for word in (value if isinstance(value, list | tuple) else [value]) for part in (f"--{name}", word)
            ]
    for key, value in case.asked.items():
        if key in ("kinds", "roles"):
            said += [part for column, name in value.items() for part in (f"--{key[:-1]}", f"{column}={name}")]
        else:
            said += ["--set", f"{key}={value}"]
    return said
