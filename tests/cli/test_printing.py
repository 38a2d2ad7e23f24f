"""What data may do to the terminal that it is shown on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fathom.cli import main
from fathom.cli.printing import harmless


def test_signs_that_a_terminal_obeys_are_written_out() -> None:
    assert harmless("a\x1b]0;x\x07\u202eb\x9bc\r\n\td") == "a\\u001b]0;x\\u0007\\u202eb\\u009bc\\u000d\n\td"
    assert harmless("\x1b[1mbold\x1b[0m") == "\x1b[1mbold\x1b[0m"


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_name_of_a_column_moves_no_cursor(
    as_json: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("\x1b]0;owned\x07\x9ba,y\n" + "".join(f"{k % 7},{'uv'[k % 2]}\n" for k in range(40)))
    with pytest.raises(SystemExit):
        main(["check", str(table), "--target", "y", *as_json])
    out = capsys.readouterr().out
    assert "u001b]0;owned" in out
    assert not set("\x1b\x07\x9b") & set(out)


def test_a_command_bears_that_nobody_listens(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
