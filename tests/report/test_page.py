"""The page: no text becomes markup, the same run gives the same bytes, and every part may be missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from fathom.report.figures import Figures
from fathom.report.page import Told, written
from tests.report.examples import HOSTILE, SECRET, png, told

MOST_BYTES = 2_000_000
PARTS = {
    "evaluation": None,
    "depths": (),
    "symptoms": (),
    "filters": (),
    "patches": (),
    "texts": None,
    "findings": None,
    "folds": None,
    "cost": None,
    "scores": {},
    "logs": (),
    "rows": {},
}
TEXT_ATTRIBUTES = {"aria-label", "alt", "title"}


class Markup(HTMLParser):
    """The elements of a page in order with their attributes, but for the words of attributes that hold words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = [(key, "" if key in TEXT_ATTRIBUTES else value) for key, value in attrs]
        self.found.append((tag, tuple(kept)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def of_one_shape(texts: tuple[str, ...]) -> tuple[str, ...]:
    """As many harmless names, of the same lengths, by which the drawing of classes is laid out."""
    return tuple(f"{k}".ljust(len(text), "x") for k, text in enumerate(texts))


def markup(page: Told) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    return Markup(written(page)).found


@pytest.fixture(scope="module")
def plain() -> str:
    """A page of harmless names."""
    return written(told())


@pytest.fixture(scope="module")
def hostile() -> str:
    """A page of names that would be markup."""
    return written(told(*HOSTILE))


@pytest.fixture(scope="module")
def harmless() -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    """What stands on a page whose names are harmless, and as long as the hostile ones."""
    return markup(told(*of_one_shape(HOSTILE)))


def test_no_element_and_no_attribute_comes_from_text(hostile: str, harmless: list):
    """60 texts that would be markup, in every name, word and cell of the page, leave it as harmless ones do."""
    assert len(set(HOSTILE)) == 60
    assert Markup(hostile).found == harmless


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_alone_becomes_no_markup_wherever_it_stands(text, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Figures, "_drawn", lambda self, draw: "")  # no text of the page's enters a figure
    assert markup(told(text)) == markup(told(*of_one_shape((text,))))


def test_what_becomes_markup_is_noticed(harmless: list, monkeypatch: pytest.MonkeyPatch):
    from fathom.report import page

    page._environment.cache_clear()
    monkeypatch.setattr("jinja2.Environment", _unescaped)
    try:
        assert markup(told(*HOSTILE)) != harmless
    finally:
        page._environment.cache_clear()


def _unescaped(**options: object) -> object:
    from jinja2.environment import Environment

    return Environment(**(options | {"autoescape": False}))  # type: ignore[arg-type]


def test_texts_are_shown_as_they_are(hostile: str):
    shown = "".join(Markup(hostile).text)
    for text in HOSTILE:
        if text.isprintable() and len(text) < 60:
            assert text in shown


def test_the_page_names_no_address_and_lets_one_script_run(plain: str):
    targets = re.findall(r"""\b(?:src|href)=["']?([^\s"'>]+)""", plain)
    assert [one for one in targets if not one.startswith(("#", "data:"))] == []
    addresses = {*re.findall(r"https?://[^\"'\s<]+", plain)}
    assert addresses == {"http://www.w3.org/1999/xlink"}, "the name of a language, which nobody fetches"
    assert plain.count("<script") == 1
    assert "default-src 'none'" in plain


def test_the_same_run_gives_the_same_bytes(hostile: str):
    assert written(told(*HOSTILE)) == hostile


def test_no_name_stands_twice_in_a_page(plain: str):
    names = re.findall(r'\bid="([^"]+)"', plain)
    assert len(names) == len(set(names)) > 20


def test_headings_follow_each_other_in_order(plain: str):
    levels = [int(tag[1]) for tag, _ in Markup(plain).found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_every_figure_has_words_for_who_does_not_see_it(plain: str):
    figures = re.findall(r"<figure.*?</figure>", plain, re.DOTALL)
    assert len(figures) >= 8
    assert 'aria-label="plain: confusion matrix of 3 classes"' in plain
    assert all(re.search(r'role="img"\s+aria-label="[^"]+"', figure) for figure in figures)
    assert all('alt="' in image for image in re.findall(r"<img[^>]*>", plain))


def test_a_long_name_is_cut_in_its_middle_and_stands_whole_in_its_title():
    long = [f"column {k} " + "x" * 200 + f" of channel {k}" for k in range(4)]
    page = written(told(*long))
    for name in long:
        cells = re.findall(r'<span class="name" title="([^"]*)">([^<]*)</span>', page)
        assert (name, f"{name[:31]}…{name[-31:]}") in cells
    assert "title=" not in written(told("short")).partition("<h3>Columns")[2].partition("</table>")[0]


def test_a_private_page_holds_no_cell_and_no_picture_of_a_row(plain: str):
    private = written(told(private=True))
    assert SECRET in plain
    assert png() in plain
    for secret in (SECRET, png(), "rows 7, 8", "row 4", "answered by filter"):
        assert secret not in private
    assert "truth less prediction" in private.lower()
    assert "This page is private" in private
    # The points of the scatter are rows, too.
    without_texts = written(told(texts=None)), written(told(texts=None, private=True))
    shown, kept = (len(re.findall("<figure", page)) for page in without_texts)
    assert kept == shown - 1


@pytest.mark.parametrize("part", PARTS)
def test_any_part_may_be_missing(part):
    page = written(told(**{part: PARTS[part]}))
    assert Markup(page).found
    for id in ("asked", "data", "network", "learning", "scores", "mistakes", "depths", "cost", "repeat"):
        assert f'<section id="{id}">' in page


def test_all_parts_may_be_missing_at_once():
    page = written(told(**PARTS))
    assert "No rows were held out" in page
    assert "Not measured." in page


def test_a_large_run_fits_into_two_megabytes():
    draw = np.random.default_rng(0)
    columns = [(f"column {k}", "input", "number", "decimals") for k in range(5_000)]
    pictures = {f"p{k}": png(64) * 20 for k in range(40)}
    evaluation = told().evaluation
    assert evaluation is not None
    targets = evaluation["targets"]
    for one in targets.values():
        one["mistakes"] = [{**one["mistakes"][0], "pictures": pictures}] * 12
    values = draw.normal(size=1_000).tolist()
    targets["a number"]["residuals"] |= {"truth": values, "prediction": values[::-1]}
    page = written(told(columns=columns, evaluation=evaluation))
    assert len(page.encode()) < MOST_BYTES
    assert "pictures are left out" in page
    assert "4,600 more columns" in page


def test_the_first_words_say_what_the_network_is_worth():
    page = written(told("churn"))
    first = page.index(
        "it gets 0.8 [0.7, 0.9] of 20 rows right, where a linear model gets 0.75 and the usual class 0.6."
    )
    assert first < page.index("What to look at first") < page.index('<section id="asked">')


def test_a_curve_of_one_point_is_seen():
    records = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    one, two = (Figures().curve([records[:count]], "loss", "loss") for count in (1, 2))
    assert [len(re.findall(r"<use[^>]*--accent", figure)) for figure in (one, two)] == [1, 0]


def test_one_row_is_no_rows():
    assert "On 1 row that" in written(told(scored=1, folds=None))
    assert "On 2 rows that" in written(told(scored=2, folds=None))


def test_an_answer_beside_its_source_and_its_truth_is_told_with_its_nearness():
    page = written(told())
    assert "chrF" not in page
    target = {"kind": "text", "metrics": {}, "slices": []}
    mistake = {"row": 3, "truth": "<b>right</b>", "prediction": " ", "chrf": 12.5, "cells": {"de": "links"}}
    page = written(told(evaluation={"rows": 4, "targets": {"en": {**target, "mistakes": [mistake]}}, "importance": []}))
    assert "row 3</b>: chrF 12.5" in page
    assert "&lt;b&gt;right&lt;/b&gt;" in page
