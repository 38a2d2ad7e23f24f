"""The run's log: values in one file, bit for bit repeatable, and times in another."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["DEPTHS", "FILES", "RunLog"]

VALUES, TIMES, DEPTHS = "log.jsonl", "times.jsonl", "depths.jsonl"
FILES = (VALUES, TIMES, DEPTHS)
SHORTER_PLACES = (0, 2)  # of a run without a checkpoint, and of one from before there were depths


class RunLog:
    """Appends lines of JSON to a run's files of values, times and depths; without a directory it keeps nothing.

    Args:
        directory: the run's directory, or None.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def write(self, values: Mapping[str, Any], times: Mapping[str, float]) -> None:
        self._append(VALUES, values)
        self._append(TIMES, {"step": values["step"], **times})

    def write_depths(self, record: Mapping[str, Any]) -> None:
        """Note what ``diagnostics.Depths`` saw of the layers in a step."""
        self._append(DEPTHS, record)

    def place(self) -> list[int]:
        """How many bytes of each file there are, once they have reached the disk."""
        return [] if self._directory is None else [_synced_size(self._directory / name) for name in FILES]

    def rewind(self, place: list[int]) -> None:
        """Forget what was written after ``place``; a resumed run writes it again."""
        sizes = [*place, *[0] * (len(FILES) - len(place))] if len(place) in SHORTER_PLACES else place
        for name, size in zip(FILES, sizes, strict=True):
            if self._directory is not None and (self._directory / name).exists():
                os.truncate(self._directory / name, size)

    def _append(self, name: str, fields: Mapping[str, Any]) -> None:
        if self._directory is not None:
            with open(self._directory / name, "a", encoding="utf-8") as file:
                file.write(json.dumps(fields) + "\n")


def _synced_size(path: Path) -> int:
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)
