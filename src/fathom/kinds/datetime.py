"""Dates and times: parts of the calendar, and the time that has passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.data.columns import holds_text
from fathom.errors import SchemaError
from fathom.kinds.dates import (
    DAY_FIRST,
    FIRST_MOMENT,
    FORMATS,
    ISO,
    LAST_MOMENT,
    MICROSECONDS_A_DAY,
    MONTH_FIRST,
    UNITS,
    Moments,
    may_be_dates,
    moments_of_text,
    moments_of_type,
    present,
)
from fathom.kinds.kind import KINDS, Claim, Kind, Statistics
from fathom.kinds.moments import count_numbers, fit_numbers, merge_numbers, number_spec
from fathom.signals import DatetimeSpec, Ragged

__all__ = ["Datetime"]

ALMOST_ALL = 0.9  # of the cells are dates: then the others are mistakes, not another kind
SAMPLED_CELLS = 100
PARTS = ("year", "month", "day", "weekday", "hour", "minute")
SECOND = "second of the day"
TYPED = "typed"  # the format of a column that is no text


@KINDS.register("datetime", packed=True, entry="calendar", head="regress_time", rebuild="regress_time")
class Datetime(Kind):
    """A moment: dates, timestamps, or strings that are all dates of one format.

    Missing is NaN. Offsets from UTC are taken off, so that all moments stand in UTC.

    Args:
        state: what ``fit`` returned.
        dayfirst: whether 01/02/2026 is the first of February, where no cell of the column shows it.
        unit: of whole numbers, what they count since 1970.
    """

    def __init__(
        self,
        state: Statistics,
        *,
        dayfirst: bool | None = None,
        unit: Literal["s", "ms", "us", "ns"] = "s",
    ) -> None:
        formats = state["formats"]
        name = _chosen(list(formats), dayfirst, unit)
        super().__init__({"missing": state["missing"], "formats": {name: formats[name]}})
        self._unit = unit
        self._format, self._fitted = name, formats[name]
        self._parts = [part for part in PARTS if _varies(self._fitted["parts"].get(part))]

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return Claim(0.9, f"{'times' if pa.types.is_timestamp(column.type) else 'dates'} of type {column.type}")
        if not holds_text(column.type):
            return None
        few = column.slice(0, SAMPLED_CELLS)
        if not may_be_dates(few) or not any(moments_of_text(few, name).known.any() for name in FORMATS):
            return None
        return _text_claim(column)

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        there = _there(column)
        statistics = {"missing": int((~there).sum()), "formats": None}
        if not there.any():
            return statistics
        weights = np.ones(len(there)) if weight is None else np.asarray(weight, dtype=np.float64)
        fitting = {name: found for name, found in _readings(column).items() if _fits(found, there)}
        if not fitting:
            raise SchemaError(_no_format(column, there))
        return {**statistics, "formats": {name: _counted(found, weights) for name, found in fitting.items()}}

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        missing = first["missing"] + second["missing"]
        if first["formats"] is None or second["formats"] is None:
            return {"missing": missing, "formats": second["formats"] if first["formats"] is None else first["formats"]}
        pairs = {name: (one, second["formats"].get(name)) for name, one in first["formats"].items()}
        shared = {name: _merged(a, b) for name, (a, b) in pairs.items() if b is not None and a["zoned"] == b["zoned"]}
        if not shared:
            forms = [" or ".join(part["formats"]) for part in (first, second)]
            raise SchemaError(f"one part of the rows holds dates such as {forms[0]}, another such as {forms[1]}")
        return {"missing": missing, "formats": shared}

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        formats = statistics["formats"] or {TYPED: _counted(moments_of_type(_NOTHING, "s"), np.ones(1))}
        return {"missing": statistics["missing"], "formats": {name: _fit(one) for name, one in formats.items()}}

    @property
    def spec(self) -> DatetimeSpec:
        first_year, last_year = self._fitted["parts"].get("year", (0, 0))
        days = {**self._fitted["days"], "missing": [self.state["missing"]], "shift": [float(self._first_day)]}
        return DatetimeSpec(
            count=1,
            parts=(tuple(self._parts),),
            span=(max((self._fitted["last"] - self._fitted["first"]) / MICROSECONDS_A_DAY, 1 / 86_400),),
            years=((float(first_year), float(last_year)),),
            elapsed=number_spec(days),
        )

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is (N, 2 + parts) float32.

        The first two numbers are whole days since the earliest training row's, and seconds since midnight: apart,
        because float32 would lose the seconds of decades. The parts follow as the calendar counts them.
        """
        found, there = self._checked(column)
        day, second = np.divmod(found.microseconds, MICROSECONDS_A_DAY)
        parts = _parts(found.microseconds)
        numbers = [day - self._first_day, second / 1e6, *(parts[name] for name in self._parts)]
        table = np.stack(numbers, axis=1).astype(np.float64)
        table[~there] = np.nan
        return {"": torch.from_numpy(table.astype(np.float32))}

    def microseconds(self, column: pa.ChunkedArray) -> pa.Array:
        """(N,) int64 since 1970, null where a cell is missing.

        Raises:
            SchemaError: a cell is no date of the format of training.
        """
        found, there = self._checked(column)
        return pa.array(found.microseconds, mask=~there)

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N,) float64 days since the earliest training row's midnight."""
        assert isinstance(encoded, Tensor)
        numbers = encoded.numpy().astype(np.float64)
        return numbers[:, 0] + numbers[:, 1] / 86_400

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each as (N,), in days since the earliest training row's midnight."""
        return {name: np.asarray(value, dtype=np.float64).reshape(len(value)) for name, value in prediction.items()}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``value`` (N, 1) as dates, or as timestamps where training rows held times of day."""
        days = self.values(prediction)["value"] + self._first_day
        if not any(self._fitted["parts"].get(SECOND, ())):
            days = np.clip(np.rint(days), FIRST_MOMENT // MICROSECONDS_A_DAY, LAST_MOMENT // MICROSECONDS_A_DAY)
            return {"": pa.array(days.astype(np.int32)).cast(pa.date32())}
        moments = np.clip(np.rint(days * 86_400), FIRST_MOMENT // 10**6, LAST_MOMENT // 10**6).astype(np.int64)
        return {"": pa.array(moments).cast(pa.timestamp("s", "UTC" if self._fitted["zoned"] else None))}

    @property
    def _first_day(self) -> int:
        return int(self._fitted["first"] // MICROSECONDS_A_DAY)

    def _checked(self, column: pa.ChunkedArray) -> tuple[Moments, np.ndarray]:
        """The moments of all cells that hold something, and which these are."""
        found, there = self._read(column)
        if not found.known[there].all():
            raise SchemaError(_wrong_cell(column, there & ~found.known, self._format))
        return found, there

    def _read(self, column: pa.ChunkedArray) -> tuple[Moments, np.ndarray]:
        """The cells in the format of training, and which of them hold something."""
        typed = moments_of_type(column, self._unit)
        if typed is not None:
            return typed, np.asarray(pc.is_valid(column))
        if not holds_text(column.type):
            raise SchemaError(f"dates were expected, not {column.type}")
        return moments_of_text(column, self._format if self._format in FORMATS else ISO), present(column)


_NOTHING = pa.chunked_array([pa.nulls(1)])


def _chosen(names: list[str], dayfirst: bool | None, unit: str) -> str:
    """The one format of those that all cells fit.

    Raises:
        SchemaError: two fit, and no option says which is meant.
    """
    if names[0] in UNITS:
        if unit not in names:
            raise SchemaError(
                f"not all of these whole numbers are times in {unit!r} (units that fit: {', '.join(names)})"
            )
        return unit
    if len(names) == 1:
        return names[0]
    if dayfirst is None:
        raise SchemaError(AMBIGUOUS)
    return DAY_FIRST if dayfirst else MONTH_FIRST


AMBIGUOUS = (
    "in every date both numbers before the year may be the month; say which is the day "
    "(--kind COLUMN=datetime --set kinds.COLUMN.dayfirst=true, or false)"
)


def _text_claim(column: pa.ChunkedArray) -> Claim | None:
    """The claim on strings of which some are dates."""
    there = present(column)
    readings = _readings(column)
    fitting = [name for name, found in readings.items() if _fits(found, there)]
    if not fitting:
        name, found = max(readings.items(), key=lambda pair: int(pair[1].known.sum()))
        wrong = there & ~found.known
        if wrong.any() and wrong.sum() <= (1 - ALMOST_ALL) * there.sum():
            raise SchemaError(
                f"{_wrong_cell(column, wrong, name)}; mend it, or name another kind (--kind COLUMN=category)"
            )
        return None
    if len(fitting) > 1:
        first = column.filter(pa.array(there))[0].as_py()
        raise SchemaError(f"{first!r}: {AMBIGUOUS}")
    zoned = bool(readings[fitting[0]].zoned.any())
    options = {"dayfirst": fitting[0] == DAY_FIRST} if fitting[0] in (DAY_FIRST, MONTH_FIRST) else {}
    return Claim(0.8, f"dates, {fitting[0]}{', brought to UTC' if zoned else ''}", options)


def _there(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) bool: which cells hold something."""
    if holds_text(column.type):
        return present(column)
    return np.asarray(pc.is_valid(column))


def _readings(column: pa.ChunkedArray) -> dict[str, Moments]:
    """The moments of a column in each format that it may have.

    Raises:
        SchemaError: no column of this type holds moments.
    """
    if holds_text(column.type):
        few = column.filter(pa.array(present(column))).slice(0, SAMPLED_CELLS)
        likely = [name for name in FORMATS if moments_of_text(few, name).known.any()]
        return {name: moments_of_text(column, name) for name in likely}
    names = list(UNITS) if pa.types.is_integer(column.type) else [TYPED]
    found = {name: moments_of_type(column, name) for name in names}
    if any(moments is None for moments in found.values()):
        raise SchemaError(f"dates were expected, not {column.type}")
    return {name: moments for name, moments in found.items() if moments is not None}


def _fits(found: Moments, there: np.ndarray) -> bool:
    """Whether all cells are dates of a format, with offsets from UTC or without."""
    return bool(found.known[there].all()) and len(np.unique(found.zoned[there])) <= 1


def _no_format(column: pa.ChunkedArray, there: np.ndarray) -> str:
    readings = _readings(column)
    if not readings:
        return _wrong_cell(column, there, ISO)
    name, found = max(readings.items(), key=lambda pair: int(pair[1].known.sum()))
    if found.known[there].all():
        return f"some dates have an offset from UTC and some have none ({name}); write it in all or in none"
    return _wrong_cell(column, there & ~found.known, name)


def _wrong_cell(column: pa.ChunkedArray, wrong: np.ndarray, name: str) -> str:
    row = int(np.flatnonzero(wrong)[0])
    cell = str(column[row].as_py())
    shown = "one that can be represented" if name not in FORMATS else f"{name}, as in the other rows"
    return f"row {row} holds {cell[:60]!r}, which is no date ({shown})"


def _parts(microseconds: np.ndarray) -> dict[str, np.ndarray]:
    """(N,) int64 each part of the calendar; weekday 0 is Monday."""
    day, rest = np.divmod(microseconds, MICROSECONDS_A_DAY)
    days = day.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    years = months.astype("datetime64[Y]")
    return {
        "year": years.astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        "weekday": (day + 3) % 7,
        "hour": rest // 3_600_000_000,
        "minute": rest // 60_000_000 % 60,
        SECOND: rest // 1_000_000,
    }


def _counted(found: Moments | None, weights: np.ndarray) -> dict[str, Any]:
    """The statistics of the moments of one format."""
    assert found is not None
    used = found.known & (weights > 0)
    moments = found.microseconds[used]
    days = np.where(found.known, found.microseconds / MICROSECONDS_A_DAY, np.nan)
    ranges = {name: [int(part.min()), int(part.max())] for name, part in _parts(moments).items() if len(part)}
    return {
        "zoned": bool(found.zoned.any()),
        "first": int(moments.min()) if len(moments) else 0,
        "last": int(moments.max()) if len(moments) else 0,
        "parts": ranges,
        "days": count_numbers(days[:, None], weights),
    }


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    if not first["parts"] or not second["parts"]:
        return dict(second if not first["parts"] else first)
    ranges = {
        name: [min(low, second["parts"][name][0]), max(high, second["parts"][name][1])]
        for name, (low, high) in first["parts"].items()
    }
    return {
        "zoned": first["zoned"],
        "first": min(first["first"], second["first"]),
        "last": max(first["last"], second["last"]),
        "parts": ranges,
        "days": merge_numbers(first["days"], second["days"]),
    }


def _fit(one: Mapping[str, Any]) -> dict[str, Any]:
    days = {name: value for name, value in fit_numbers(one["days"]).items() if name not in ("missing", "shift")}
    return {**one, "days": days}


def _varies(bounds: Any) -> bool:
    return bounds is not None and bounds[0] != bounds[1]
