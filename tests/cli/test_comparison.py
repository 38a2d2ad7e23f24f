"""fathom compare, --ensemble and --folds on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import pytest

from fathom.cli.commands import fathom
from fathom.errors import InputError

QUICK = ("--budget", "60steps", "--set", "measure=false", "--set", "baseline=false")


def command(*arguments: object) -> click.testing.Result:
    found = click.testing.CliRunner().invoke(fathom, [str(argument) for argument in arguments])
    if found.exception is not None:
        raise found.exception
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    command("fit", "digits", "--net", "linear", "--out", folder / "weak", *QUICK, "--budget", "3steps")
    command(
        "fit", "digits", "--net", "mlp", "--ensemble", 2, "--out", folder / "strong", *QUICK, "--budget", "200steps"
    )
    return folder


def test_compare_says_which_is_better_and_by_how_much(place):
    out = command("compare", place / "weak", place / "strong").output
    assert "by accuracy, B is better than A" in out
    assert "McNemar" in out
    out = command("compare", place / "weak", place / "weak").output
    assert "within noise" in out
    assert "is better" not in out


def test_compare_prints_json(place):
    found = json.loads(command("compare", place / "weak", place / "strong", "--json").stdout)
    assert found["runs"] == [str(place / "weak"), str(place / "strong")]
    first = found["targets"]["digit"]["accuracy"]["differences"][0]
    assert first["better"] == str(place / "strong")
    assert first["p"] < 0.05 < first["low"] + 1


def test_the_last_place_may_be_data(place):
    out = command("compare", place / "weak", place / "strong", "digits", "--json").stdout
    assert json.loads(out)["rows"] == 1797


def test_folds_are_told_as_mean_and_deviation_and_together(tmp_path):
    done = command("fit", "iris", "--folds", 3, "--out", tmp_path / "run", *QUICK)
    assert "over 3 folds" in done.output
    assert "±" in done.output
    found = json.loads(command("fit", "iris", "--folds", 3, "--out", tmp_path / "json", *QUICK, "--json").stdout)
    assert len(found["folds"]["each"]) == 3
    assert found["folds"]["rows"] > found["rows"]
    assert max(map(len, done.output.splitlines())) < 200


def test_an_ensemble_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="ensemble = 0 is out of range"):
        command("fit", "iris", "--ensemble", 0, "--out", tmp_path / "run")
