"""Runs what a page shows, in order, and compares what is printed; a training is short, so its figures may differ."""

from __future__ import annotations

import io
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from doctest import DocTestParser
from pathlib import Path
from typing import Any

import pytest

from fathom.cli import main

SHORT = ("--budget", "20steps")
HOME = "/home/ada"
NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
NEAR = 0.06  # absolutely or relatively, of numbers that Python shows


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[tuple[str, str]]:
    """Each command of a console's block, and what is shown below it."""
    pieces = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [(piece.partition("\n")[0], piece.partition("\n")[2]) for piece in pieces]


def run_page(page: str) -> None:
    """Run every command and every line of Python of a page, in the working directory."""
    names: dict[str, Any] = {}
    for language, text in blocks(page):
        if language == "console":
            for command, expected in commands(text):
                # What another page trained may be there already.
                fits = command.startswith("fathom fit") and "fathom: error" not in expected
                again = " --overwrite" if fits and "--resume" not in command else ""
                alone = " --set baseline=false" if fits and "linear" not in expected else ""
                status, printed = typed(command + again + alone)
                assert status == (2 if "fathom: error" in expected else 0), f"{command}\n{printed}"
                missed = first_missed(expected, printed)
                assert missed is None, f"$ {command}\nnot printed: {missed}\n{printed}"
        if language == "python" and text.startswith(">>>"):
            run_lines(text, names)


def typed(command: str) -> tuple[int, str]:
    """The exit status and all that is printed when a command is typed; a training is short."""
    program, *arguments = shlex.split(command, comments=True)
    if program == "cat":
        return 0, "".join(Path(name).read_text() for name in arguments)
    assert program == "fathom", command
    if arguments[0] == "fit":
        arguments = [SHORT[1] if re.fullmatch(r"\d+(m|epochs)", word) else word for word in arguments]
        arguments += ["--set", "measure=false", *(() if "--budget" in arguments else SHORT)]
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(printed), redirect_stderr(printed), pytest.raises(SystemExit) as left:
        main(arguments)
    text = printed.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return int(left.value.code or 0), text.replace(str(Path.cwd()), HOME)


def first_missed(expected: str, printed: str) -> str | None:
    """The first shown line that was not printed after those before it.

    In a line with decimals all numbers are a training's: any will do. How far lines are indented does not matter.
    """
    lines, at = [" ".join(line.split()) for line in printed.splitlines()], 0
    for line in filter(lambda line: line and line != "...", (" ".join(line.split()) for line in expected.splitlines())):
        found = next((k for k in range(at, len(lines)) if matches(line, lines[k])), None)
        if found is None:
            return line
        at = found + 1
    return None


def matches(shown: str, printed: str) -> bool:
    if not re.search(r"\d\.\d", shown):
        return printed == shown or (shown.endswith("...") and printed.startswith(shown.removesuffix("...")))
    pattern = "".join(NUMBER if k % 2 else re.escape(piece) for k, piece in enumerate(re.split(f"({NUMBER})", shown)))
    return re.fullmatch(pattern, printed) is not None


def run_lines(text: str, names: dict[str, Any]) -> None:
    """Run lines of Python, each of which prints what is shown: words alike, numbers nearly."""
    for example in DocTestParser().get_examples(text):
        with redirect_stdout(io.StringIO()) as printed, redirect_stderr(io.StringIO()):
            exec(compile(example.source, "page", "single"), names)  # the page's own line
        assert alike(example.want, printed.getvalue()), f">>> {example.source}{example.want}but\n{printed.getvalue()}"


def alike(shown: str, printed: str) -> bool:
    """Whether two texts have the same words, and numbers that are nearly the same."""
    first, second = (re.split(f"({NUMBER})", " ".join(text.split())) for text in (shown, printed))
    if first[::2] != second[::2]:
        return False
    pairs = [
        (float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in zip(first[1::2], second[1::2], strict=True)
    ]
    return all(abs(a - b) <= NEAR * max(1.0, abs(a)) for a, b in pairs)
