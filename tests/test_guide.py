"""docs/*.md for a person with data, and the life of a row: what they say to type works, and prints what they show."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sources import definition

from fathom.config import Config
from tests.guide import alike, blocks, first_missed, run_page, typed

pytestmark = pytest.mark.usefixtures("light_models")
ROOT = Path(__file__).resolve().parents[1]
PAGES = ("tour", "kinds", "nets", "training", "scores", "runs", "configuration", "life_of_a_row")
README = (ROOT / "README.md").read_text(encoding="utf-8")
NEW = """Pclass,Sex,Age,SibSp,Parch,Fare,Embarked
1,female,29,0,0,80,S
3,male,22,1,0,7.25,S
2,male,,0,0,13,C
"""


def text_of(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, data_directory: Path) -> Iterator[Path]:
    """What the pages speak of: the passengers of the Titanic, some of whom nobody knows, and pictures by class."""
    folder = tmp_path_factory.mktemp("guide")
    shutil.copyfile(data_directory / "tabular" / "titanic.csv", folder / "titanic.csv")
    (folder / "new.csv").write_text(NEW)
    (folder / "few.csv").write_text("Pclass,Sex\n1,female\n")
    draw = np.random.default_rng(0)
    for digit in range(10):
        (folder / "written" / str(digit)).mkdir(parents=True)
        for k in range(10):
            pixels = draw.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "written" / str(digit) / f"{k}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert typed("fathom fit titanic.csv --target Survived")[0] == 0
        yield folder


@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_what_it_shows(place: Path, page: str):
    run_page(text_of(page))


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_a_page_shows_is_understood(page: str, tmp_path: Path):
    for language, text in blocks(text_of(page)):
        if language == "toml" and "[project" not in text:
            (tmp_path / "asked.toml").write_text(text)
            Config.of(Config.read(tmp_path / "asked.toml"))


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_a_page_s_links_to_the_source_lead_to_what_they_name(path: Path):
    links = re.findall(r"\[`?([^\]`]+)`?\]\(\.\./((?:src|examples|tests)/[^)]+)\)", path.read_text(encoding="utf-8"))
    for words, place in links:
        assert (ROOT / place).is_file(), place
        if words.rpartition(".")[2].isidentifier() and place.endswith(".py"):
            assert definition(ROOT / place, words.rpartition(".")[2]), f"{place} defines no {words}"
    assert links or path.stem != "life_of_a_row"


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [path.name])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_the_readme_s_results_are_those_of_the_benchmarks():
    results = README.partition("## What it measures")[2].partition("\n## ")[0]
    numbers = re.findall(r"\d+[.,]\d+", re.sub(r"```.*?```", "", results, flags=re.DOTALL))
    assert len(numbers) > 20
    assert [number for number in numbers if number not in text_of("benchmarks")] == []


def test_the_readme_s_net_is_that_of_the_examples():
    (shown,) = [text for language, text in blocks(README) if language == "python" and "@NETS" in text]
    assert shown in (ROOT / "examples" / "extend" / "cosine_features.py").read_text()


def test_what_a_page_shows_and_is_not_printed_is_noticed():
    shown = "rows: 12 to train on\n...\naccuracy 0.9 [0.8, 1] (linear 0.7)"
    assert first_missed(shown, "rows: 12 to train on\n  accuracy  0.25 [0.1, 0.4]  (linear 1)\n") is None
    assert first_missed(shown, "rows: 13 to train on\naccuracy 0.25 [0.1, 0.4] (linear 1)") == "rows: 12 to train on"
    assert first_missed("a\nb", "b\na") == "b"
    assert alike("tensor([0.5, 1])", "tensor([0.51, 1])")
    assert not alike("tensor([0.5, 1])", "tensor([0.7, 1])")
    assert not alike("0.5 a", "0.5 b")
