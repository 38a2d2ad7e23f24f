"""docs/tuning.md: what it says to type works, and prints what it shows."""

from __future__ import annotations

import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from fathom.cli import main
from fathom.cli.tuning import asked_from
from tests.test_data_page import first_not_printed, shown

pytest.importorskip("optuna")

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "tuning.md").read_text(encoding="utf-8")
SHOWN = shown(PAGE)
FEW = {"20": "2", "30": "2", "31": "3"}
"""How many trials are made where the page says so many."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder for all commands, which follow each other as on the page."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("page")
        patch.chdir(folder)
        yield folder


def typed(command: str) -> tuple[int, str]:
    """The exit status and all that is printed when a command of the page is typed; its trials are short and few."""
    _, *arguments = shlex.split(command)
    if arguments[0] == "tune":
        arguments = [FEW.get(argument, argument) for argument in arguments] + ["--trial-budget", "20steps"]
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(printed), redirect_stderr(printed), pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0), printed.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("command", "expected"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_of_the_page_prints_what_is_shown(place: Path, command: str, expected: str):
    status, text = typed(command)
    assert status == (2 if "fathom: error" in expected else 0), text
    for piece in filter(None, (part.strip() for part in re.split(r"\.\.\.|\n", expected))):
        assert first_not_printed(piece, text) is None, text


def test_the_file_of_the_page_is_understood(tmp_path: Path):
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "tune.toml").write_text(block)
    unsaid = dict.fromkeys(("trials", "budget", "trial_budget", "workers", "storage", "study"))
    said = {**unsaid, "space": (), "set": (), "kind": (), "role": (), "config": str(tmp_path / "tune.toml")}
    config, study = asked_from(said)
    assert config == {"net": tomllib.loads(block)["net"]}
    assert (study["trials"], study["space"]) == (20, ["net.dropout", "optimizer.lr"])
