"""Text set for a screen: its width in cells, whatever it is written in."""

from __future__ import annotations

import pytest

from fathom.typeset import aligned, cells, one_line, set_to_width, shortened, width


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(("columns", "wide"), [("200", 80), ("60", 60), ("10", 40)])
def test_the_width_is_80_or_that_of_the_terminal(columns: str, wide: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert width() == wide


@pytest.mark.parametrize(
    ("text", "count"), [("plain", 5), ("名前", 4), ("😀", 2), ("e\u0301", 1), ("שלום", 4), ("\033[1mx\033[0m", 1)]
)
def test_cells_are_counted_and_not_letters(text: str, count: int):
    assert cells(text) == count


@pytest.mark.parametrize(
    ("text", "cut"), [("x" * 9, "xxxx…"), ("名前名前", "名前…"), ("a名前x", "a名…"), ("short", "short")]
)
def test_what_is_too_long_is_cut_between_letters(text: str, cut: str):
    assert shortened(text, 5) == cut
    assert cells(cut) <= 5


def test_what_turns_lines_is_written_out():
    assert one_line("a\nb\tc\x1b[2J\u202e") == r"a\nb\tc\u001b[2J\u202e"


def test_columns_start_at_one_cell_whatever_stands_before():
    lines = aligned([("name", "role"), ("名前", "input"), ("😀!", "target"), ("plain", "ignore")]).splitlines()
    starts = {
        cells(line[: line.index(role)]) for line, role in zip(lines, ("role", "input", "target", "ignore"), strict=True)
    }
    assert starts == {7}


def test_the_last_column_is_wrapped_below_itself():
    lines = aligned([("a", "word " * 30), ("bb", "short")], indent=2).splitlines()
    assert max(map(cells, lines)) <= 80
    assert lines[0].startswith("  a   word word")
    assert lines[1].startswith("      word")
    assert lines[-1] == "  bb  short"


def test_a_column_that_leaves_no_room_has_the_last_one_below():
    lines = aligned([(f"fathom predict {'x' * 60}", "predict other rows")], indent=2).splitlines()
    assert lines == [f"  fathom predict {'x' * 60}", "        predict other rows"]


def test_wide_lines_are_broken_and_others_are_let_be():
    text = "note: " + "word " * 20 + "\n  a   table   row"
    lines = set_to_width(text).split("\n")
    assert max(map(cells, lines)) <= 80
    assert lines[0].startswith("note: word")
    assert lines[1].startswith("  word")
    assert lines[-1] == "  a   table   row"


def test_a_word_is_never_broken():
    assert set_to_width(f"see {'x' * 100} there").split("\n") == ["see", f"  {'x' * 100}", "  there"]


def test_wide_letters_count_twice_when_lines_are_broken():
    assert all(cells(line) <= 80 for line in set_to_width("名前 " * 40).split("\n"))
