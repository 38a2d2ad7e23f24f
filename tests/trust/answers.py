"""Answers made up for tests: classes and numbers, with rows to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from fathom.schema import Schema
from fathom.trust.answered import Answered
from fathom.trust.conditions import Coded, coded_columns


def of_classes(truth: np.ndarray, probability: np.ndarray, **given: Any) -> Answered:
    names = tuple("abcdefghijklmnopqrstuvwxyz"[: probability.shape[1]])
    fields = {"weight": None, "rows": np.arange(len(truth)), "groups": None, "classes": names}
    return Answered("y", "classes", truth=truth, answer={"probability": probability}, **{**fields, **given})


def of_numbers(truth: np.ndarray, value: np.ndarray, **given: Any) -> Answered:
    fields: dict[str, Any] = {"weight": None, "rows": np.arange(len(truth)), "groups": None}
    return Answered("y", "numbers", (), truth, {"value": value}, **{**fields, **given})


def coded(table: pa.Table, fewest: int = 20, **roles: str) -> list[Coded]:
    """The columns of a table as conditions cut them."""
    return list(coded_columns(Schema.infer(table, [], roles=roles), table, fewest))
