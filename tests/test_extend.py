"""examples/extend, which docs/extend.md shows: found as another package's things are, and held to the contracts."""

from __future__ import annotations

import importlib
import inspect
import runpy
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.nets import NETS
from fathom.registry import _load_entry_points
from tests.guide import blocks, run_page
from tests.heads import test_contract as of_heads
from tests.kinds import test_contract as of_kinds
from tests.kinds.columns import columns, fitted
from tests.nets import test_contract as of_nets

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "extend"
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
ADDED = ((NETS, "cosine_features"), (KINDS, "angle"), (HEADS, "expectile"))
SHOWN = ("cosine_features.py", "angle.py", "expectile.py", "pyproject.toml")
OF_TOKENS = "test_padding_changes_nothing"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package of examples/extend as an installer leaves it: its modules and its metadata on the path."""
    place = tmp_path_factory.mktemp("installed")
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    metadata = place / "fathom_circles-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [f"{name} = {module}" for name, module in project["entry-points"]["fathom"].items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[fathom]", *points, ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        patch.syspath_prepend(str(place))
        for registry in (NETS, KINDS, HEADS):
            registry.names()
            patch.setattr(registry, "_entries", dict(registry._entries))
        _load_entry_points.cache_clear()
        _load_entry_points()
        yield
    for module in project["entry-points"]["fathom"]:
        del sys.modules[module]
    _load_entry_points.cache_clear()


@pytest.mark.parametrize(("registry", "name"), ADDED, ids=[name for _, name in ADDED])
def test_an_entry_point_registers_the_thing(registry, name):
    assert registry.get(name).factory.__module__ == name
    assert importlib.import_module(name).__file__ == str(FOLDER / f"{name}.py")


def contracts(module: ModuleType, *wanted: str) -> list[str]:
    """The contract tests of a module that ask for these arguments, and perhaps for one more."""
    names = [name for name, test in vars(module).items() if name.startswith("test_") and inspect.isfunction(test)]
    return [
        name for name in names if tuple(inspect.signature(getattr(module, name)).parameters)[: len(wanted)] == wanted
    ]


def held(module: ModuleType, name: str, *arguments: object) -> None:
    """Run one contract test; where it has another argument, with each value that it is given."""
    test = getattr(module, name)
    more = list(inspect.signature(test).parameters)[len(arguments) :]
    for value in {"training": (True, False), "learned": ({},)}.get(more[0], ()) if more else (None,):
        test(*arguments, *([value] if more else []))


@pytest.mark.parametrize("name", [name for name in contracts(of_nets, "entry") if name != OF_TOKENS])
def test_the_net_keeps_the_contract(name):
    held(of_nets, name, NETS.get("cosine_features"))


@pytest.mark.parametrize("name", contracts(of_heads, "one"))
def test_the_head_keeps_the_contract(name):
    cells = (columns()["floats"].slice(0, of_heads.ROWS),)
    held(of_heads, name, of_heads.Asked(HEADS.get("expectile"), "floats", (fitted("number", cells[0]),), cells))


@pytest.mark.parametrize("name", contracts(of_kinds, "kind", "sort"))
def test_the_kind_keeps_the_contract(name):
    held(of_kinds, name, "angle", "whole numbers")


def test_the_page_shows_the_files_as_they_are():
    shown = [text for language, text in blocks(PAGE) if language in ("python", "toml")]
    assert shown == [(FOLDER / name).read_text() for name in SHOWN]


def test_the_page_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(FOLDER / "wind.py"))
    run_page(PAGE)


def test_an_angle_comes_back_and_359_is_beside_1():
    degrees = pa.chunked_array([[0.0, 1.0, 90.0, 359.0]])
    kind = fitted("angle", degrees)
    encoded = kind.encode(degrees)[""]
    assert float((encoded[1] - encoded[3]).norm()) < 0.04
    np.testing.assert_allclose(kind.decode({"value": encoded.numpy()})[""].to_numpy(), [0, 1, 90, 359], atol=1e-4)


def test_contracts_are_found():
    assert len(contracts(of_nets, "entry")) > 10
    assert len(contracts(of_heads, "one")) > 10
    assert len(contracts(of_kinds, "kind", "sort")) > 10
