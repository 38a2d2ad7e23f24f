"""The pages made from the registries: everything has its section on one, and what they say to type is understood."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from chapters import chapters
from sources import LINK, definition, source_page
from things import command

from fathom import read
from fathom.api.fitting import model_for
from fathom.api.rows import prepare
from fathom.cli.catalogue import described, sorts
from fathom.cli.commands import fathom
from fathom.cli.settings import config_from
from fathom.config import Config
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.kinds.beside import WITHIN, own_cells, part
from tests.kinds.columns import ROWS, columns, sorts_of

ROOT = Path(__file__).resolve().parents[1]
THINGS = [(sort.name.removesuffix("s"), name) for sort in sorts(None) for name, _ in sort.rows]


@cache
def pages() -> dict[str, str]:
    return {chapter.place: chapter.text for chapter in chapters(ROOT)}


def sections(what: str, name: str) -> list[str]:
    """Every section that stands under the anchor of a thing, over all pages."""
    section = re.compile(rf"^#+ .*\{{#{what}-{re.escape(name)}\}}\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
    return [found for page in pages().values() for found in section.findall(page)]


@pytest.mark.parametrize(("what", "name"), THINGS, ids=[f"{what} {name}" for what, name in THINGS])
def test_everything_has_one_section_with_its_words_and_its_options(what: str, name: str):
    (section,) = sections(what, name)
    found = described(what, name)
    plain = re.sub(r"[`\\]", "", section)
    assert re.sub(r"[`\\]", "", found.paragraphs[0]) in plain
    for option in found.options.values():
        assert f"{option.name} = {option.default_text}" in plain


def test_a_thing_that_no_page_has_is_noticed():
    assert sections("net", "no such net") == []


def asked_of(line: str) -> Config:
    """What a ``fathom fit`` asks for, checked before any data is read."""
    _, verb, *arguments = shlex.split(line)
    with fathom.commands[verb].make_context(verb, arguments) as context:
        return Config.of(config_from(context.params))


@cache
def rows_of(target: str):
    """Rows with an input of each kind that can come in, and a target with the text that it reads, if it does."""
    kinds = {entry.name: entry.name for entry in KINDS if "entry" in entry.facts}
    found = {name: columns()[sorts_of(kind)[0]] for name, kind in kinds.items()}
    if target != "none":
        cells, kinds["y"] = columns()[sorts_of(target)[0]], target
        found["y"] = own_cells(cells)
        if KINDS.get(target).facts.get("reads"):
            found["words"], kinds["words"] = part(cells, WITHIN), "text"
    source = pa.table(found)
    asked = Config.of({"target": "none" if target == "none" else "y", "kinds": kinds, "valid": 0.0, "test": 0.0})
    return prepare(read(source), None, asked, lambda line: None)


COMMANDS = [(what, name, line) for what, name in THINGS if (line := command(what, name)) and " fit DATA" in line]


@pytest.mark.parametrize(("what", "name", "line"), COMMANDS, ids=[line for *_, line in COMMANDS])
def test_a_command_of_the_reference_is_understood(what: str, name: str, line: str):
    asked = asked_of(line)
    if what in ("net", "head"):
        target = HEADS.get(name).facts["target"] if what == "head" else "number"
        model = model_for(rows_of("none" if "none" in asked.target else target).schema, asked, ROWS)
        named = [net.name for chain in model.layout.branches.values() for net in chain]
        named += [part.name for part in (model.layout.body, *model.layout.heads.values()) if part is not None]
        assert name in named


def test_a_kind_s_page_shows_its_tensors_and_its_way_back():
    page = pages()["reference/kinds/category.md"]
    assert "cells    ['red', 'blue', missing, 'red']\ntensor   (4, 1) int64\n         [2]\n         [1]" in page
    assert "value 'red'" in page


def test_links_to_the_source_lead_to_what_they_name():
    found = [link for page in pages().values() for link in LINK.findall(page)]
    assert len(found) > 50
    for path in set(found):
        assert (ROOT / path).is_file(), path
    path = ROOT / "src/fathom/nets/mlp.py"
    line = definition(path, "MLP")
    assert line is not None
    assert path.read_text().splitlines()[line - 1].startswith("class MLP")
    assert definition(path, "Nothing") is None
    assert "class MLP" in source_page(ROOT, "src/fathom/nets/mlp.py")
