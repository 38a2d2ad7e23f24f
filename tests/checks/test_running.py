"""Which checks run, what is left out, and what is said before a training."""

from __future__ import annotations

import numpy as np
import pytest

from fathom.checks import CHECKS, Finding, brief, checked_choices, run_checks
from fathom.checks.check import SEVERITIES, option, percent
from fathom.errors import ConfigError, listed
from fathom.registry import Entry


def leaky(random: np.random.Generator) -> dict[str, np.ndarray]:
    label = random.integers(0, 2, 300)
    return {"copy": label.astype(str), "x": random.normal(size=300), "y": label}


def test_every_thorough_check_says_how_long_it_takes():
    assert {entry.name for entry in CHECKS if entry.facts["cost"] == "thorough"} == {
        entry.name for entry in CHECKS if "seconds" in entry.facts
    }


def test_every_check_says_what_it_needs():
    allowed = {"inputs", "target", "parts", "pictures"}
    assert all(set(entry.facts["needs"]) <= allowed and entry.summary for entry in CHECKS)


def test_a_check_is_left_out_where_it_is_not_wanted(examine, random):
    examined = examine(leaky(random), "y")
    assert "leaks" in {finding.check for finding in run_checks(examined)}
    assert "leaks" not in {finding.check for finding in run_checks(examined, asked={"leaks": False})}


def test_an_option_reaches_its_check(examine, random):
    examined = examine({"x": random.normal(size=200), "y": np.where(np.arange(200) < 60, "a", "b")}, "y")
    assert run_checks(examined, limit_s=0, asked={"labels": False}) == ()
    (found,) = run_checks(examined, limit_s=0, asked={"imbalance": {"ratio": 2.0}, "labels": False})
    assert found.check == "imbalance"


@pytest.mark.parametrize(
    "asked", [{"leeks": False}, {"leaks": {"most": 1.0}}, {"leaks": {"classes": 2.0}}, {"leaks": "no"}]
)
def test_what_no_check_has_is_refused(asked):
    with pytest.raises(ConfigError):
        checked_choices(asked)


def test_what_takes_too_long_is_left_out_and_said(examine, random):
    examined = examine(leaky(random), "y")
    found = [finding for finding in run_checks(examined, limit_s=0.0) if finding.check == "labels"]
    assert [finding.message for finding in found] == ["labels were not looked at, which takes about 1 s"]
    assert not [f for f in run_checks(examined) if "not looked at" in f.message]


def test_the_gravest_stand_first(examine, random):
    data = {"copy": ["a"] * 100, "grows": np.arange(100), "y": ["a"] * 100}
    order = [SEVERITIES.index(finding.severity) for finding in run_checks(examine(data, "y", copy="input"), limit_s=0)]
    assert order == sorted(order)
    assert len(set(order)) == 3
    rows = {**leaky(random), "z": random.normal(size=300)}
    twice = {name: np.concatenate([cells, cells[:30]]) for name, cells in rows.items()}
    found = run_checks(examine(twice, "y"), limit_s=0, asked={"labels": False})
    assert [finding.check for finding in found] == ["leaks", "copies"]


def test_one_row_and_no_input_are_nothing_to_look_at(examine):
    assert run_checks(examine({"x": [1.0], "y": [2.0]}, "y")) == ()
    assert run_checks(examine({"x": [None, None], "y": [2.0, 3.0]}, "y"), limit_s=0)[0].check == "constants"


def test_before_a_training_grave_findings_are_said_and_others_counted():
    findings = [Finding("leaks", "warning", "a tells b", "leave it out"), Finding("copies", "note", "two copies")]
    assert list(brief(findings)) == ["warning: a tells b (leave it out)", "fathom check shows 1 finding of less weight"]
    assert list(brief([])) == []


def test_of_very_many_rows_some_are_looked_at_and_their_numbers_are_those_of_the_source(examine, random, monkeypatch):
    monkeypatch.setattr("fathom.checks.examined.MOST_ROWS", 100)
    monkeypatch.setattr("fathom.checks.examined.FEWEST_ROWS", 10)
    values = random.normal(size=1000)
    values[500] = np.inf
    (found,) = [f for f in run_checks(examine({"x": values, "z": values[::-1]}), limit_s=0) if f.columns == ("x",)]
    assert found.rows == (500,)
    assert "(in 100 of 1,000 rows)" in found.message


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.004, "0.4 %"), (0.9997, "99.97 %"), (1e-9, "0.001 %")],
)
def test_a_share_never_says_none_or_all_of_what_is_neither(share, shown):
    assert percent(share) == shown


def test_options_are_written_as_a_shell_takes_them():
    assert option("role", "T (degC)=ignore") == "--role 'T (degC)=ignore'"
    assert option("missing", "-9999") == "--missing -9999"


def test_long_lists_are_cut():
    assert listed([1, 2, 3], 2) == "1, 2 and 1 more"


def test_a_flag_that_the_processor_raises_by_chance_is_no_warning(examine, random, monkeypatch):
    def divides(examined):
        yield Finding("divides", "note", str(np.zeros(1) / np.zeros(1)), "")

    entry = Entry("divides", divides, {"cost": "cheap", "needs": ()})
    monkeypatch.setattr("fathom.checks.running.CHECKS", [entry])
    assert [finding.message for finding in run_checks(examine(leaky(random), "y"))] == ["[nan]"]
