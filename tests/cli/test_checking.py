"""fathom check: what it prints, and what it returns."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from fathom.cli import main

pytestmark = pytest.mark.usefixtures("light_models")
LONG = "a name of a column that is much longer than any line of a table has room for (in units)"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tables: one in which much is wrong, a sane one, and one of a single class."""
    folder, random = tmp_path_factory.mktemp("checked"), np.random.default_rng(0)
    label = random.integers(0, 2, 300)
    reading = np.where(np.arange(300) % 30 == 0, -9999.0, np.round(random.normal(20, 3, 300), 2))
    write(folder / "wrong.csv", {"patient_id": range(1000, 1300), "came back": label, LONG: reading, "sick": label})
    write(folder / "sane.csv", {"x": random.normal(size=300), "z": random.normal(size=300), "sick": label})
    write(folder / "one.csv", {"x": random.normal(size=300), "sick": ["yes"] * 300})
    return folder


def write(path: Path, columns: dict) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_findings_stand_below_the_columns_gravest_first_each_with_its_remedy(capsys, place):
    status, out, err = run(capsys, "check", place / "wrong.csv", "--target", "sick")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "wrong: 300 rows, 4 columns"
    assert lines[1].split() == ["column", "role", "kind", "because"]
    starts = [line for line in lines if line.startswith(("warning (", "note ("))]
    assert [start.split(":")[0] for start in starts] == ["warning (leaks)", "warning (sentinels)", "note (identifiers)"]
    assert "  → if not, --role 'came back=ignore'" in lines
    assert f"if so, --missing '{LONG}=-9999'" in " ".join(line.strip() for line in lines)
    assert "  rows 0, 30, 60, 90, 120 ... (10 in all)" in lines
    assert lines[-1] == "2 warnings, 1 note (row numbers start at 0)"


def test_no_line_is_wider_than_a_terminal(capsys, place):
    _, out, _ = run(capsys, "check", place / "wrong.csv", "--target", "sick")
    assert max(map(len, out.splitlines())) <= 80


def test_nothing_found_is_said_in_one_line(capsys, place):
    status, out, _ = run(capsys, "check", place / "sane.csv", "--target", "sick")
    assert status == 0
    assert out.splitlines()[-1] == "nothing found that a person need look at"


def test_what_is_advised_settles_what_was_found(capsys, place):
    advised = ("--role", "came back=ignore", "--missing", f"{LONG}=-9999")
    _, out, _ = run(capsys, "check", place / "wrong.csv", "--target", "sick", *advised, "--json")
    assert {finding["check"] for finding in json.loads(out)["findings"]} <= {"identifiers", "missing"}


def test_json_is_one_object(capsys, place):
    status, out, _ = run(capsys, "check", place / "wrong.csv", "--target", "sick", "--json")
    answer = json.loads(out)
    assert (status, answer["rows"], len(answer["columns"])) == (0, {"train": 300}, 4)
    assert answer["findings"][0]["columns"] == ["came back"]


def test_a_target_of_one_class_is_shown_and_ends_with_two(capsys, place):
    status, out, err = run(capsys, "check", place / "one.csv", "--target", "sick")
    assert (status, err) == (2, "")
    assert "error (classes): target sick has one class, yes, in all 300 rows" in out


def test_a_check_can_be_left_out(capsys, place):
    said = ("--set", "checks.leaks=false", "--set", "checks.sentinels=false", "--json")
    _, out, _ = run(capsys, "check", place / "wrong.csv", "--target", "sick", *said)
    assert {finding["check"] for finding in json.loads(out)["findings"]} == {"identifiers"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("--target", "sik"), "did you mean 'sick'?"),
        ((), "name the column to predict"),
        (("--target", "sick", "--set", "checks.leeks=false"), "did you mean 'leaks'?"),
        (("--target", "sick", "--set", "checks.leaks.classes=7"), "out of range"),
    ],
)
def test_a_mistake_is_one_line_and_a_status_of_two(capsys, place, said, words):
    status, out, err = run(capsys, "check", place / "wrong.csv", *said)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert words in err


def test_every_check_is_listed_and_its_options_are_shown(capsys):
    _, out, _ = run(capsys, "list", "checks")
    assert "sentinels" in out
    assert "labels" in out
    _, out, _ = run(capsys, "show", "check", "drift")
    assert "(as in --set checks.drift.distance=0.1)" in out
