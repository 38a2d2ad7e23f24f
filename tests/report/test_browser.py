"""The page in a browser: no text of it is run, nothing complains, and a narrow window shows all of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fathom.report.page import written
from tests.report.examples import HOSTILE, told

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
WIDTHS = (390, 1280)
# A page of its own origin may look into its frame, and a window cannot be as narrow as a frame.
HARNESS = """<!doctype html><title>harness</title><body style="margin:0">
<iframe id="frame" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>
<script>addEventListener("load", () => setTimeout(() => {{
  const frame = document.getElementById("frame"), page = frame.contentDocument;
  for (const one of page.querySelectorAll("details")) one.open = true;
  const heading = page.querySelector("table.sorts th button");
  const cells = () => [...heading.closest("table").tBodies[0].rows].map((row) => row.cells[0].textContent);
  const before = cells();
  heading.click(); const up = cells(); heading.click(); const down = cells();
  const colours = () => frame.contentWindow.getComputedStyle(page.documentElement).backgroundColor;
  const first = colours(); page.getElementById("theme").click(); const other = colours();
  const found = {{ width: page.documentElement.scrollWidth, title: page.title, own: document.title,
    pwned: page.querySelectorAll(".pwned").length, before, up, down, first, other,
    sorted: heading.parentElement.getAttribute("aria-sort") }};
  document.body.textContent = "found:" + btoa(encodeURIComponent(JSON.stringify(found))) + ":found";
}}, 500));</script>"""


def seen(page: str, folder: Path, width: int) -> tuple[dict[str, object], list[str]]:
    """What a frame of a width shows of a page, and what the browser's console said."""
    harness = folder / "harness.html"
    harness.write_text(HARNESS.format(width=width, page=html.escape(page)), encoding="utf-8")
    assert CHROMIUM is not None
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        "--virtual-time-budget=4000",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,1000",
        "--dump-dom",
    )
    done = subprocess.run(
        [CHROMIUM, *options, harness.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    told = re.search(r"found:([\w+/=]+):found", done.stdout)
    assert told is not None, done.stderr[-2000:]
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(_decoded(told[1])), said


def _decoded(text: str) -> str:
    from base64 import b64decode
    from urllib.parse import unquote

    return unquote(b64decode(text).decode())


def without_policy(page: str) -> str:
    """The page as a browser that knows no policy sees it, so that escaping alone protects it."""
    found, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert count == 1
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_is_run_and_all_is_within_the_window(tmp_path: Path, width: int):
    found, said = seen(written(told(*HOSTILE)), tmp_path, width)
    assert said == []
    assert "pwned" not in (found["title"], found["own"])
    assert found["pwned"] == 0
    assert found["width"] == width


def test_escaping_alone_keeps_text_from_being_run(tmp_path: Path):
    found, said = seen(without_policy(written(told(*HOSTILE))), tmp_path, 390)
    assert said == []
    assert "pwned" not in (found["title"], found["own"])
    assert found["pwned"] == 0


def test_tables_sort_and_colours_change(tmp_path: Path):
    found, _ = seen(written(told("b", "a", "c")), tmp_path, 1280)
    assert found["before"] == ["b", "a", "c"]
    assert found["up"] == ["a", "b", "c"]
    assert found["down"] == ["c", "b", "a"]
    assert found["sorted"] == "descending"
    assert found["first"] != found["other"]


def test_text_that_is_run_is_noticed(tmp_path: Path):
    page = without_policy(written(told("plain")))
    planted = page.replace("<h1>plain", f"<h1>{HOSTILE[0]}{HOSTILE[35]}<p style='width:2000px'>wide</p>plain", 1)
    found, _ = seen(planted, tmp_path, 390)
    assert found["title"] == "pwned"
    assert found["pwned"] == 1
    assert found["width"] > 390  # type: ignore[operator]


def test_a_complaint_is_noticed(tmp_path: Path):
    _, said = seen(written(told("plain")).replace("<h1>", "<script>1</script><h1>", 1), tmp_path, 390)
    assert said
