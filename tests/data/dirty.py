"""What a case of a dirty source is, and how it is tried."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fathom.api.rows import prepare
from fathom.config import Config
from fathom.data import Source, read
from fathom.errors import InputError

LIMIT_S = 5.0
"""Of the process's own time: what else a machine does is no fault of a reader's."""


@dataclass(frozen=True)
class Case:
    """One dirty source, what must become of it, and what a reader must lack to fail.

    Attributes:
        name: of the test.
        make: writes the source into an empty folder and returns what ``read`` takes.
        without: dotted name of what the reader loses, to what stands there instead; the case must then fail.
        reads: the values of columns of the training part, where it is read.
        notes: a pattern that one of the source's notes, or a line that ``fit`` says, matches.
        refused: a pattern of the message, where it is refused.
        options: of the reader.
        target: where it is given, the rows are also prepared for training, as ``fit`` does.
        test: writes test rows and returns what ``read`` takes.
        asked: further keys of the Config.
    """

    name: str
    make: Callable[[Path], Any]
    without: Mapping[str, Any]
    reads: Mapping[str, list[Any]] | None = None
    notes: str | None = None
    refused: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    test: Callable[[Path], Any] | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)


def attempt(case: Case, folder: Path) -> None:
    """Read a case; an AssertionError says what became of it instead of what must."""
    made = case.make(folder)
    test = None if case.test is None else case.test(folder)
    before = sorted(folder.rglob("*"))
    started = time.process_time()
    said: list[str] = []
    try:
        source = read(made, **case.options)
        said += source.notes
        if case.target is not None:
            config = Config.of({"target": case.target, **case.asked})
            rows = prepare(source, None if test is None else read(test, **case.options), config, said.append)
            source = rows.source
    except InputError as error:
        message = str(error)
        assert case.refused is not None, f"refused: {message}"
        assert "\n" not in message, f"more than one line: {message}"
        assert re.search(case.refused, message), f"other words: {message}"
    else:
        assert case.refused is None, f"read in silence: {source.parts['train'].slice(0, 3).to_pylist()}"
        check_read(case, source, said)
    assert time.process_time() - started < LIMIT_S
    assert sorted(folder.rglob("*")) == before, "something was left behind"


def check_read(case: Case, source: Source, said: list[str]) -> None:
    table = source.parts["train"]
    for name, values in (case.reads or {}).items():
        assert name in table.column_names, table.column_names
        found = table[name].to_pylist()
        assert (found, list(map(type, found))) == (values, list(map(type, values)))
    if case.notes is not None:
        assert any(re.search(case.notes, line) for line in said), f"said only: {said}"


def knock_out(case: Case, patch: pytest.MonkeyPatch) -> None:
    """Take from the reader what the case needs."""
    for dotted, replacement in case.without.items():
        patch.setattr(dotted, replacement)
