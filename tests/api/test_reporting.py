"""A run's report.html: written at its end and again later, and never at the price of the run."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import fathom
from fathom.api import write_report
from fathom.checks import CHECKS
from fathom.cli import main
from fathom.errors import ConfigError, ModelError
from fathom.model import Model
from tests.report.examples import HOSTILE

ROWS = 60
QUICK: dict[str, Any] = {"budget": "5steps", "measure": False, "folds": 0}
UNCHECKED = dict.fromkeys(CHECKS.names(), False)
pytestmark = pytest.mark.usefixtures("pages")


def write(place: Path, seed: int = 0) -> Path:
    draw = np.random.default_rng(seed)
    a, b = draw.normal(0, 1, (2, ROWS))
    pa.csv.write_csv(pa.table({"a": a, "b": b, "y": np.where(a > 0, "yes", "no")}), place)
    return place


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.csv")


def test_mistakes_are_called_by_their_rows_in_the_data(data: Path, tmp_path: Path):
    fathom.fit(data, "y", out=tmp_path / "run", **{**QUICK, "budget": "1step"}, test=0.4)
    page = (tmp_path / "run" / "report.html").read_text()
    found = re.findall(r"<b>row (\d+)</b>.*?>a</span></dt><dd><span[^>]*>([^<]+)<", page, re.DOTALL)
    a = pa.csv.read_csv(data)["a"].to_pylist()
    assert len(found) > 3
    assert [float(value) for _, value in found] == pytest.approx([a[int(row)] for row, _ in found])


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_a_run_leaves_a_page_and_what_it_cost(data: Path, tmp_path: Path):
    run = fathom.fit(data, "y", out=tmp_path / "run", **QUICK)
    page = (tmp_path / "run" / "report.html").read_text()
    cost = json.loads((tmp_path / "run" / "cost.json").read_text())
    assert f"of {run.rows:,} rows right" in page
    assert cost["seconds"] > cost["training_seconds"] > 0
    assert cost["peak_bytes"] > 2**20
    digest = json.loads((tmp_path / "run" / "model" / "MANIFEST.json").read_text())["sha256"]["weights.safetensors"]
    assert digest in page


def test_the_page_that_is_written_again_is_that_of_the_run(data: Path, tmp_path: Path):
    fathom.fit(data, "y", out=tmp_path / "run", **QUICK)
    first = (tmp_path / "run" / "report.html").read_bytes()
    assert write_report(tmp_path / "run") == tmp_path / "run" / "report.html"
    assert (tmp_path / "run" / "report.html").read_bytes() == first
    assert write_report(tmp_path / "run", tmp_path / "other.html").read_bytes() == first


def test_texts_are_written_once_for_the_scores_and_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said = [f"the cat of house {k} sat down on a red mat" for k in range(ROWS)]
    rows, judged, written = {"said": said, "echo": said}, Model.judged, list[int]()

    def counted(model: Model, table: pa.Table, linear: Model | None = None) -> Any:
        written.append(table.num_rows)
        return judged(model, table, linear)

    monkeypatch.setattr(Model, "judged", counted)
    run = fathom.fit(rows, "echo", out=tmp_path / "run", baseline=False, **QUICK)
    assert written == [run.rows]
    assert run.answers is None
    assert "chrF" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_without_the_data_the_page_says_so(data: Path, tmp_path: Path, change: str):
    fathom.fit(data, "y", out=tmp_path / "run", **QUICK)
    data.unlink() if change == "gone" else write(data, seed=1)
    page = write_report(tmp_path / "run").read_text()
    assert "The rows were not at hand" in page
    assert "right, where a linear model gets" in page


def test_a_page_that_cannot_be_written_costs_no_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(told: Any) -> str:
        raise RuntimeError("no fonts\nat all")

    monkeypatch.setattr("fathom.api.reporting.written", fails)
    said: list[str] = []
    fathom.fit(data, "y", out=tmp_path / "run", say=said.append, **QUICK)
    assert "warning: report.html could not be written (RuntimeError: no fonts); the model is kept" in said
    assert fathom.load(tmp_path / "run").metrics
    assert not (tmp_path / "run" / "report.html").exists()
    with pytest.warns(UserWarning, match="no fonts"):
        fathom.fit(data, "y", out=tmp_path / "run", overwrite=True, **QUICK)


def test_a_report_may_be_left_out(data: Path, tmp_path: Path):
    fathom.fit(data, "y", out=tmp_path / "run", report=False, **QUICK)
    assert not (tmp_path / "run" / "report.html").exists()
    with pytest.raises(ConfigError, match="'secret' is not allowed"):
        fathom.fit(data, "y", out=tmp_path / "other", report="secret", **QUICK)


def test_a_private_report_says_so(data: Path, tmp_path: Path):
    fathom.fit(data, "y", out=tmp_path / "run", report="private", **QUICK)
    assert "This page is private" in (tmp_path / "run" / "report.html").read_text()
    assert "This page is private" not in write_report(tmp_path / "run").read_text()


def test_a_run_that_is_taken_up_once_more_keeps_what_it_cost(data: Path, tmp_path: Path):
    fathom.fit(data, "y", out=tmp_path / "run", **QUICK)
    before = (tmp_path / "run" / "cost.json").read_bytes()
    fathom.fit(data, "y", out=tmp_path / "run", resume=True, **QUICK)
    assert (tmp_path / "run" / "cost.json").read_bytes() == before


def test_a_model_alone_has_no_report(data: Path, tmp_path: Path):
    fathom.fit(data, "y", out=tmp_path / "run", report=False, **QUICK)
    with pytest.raises(ModelError, match="a model alone"):
        write_report(tmp_path / "run" / "model")
    with pytest.raises(ConfigError, match="there is no directory"):
        write_report(tmp_path / "run", tmp_path / "none" / "page.html")


def test_the_commands_of_the_page_come_to_the_same_weights(data: Path, tmp_path: Path):
    fathom.fit(data, "y", out=tmp_path / "run", budget="5steps", folds=0)
    page = (tmp_path / "run" / "report.html").read_text()
    shell, command = html.unescape(re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)[1]).splitlines()
    subprocess.run(shell, shell=True, check=True)
    with pytest.raises(SystemExit) as left:
        main(shlex.split(command)[1:])
    assert not left.value.code
    first, again = ((tmp_path / name / "model" / "weights.safetensors").read_bytes() for name in ("run", "run-again"))
    assert first == again


@pytest.mark.parametrize("target", ["y", "none", ["y", "a"]], ids=str)
def test_names_that_would_be_markup_are_told_as_they_are(tmp_path: Path, target: Any):
    """Of columns, classes, cells, and the file; no other elements than a page of harmless names has."""
    draw = np.random.default_rng(0)
    texts = [text for text in HOSTILE if text.isprintable()]
    pages = []
    for names in (texts, [f"n{k:02}" for k in range(len(texts))]):
        columns = {name: draw.normal(size=ROWS) for name in names[:20]}
        columns |= {name: np.array(names[20:22] * (ROWS // 2)) for name in names[20:24]}
        file = tmp_path / f"{names[0]}.csv".replace("/", "")
        pa.csv.write_csv(pa.table({**columns, "a": draw.normal(size=ROWS), "y": np.array(names[24:26] * 30)}), file)
        place = tmp_path / f"run{len(pages)}"
        fathom.fit(file, target, out=place, baseline=False, checks=UNCHECKED, **QUICK)
        pages.append((place / "report.html").read_text())
    hostile, harmless = (Elements(page).tags for page in pages)
    assert set(hostile) <= set(harmless)
    assert [hostile.count(tag) for tag in ("script", "style", "h1")] == [1, 1, 1]
