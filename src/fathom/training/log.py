"""The run's log: values in one file, bit for bit repeatable, and times in another."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["RunLog"]

VALUES, TIMES = "log.jsonl", "times.jsonl"


class RunLog:
    """Appends lines of JSON to ``log.jsonl`` and ``times.jsonl``; without a directory it keeps nothing.

    Args:
        directory: the run's directory, or None.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def write(self, values: Mapping[str, Any], times: Mapping[str, float]) -> None:
        if self._directory is None:
            return
        for name, fields in ((VALUES, values), (TIMES, {"step": values["step"], **times})):
            with open(self._directory / name, "a", encoding="utf-8") as file:
                file.write(json.dumps(fields) + "\n")

    def place(self) -> list[int]:
        """How many bytes of values and of times there are, once they have reached the disk."""
        return [] if self._directory is None else [_synced_size(self._directory / name) for name in (VALUES, TIMES)]

    def rewind(self, place: list[int]) -> None:
        """Forget what was written after ``place``; a resumed run writes it again."""
        for name, size in zip((VALUES, TIMES), place or (0, 0), strict=True):
            if self._directory is not None and (self._directory / name).exists():
                os.truncate(self._directory / name, size)


def _synced_size(path: Path) -> int:
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)
