"""What the cases of dirty files are made with: files, and what stands in the place of a check."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.delimited import column_types
from fathom.data.types import ColumnType

Make = Callable[[Path], Path]


def never(*_: Any, **__: Any) -> bool:
    """In the place of a check that is to find nothing."""
    return False


def always(*_: Any, **__: Any) -> bool:
    """In the place of a check that is to find something."""
    return True


def nothing(*_: Any, **__: Any) -> None:
    """In the place of a check that is to refuse nothing."""


def no_notes(*_: Any, **__: Any) -> tuple[str, ...]:
    """In the place of what makes notes."""
    return ()


def file(content: str | bytes, name: str = "t.csv", encoding: str = "utf-8") -> Make:
    """What writes a file of this content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
        return path

    return make


def packed(content: str, name: str) -> Make:
    """What writes a file packed with gzip."""
    return file(gzip.compress(content.encode()), name)


def data(name: str) -> str:
    """The dotted name of something in the room of data."""
    return f"fathom.data.{name}"


def forgetting(cells: pa.Table, names: Sequence[str], delimiter: str, **_: Any) -> dict[str, ColumnType]:
    """In the place of what heeds the options."""
    return column_types(cells, names, delimiter, missing=(), text=(), decimal="auto")


def column(*cells: str, quoted: bool = False, delimiter: str = ",") -> Any:
    """What writes a table of these cells, and beside them a column of words."""
    marks = '"' if quoted else ""
    rows = [f"x{delimiter}word", *(f"{marks}{cell}{marks}{delimiter}w{k}" for k, cell in enumerate(cells))]
    return file("\n".join(rows) + "\n")
