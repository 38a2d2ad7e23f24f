"""What stands in the place of a check, a repair or a note, so that a case shows what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fathom.data.delimited import column_types
from fathom.data.types import ColumnType


def data(name: str) -> str:
    """The dotted name of something in the room of data."""
    return f"fathom.data.{name}"


def never(*_: Any, **__: Any) -> bool:
    """In the place of a check that is to find nothing."""
    return False


def always(*_: Any, **__: Any) -> bool:
    """In the place of a check that is to find something."""
    return True


def nothing(*_: Any, **__: Any) -> None:
    """In the place of a check that is to refuse nothing."""


def same(value: Any, *_: Any, **__: Any) -> Any:
    """In the place of a repair."""
    return value


def no_notes(*_: Any, **__: Any) -> tuple[str, ...]:
    """In the place of what makes notes."""
    return ()


def forgetting(cells: pa.Table, names: Sequence[str], delimiter: str, **_: Any) -> dict[str, ColumnType]:
    """In the place of what heeds the options."""
    return column_types(cells, names, delimiter, missing=(), text=(), decimal="auto")
