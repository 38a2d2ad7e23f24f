"""fathom evaluate on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import numpy as np
import pytest

from fathom.cli.commands import fathom

QUICK = ("--budget", "100steps", "--set", "measure=false", "--set", "baseline=false", "--net", "mlp", "--folds", "0")
SECRET = "Ada\x1b[2JLovelace"


def command(*arguments: object) -> str:
    found = click.testing.CliRunner().invoke(fathom, [str(argument) for argument in arguments])
    if found.exception is not None:
        raise found.exception
    return found.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of which the network can know nothing where the city is Ulm, and a run on them."""
    folder, draw = tmp_path_factory.mktemp("cli"), np.random.default_rng(0)
    x, city = draw.normal(size=1500), draw.choice(["Bonn", "Ulm"], 1500, p=[0.8, 0.2])
    y = np.where((city == "Ulm") & (draw.random(1500) < 0.5), x <= 0, x > 0)
    lines = [
        f"{a:.4f},{b},{'yes' if c else 'no'},{SECRET} {k}" for k, (a, b, c) in enumerate(zip(x, city, y, strict=True))
    ]
    (folder / "data.csv").write_text("\n".join(["x,city,a_very_long_name_of_a_target_column_indeed,name", *lines]))
    target = ("--target", "a_very_long_name_of_a_target_column_indeed", "--role", "name=ignore")
    command("fit", folder / "data.csv", *target, "--out", folder / "run", *QUICK)
    return folder


def test_all_parts_are_shown_within_eighty_columns(place):
    shown = command("evaluate", place / "run", place / "data.csv")
    for words in ("each class", "taken for another", "flagged as yes", "city = Ulm", "furthest from", "is shuffled"):
        assert words in shown
    assert shown.index("accuracy") < shown.index("each class")
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert "Ada" in shown


def test_json_keeps_its_keys_and_adds_the_evaluation(place):
    found = json.loads(command("evaluate", place / "run", place / "data.csv", "--json"))
    assert list(found) == ["run", "rows", "metrics", "evaluation", "seconds"]
    (name,) = found["metrics"]
    assert found["evaluation"]["targets"][name]["metrics"] == found["metrics"][name]
    assert found["evaluation"]["targets"][name]["slices"][0]["where"] == "city = Ulm"
    assert found["evaluation"]["importance"][0]["column"] == "x"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_private_shows_no_cell(place, form):
    arguments = ("evaluate", place / "run", place / "data.csv", *form)
    assert "Lovelace" in command(*arguments)
    hidden = command(*arguments, "--private")
    assert "Lovelace" not in hidden
    assert "city = Ulm" in hidden


def test_numbers_and_many_classes_are_shown(tmp_path):
    draw = np.random.default_rng(1)
    x = draw.normal(size=400)
    rows = [
        f"{a:.3f},{100 + 10 * a + b:.2f},{'abcdefghijklmno'[int(c)]}"
        for a, b, c in zip(x, draw.normal(size=400), draw.integers(0, 15, 400), strict=True)
    ]
    (tmp_path / "data.csv").write_text("\n".join(["x,price,letter", *rows]))
    targets = ("--target", "price", "--target", "letter")
    command("fit", tmp_path / "data.csv", *targets, "--out", tmp_path / "run", *QUICK)
    shown = command("evaluate", tmp_path / "run", tmp_path / "data.csv")
    assert "price: truth minus prediction" in shown
    assert "letter: the 12 of 15 classes with the lowest f1" in shown
    assert max(map(len, shown.splitlines())) <= 80
