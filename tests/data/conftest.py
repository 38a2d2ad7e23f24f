"""Fixtures for the tests of what reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.data.web import Web, serving

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, with the folders above it, and return its path."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web server on this machine; whoever fetches from it does not wait long."""
    monkeypatch.setattr("fathom.data.download.PAUSE_S", 0.001)
    monkeypatch.setattr("fathom.data.transfer.TIMEOUT_S", 10.0)
    monkeypatch.setenv("no_proxy", "*")
    with serving() as found:
        yield found
