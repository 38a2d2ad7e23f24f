"""The rows of which a head is furthest from the truth, as a person looks at them."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.data.columns import holds_pictures, holds_single_values
from fathom.data.source import base_of
from fathom.errors import SourceError
from fathom.heads.answer_metrics import exactly
from fathom.heads.translation_metrics import chrf_of_rows
from fathom.kinds import KINDS
from fathom.kinds.pictures import opened, pictures_in
from fathom.model import Model
from fathom.schema import Column
from fathom.signals import Role
from fathom.trust.answered import Answered

__all__ = ["Mistake", "worst_mistakes"]

MOST_MISTAKES = 12
LARGEST_SIDE = 128  # of a picture, in pixels
MOST_CELLS, MOST_LETTERS = 60, 200
LEAST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Mistake:
    """A row that was answered wrong.

    Attributes:
        row: its number, from 0, in the source that it was read from.
        truth: the target as the table has it.
        prediction: the answer as ``predict`` gives it.
        probability: of the class that was answered, or None.
        error: prediction minus truth of a number, or None.
        chrf: of a text how near it is to the truth, in 0 to 100, or None.
        cells: the row's other columns as they were read; of a picture in a file, the file's name.
        pictures: PNG files in base64, by column.
    """

    row: int
    truth: str
    prediction: str
    probability: float | None
    error: float | None
    chrf: float | None
    cells: Mapping[str, str]
    pictures: Mapping[str, str]


def worst_mistakes(
    model: Model, answered: Answered, table: pa.Table, numbers: np.ndarray | None = None
) -> list[Mistake]:
    """At most MOST_MISTAKES rows, those first to whose truth the model gave the least.

    Args:
        model: that answered.
        answered: N rows of the table.
        table: as it was read.
        numbers: (N,) the number of each of its rows in the source; None where the table is the whole source.
    """
    surprise = _surprise(answered)
    worst = np.argsort(-surprise, kind="stable")[:MOST_MISTAKES]
    worst = worst[surprise[worst] > 0]
    if not len(worst):
        return []
    picked = answered.picked(worst)
    shown = table.take(pa.array(picked.rows))
    texts = picked.answer["text"] if picked.form == "texts" else None  # which need not be written again
    predicted = model.predict(shown)[answered.name].to_pylist() if texts is None else texts
    nearness = None if texts is None else chrf_of_rows(picked.truth, texts)
    base = base_of(table)
    pictures = _pictures(model.schema.of_role(Role.INPUT, Role.PROTECTED), shown, base)
    others = [name for name in shown.column_names if name != answered.name and _is_printed(shown[name].type)]
    return [
        Mistake(
            int(row if numbers is None else numbers[row]),
            _printed(shown[answered.name][k].as_py()),
            _prediction(picked, k, predicted[k]),
            float(picked.answer["probability"][k].max()) if picked.form == "classes" else None,
            _error(picked, k),
            None if nearness is None else float(nearness[k]),
            {name: _printed(shown[name][k].as_py(), base) for name in others[:MOST_CELLS]},
            {name: files[k] for name, files in pictures.items() if files[k]},
        )
        for k, row in enumerate(picked.rows)
    ]


def _surprise(answered: Answered) -> np.ndarray:
    """(N,) how little the answer gave to the truth; 0 where it is right, or of a form that is neither."""
    if answered.form == "classes":
        probability = np.pad(np.asarray(answered.answer["probability"], np.float64), ((0, 0), (0, 1)))
        given = np.take_along_axis(probability, answered.truth[:, None], axis=1)[:, 0]
        return np.where(answered.guess == answered.truth, 0.0, -np.log(np.maximum(given, LEAST_PROBABILITY)))
    if answered.form == "labels":
        truth, chosen = answered.truth, answered.answer["chosen"].astype(bool)
        there, likely = truth[:, :-1] > 0, np.asarray(answered.answer["probability"], np.float64)
        given = np.where(there, likely, 1 - likely)
        right = (there == chosen).all(axis=1) & (truth[:, -1] == 0)
        never = -np.log(LEAST_PROBABILITY) * truth[:, -1]
        return np.where(right, 0.0, never - np.log(np.maximum(given, LEAST_PROBABILITY)).sum(axis=1))
    if answered.form in ("numbers", "quantiles"):
        gaps = np.abs(answered.answer["value"] - answered.truth).reshape(len(answered), -1)
        return np.nanmean(gaps, axis=1)
    if answered.form == "texts":
        return 100 - chrf_of_rows(answered.truth, answered.answer["text"])
    if answered.form == "found":  # the surest of the wrong ones first
        right = exactly(answered.truth, answered.answer["text"])
        return np.where(right, 0.0, np.maximum(answered.answer["chance"], LEAST_PROBABILITY))
    return np.zeros(len(answered))


def _prediction(answered: Answered, place: int, value: Any) -> str:
    """The answer in words; values that were not told apart in training are null, and go by the name of their class."""
    if value is None and answered.form == "classes":
        return answered.classes[answered.guess[place]]
    return f"{value:.6g}" if isinstance(value, float) else _printed(value)


def _error(answered: Answered, place: int) -> float | None:
    if answered.form not in ("numbers", "quantiles"):
        return None
    gap = np.ravel(answered.answer["value"][place] - answered.truth[place])
    return float(gap[0]) if len(gap) == 1 else None


def _is_printed(kind: pa.DataType) -> bool:
    return holds_single_values(kind) or pa.types.is_list(kind) or holds_pictures(kind)


def _printed(value: Any, base: str = "") -> str:
    """A cell in words; a picture's file is named as it stands below the folder of the source."""
    if isinstance(value, Mapping):
        path = value["path"]
        value = os.path.relpath(path, base) if path and base and os.path.isabs(path) else path
    words = "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 1]}…"


def _pictures(columns: Sequence[Column], table: pa.Table, base: str) -> dict[str, list[str]]:
    """Of each column of pictures one PNG a row, empty where there is none."""
    found = {}
    for column in columns:
        if column.kind.name == "image" and column.name in table.column_names:
            cells = KINDS.get("image").factory.locate(table[column.name], base) if base else table[column.name]
            found[column.name] = [_as_png(picture) for picture in pictures_in(cells)]
    return found


def _as_png(picture: Any) -> str:
    if picture is None:
        return ""
    try:
        image = opened(picture)
    except SourceError:
        return ""
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
