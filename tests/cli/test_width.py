"""Every face of the command line at 80 columns and fewer, on a table of names that are hard to set."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from fathom.cli import main
from fathom.typeset import cells

TARGET = "収入区分😀"
NAMES = (
    "x" * 200,
    "much longer than anybody would ever call " * 3,
    "年齢",
    "👨‍👩‍👧 family",
    "مرتب السنة",
    "הכנסה",
    "line\nbreak",
    "e\u0301tat",
)
QUICK = ("--budget", "20steps", "--set", "measure=false")
ROLES = ("input", "ignore", "target")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, and a run and a second one on it."""
    folder = tmp_path_factory.mktemp("width")
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {name: draw.normal(0, 1, 120).round(3) for name in NAMES}
    columns["職業"] = draw.choice(["会社員" * 10, "y" * 120, "a b"], 120)
    columns[TARGET] = np.where(columns["年齢"] + draw.normal(0, 0.3, 120) > 0, "はい", "n" * 90)
    pa.parquet.write_table(pa.table(columns), folder / "table.parquet")
    for seed in (0, 1):
        assert typed(*fit(folder, f"run{seed}"), "--seed", str(seed))[0] == 0
    return folder


def fit(folder: Path, name: str) -> tuple[str, ...]:
    return ("fit", str(folder / "table.parquet"), "--target", TARGET, "--out", str(folder / name), *QUICK)


def typed(*arguments: str) -> tuple[int, str, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(list(arguments))
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return int(left.value.code or 0), texts[0], texts[1]


def faces(place: Path, name: str) -> dict[str, tuple[str, ...]]:
    table, runs = str(place / "table.parquet"), [str(place / f"run{seed}") for seed in (0, 1)]
    return {
        "fit": fit(place, name),
        "check": ("check", table, "--target", TARGET),
        "evaluate": ("evaluate", runs[0], table),
        "inspect": ("inspect", runs[0]),
        "compare": ("compare", *runs, table),
        "list": ("list",),
        "show": ("show", "training"),
    }


FACES = tuple(faces(Path(), ""))


def too_wide(text: str, columns: int) -> list[str]:
    """Lines that are too wide and could have been broken: more than one word, and no command, which is copied whole."""
    wide = [line for line in text.splitlines() if cells(line) > columns and len(line.split()) > 1]
    return [line for line in wide if not line.lstrip().startswith("fathom ")]


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("face", FACES)
def test_no_line_is_too_wide(face: str, columns: int, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, err = typed(*faces(place, f"{face}-{columns}")[face])
    assert status == 0, err
    assert too_wide(out, columns) == []
    assert too_wide(err, columns) == []
    assert "\x1b" not in out + err


@pytest.mark.parametrize("face", ["fit", "check", "inspect"])
def test_the_columns_of_the_table_stand_below_each_other(face: str, place: Path):
    _, out, err = typed(*faces(place, "aligned")[face])
    found = [re.match(rf"(.*?  )({'|'.join(ROLES)})  ", line) for line in (out + err).splitlines()]
    starts = [cells(match[1]) for match in found if match]
    assert len(starts) == len(NAMES) + 2
    assert len(set(starts)) == 1, starts


@pytest.mark.parametrize("face", [face for face in FACES if face != "fit"])
def test_json_is_one_object_and_nothing_else(face: str, place: Path):
    status, out, _ = typed(*faces(place, "")[face], "--json")
    assert status == 0
    assert isinstance(json.loads(out), dict)


def test_every_command_that_prints_a_result_has_json():
    from fathom.cli.commands import fathom

    without = [name for name, command in fathom.commands.items() if "as_json" not in {p.name for p in command.params}]
    assert without == ["chat", "completion"]  # a talk, and a script
