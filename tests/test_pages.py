"""docs/*.md about training: every command that they name is understood, and does what it says, on small data."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from fathom.cli import main
from tests.test_data_page import as_csv, clients, make_pictures

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    *("schedules.md", "augmentation.md", "ensembles.md", "tables.md", "tracking.md", "evaluation.md", "report.md"),
    "depths.md",
)
QUICK = ("--budget", "20steps", "--set", "measure=false", "--set", "baseline=false")
PLACES = {"DATA": ("data.csv", "--target", "y"), "data.csv": ("data.csv",), "photos/": ("photos/",)}


def commands(page: str) -> list[str]:
    """Every line of a block, and every piece of code between others' words, that begins as a command does."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    words = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    named = [*lines, *re.findall(r"`([^`]+)`", words.replace("\n", " "))]
    # What names an option alone, as `fathom tune --config`, is no whole command.
    return list(dict.fromkeys(line for line in named if re.match(r"fathom [a-z]+ [^-]", line)))


NAMED = [(page, command) for page in PAGES for command in commands((ROOT / "docs" / page).read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A table and pictures, and a folder for runs."""
    folder = tmp_path_factory.mktemp("pages")
    rows = [{"spent": row["spent"], "city": row["city"], "y": row["left"]} for row in clients(80)]
    (folder / "data.csv").write_text(as_csv(rows))
    make_pictures(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def typed(arguments: list[str]) -> tuple[int, str]:
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(printed), redirect_stderr(printed), pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0), printed.buffer.getvalue().decode()  # type: ignore[attr-defined]


def completed(command: str, place: Path) -> list[str]:
    """The arguments of a command, its capitals replaced by what they stand for; a fit is short, and has its own run."""
    _, *arguments = shlex.split(command)
    if arguments[0] == "fit":
        where = place / "runs" / str(len(list(place.glob("runs/*"))))
        filled = [word for argument in arguments for word in PLACES.get(argument, (argument,))]
        return [*filled, *QUICK, "--out", str(where)]
    runs = iter(two_runs(place) if "RUN" in arguments else ())
    return [next(runs) if argument == "RUN" else PLACES.get(argument, (argument,))[0] for argument in arguments]


def two_runs(place: Path) -> list[str]:
    """Two runs on the same rows, which are made once."""
    found = [place / "compared" / name for name in ("one", "two")]
    for ensemble, run in enumerate(found, 1):
        if not run.exists():
            made = ["fit", "data.csv", "--target", "y", "--ensemble", str(ensemble), *QUICK, "--out", str(run)]
            assert typed(made)[0] == 0
    return list(map(str, found))


@pytest.mark.parametrize(("page", "command"), NAMED, ids=[command for _, command in NAMED])
def test_a_command_that_a_page_names_works(place: Path, page: str, command: str):
    status, text = typed(completed(command, place))
    assert status == 0, f"{page}: {text}"


def test_every_page_has_commands():
    assert {page for page, _ in NAMED} == set(PAGES)


def test_every_page_stands_in_the_menu_of_the_site():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f": {page.name}\n" in menu, page.name
