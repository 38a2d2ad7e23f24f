"""How people write dates: the formats that are read, and the moments that cells stand for in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.evidence import BLANKS, MISSING_WORDS

__all__ = [
    "DAY_FIRST",
    "FIRST_MOMENT",
    "FORMATS",
    "ISO",
    "LAST_MOMENT",
    "MICROSECONDS_A_DAY",
    "MONTH_FIRST",
    "UNITS",
    "Moments",
    "may_be_dates",
    "moments_of_text",
    "moments_of_type",
    "present",
]

MICROSECONDS_A_DAY = 86_400_000_000
FIRST_MOMENT, LAST_MOMENT = -62_135_596_800_000_000, 253_402_300_799_000_000  # years 1 to 9999, which Python can print
YEAR_DIGITS = r"\d{4}"
YEAR, MONTH, DAY = f"(?P<y>{YEAR_DIGITS})", r"(?P<m>\d{1,2})", r"(?P<d>\d{1,2})"
NAMED_MONTH = r"(?P<m>[A-Za-z]{3,9})"
TIME = (
    r"(?:[T ] ?(?P<h>\d{1,2}):(?P<i>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)? ?(?P<a>[AaPp][Mm])?"
    r" ?(?P<z>[Zz]|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
ISO, MONTH_FIRST, DAY_FIRST = "year-month-day", "month/day/year", "day/month/year"
FORMATS = {
    ISO: f"^{YEAR}-{MONTH}-{DAY}{TIME}$",
    "year/month/day": f"^{YEAR}/{MONTH}/{DAY}{TIME}$",
    "year.month.day": rf"^{YEAR}\.{MONTH}\.{DAY}{TIME}$",
    "day.month.year": rf"^{DAY}\.{MONTH}\.{YEAR}{TIME}$",
    MONTH_FIRST: f"^{MONTH}[/-]{DAY}[/-]{YEAR}{TIME}$",
    DAY_FIRST: f"^{DAY}[/-]{MONTH}[/-]{YEAR}{TIME}$",
    "month day, year": rf"^{NAMED_MONTH}\.? {DAY},? {YEAR}{TIME}$",
    "day month year": rf"^{DAY}[ -]{NAMED_MONTH}\.?,?[ -]{YEAR}{TIME}$",
    "year-month": rf"^{YEAR}-(?P<m>\d{{2}})$",
}
"""What each format is called, and the pattern of its cells: year, month, day, hour, minute, second, fraction, AM or PM,
and the offset from UTC."""

MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october"]
MONTHS += ["november", "december"]
NAMES = pa.array([*MONTHS, *(month[:3] for month in MONTHS if month != "may"), "sept"])
NUMBERS = pa.array([*range(1, 13), *(k for k in range(1, 13) if k != 5), 9], pa.int64())

MISSING = pa.array([*BLANKS, *MISSING_WORDS, "-", "nat"])
"""Cells that are missing among dates, in lower case."""

UNITS = {"s": 10**6, "ms": 10**3, "us": 1, "ns": -(10**3)}
"""Microseconds in a unit; of a smaller unit, how many make a microsecond, below 0."""


@dataclass(frozen=True)
class Moments:
    """The moments that cells stand for.

    Attributes:
        microseconds: (N,) int64 since 1970, in UTC where offsets are given; 0 where there is none.
        known: (N,) bool, whether a cell stands for a moment.
        zoned: (N,) bool, whether a cell gives its offset from UTC.
    """

    microseconds: np.ndarray
    known: np.ndarray
    zoned: np.ndarray


def present(cells: pa.ChunkedArray) -> np.ndarray:
    """(N,) bool: whether a cell of text is more than a word for missing."""
    words = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(cells)), MISSING)
    return np.asarray(pc.is_valid(cells)) & ~np.asarray(words)


def may_be_dates(cells: pa.ChunkedArray) -> bool:
    """Whether a cell of text holds a year, as in every format: by far faster than to try them all."""
    return bool(pc.any(pc.match_substring_regex(cells, YEAR_DIGITS)).as_py())


def moments_of_text(cells: pa.ChunkedArray, name: str) -> Moments:
    """Read strings in one format; a day that no calendar has is no moment."""
    found = pc.extract_regex(pc.utf8_trim_whitespace(cells), FORMATS[name])
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    known = np.asarray(found.is_valid())
    fields = {found.type[k].name: found.field(k) for k in range(found.type.num_fields)}
    day, valid = _days(fields)
    second, in_day = _seconds(fields)
    known = known & valid & in_day
    microseconds = day * MICROSECONDS_A_DAY + second * 10**6 + _fraction(fields)
    zoned = np.zeros(len(known), bool)
    if "z" in fields:
        offset, zoned = _offset_minutes(fields["z"])
        microseconds = microseconds - offset * 60_000_000
    return Moments(np.where(known, microseconds, 0), known, zoned & known)


def moments_of_type(cells: pa.ChunkedArray, unit: str) -> Moments | None:
    """Timestamps and dates as they are, whole numbers as ``unit`` since 1970; None for any other type."""
    kind = cells.type
    known = np.asarray(pc.is_valid(cells))
    zoned = np.full(len(cells), pa.types.is_timestamp(kind) and kind.tz is not None)
    if pa.types.is_null(kind):
        return Moments(np.zeros(len(cells), np.int64), known, zoned)
    if pa.types.is_timestamp(kind):
        factor, whole = UNITS[kind.unit], cells.cast(pa.timestamp(kind.unit)).cast(pa.int64())
    elif pa.types.is_date(kind):
        days = pa.types.is_date32(kind)
        factor = MICROSECONDS_A_DAY if days else 1000
        whole = cells.cast(pa.int32()).cast(pa.int64()) if days else cells.cast(pa.int64())
    elif pa.types.is_integer(kind):
        factor, whole = UNITS[unit], cells.cast(pa.int64())
    else:
        return None
    values = np.asarray(whole.fill_null(0)).astype(np.int64)
    if factor > 0:
        known &= np.abs(values.astype(np.float64)) * factor < 2**62
    microseconds = values * factor if factor > 0 else values // -factor
    known &= (microseconds >= FIRST_MOMENT) & (microseconds <= LAST_MOMENT)
    return Moments(np.where(known, microseconds, 0), known, zoned & known)


def _whole(field: pa.Array) -> np.ndarray:
    """(N,) int64, 0 where nothing was written."""
    digits = pc.if_else(pc.equal(field, ""), "0", field).fill_null("0")
    return np.asarray(pc.cast(digits, pa.int64()))


def _days(fields: dict[str, pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970, and whether the calendar has such a day."""
    year, day = _whole(fields["y"]), _whole(fields["d"]) if "d" in fields else np.ones(len(fields["y"]), np.int64)
    month = _month(fields["m"])
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    months = ((year - 1970) * 12 + np.where(valid, month, 1) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    return days.astype(np.int64), valid & (days.astype("datetime64[M]") == months)


def _month(field: pa.Array) -> np.ndarray:
    letters = pc.match_substring_regex(field, "^[A-Za-z]+$").fill_null(False)
    if not pc.any(letters).as_py():
        return _whole(field)
    place = pc.index_in(pc.utf8_lower(field), value_set=NAMES)
    return np.asarray(NUMBERS.take(place).fill_null(0))


def _seconds(fields: dict[str, pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since midnight, and whether a clock shows them."""
    if "h" not in fields:
        return np.zeros(len(fields["y"]), np.int64), np.ones(len(fields["y"]), bool)
    hour, minute, second = (_whole(fields[name]) for name in ("h", "i", "s"))
    half = np.asarray(pc.utf8_lower(fields["a"]).fill_null("")).astype(str)
    valid = (minute < 60) & (second < 60) & (hour < 24) & ((half == "") | ((hour >= 1) & (hour <= 12)))
    hour = np.where(half == "", hour, hour % 12 + 12 * (half == "pm"))
    return hour * 3600 + minute * 60 + second, valid


def _fraction(fields: dict[str, pa.Array]) -> np.ndarray | int:
    """Microseconds behind the second's point."""
    return _whole(pc.utf8_slice_codeunits(pc.utf8_rpad(fields["f"], 6, "0"), 0, 6)) if "f" in fields else 0


def _offset_minutes(field: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Minutes ahead of UTC, and whether that was written."""
    written = np.asarray(pc.not_equal(field, "").fill_null(False))
    plain = pc.replace_substring_regex(field.fill_null(""), "[Zz:]|UTC|GMT", "")
    numbers = _whole(pc.utf8_ltrim(plain, "+"))  # -0130 is -130
    return np.sign(numbers) * (np.abs(numbers) // 100 * 60 + np.abs(numbers) % 100), written
