"""Numbers, sizes and names as a person reads them."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["amount", "duration", "energy", "number", "score_words", "shortened", "size", "titled", "token"]

SIGNS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float) -> str:
    """Three digits that count, and more where fewer would say 1 of what is not 1."""
    if not math.isfinite(value):
        return "-"
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    rounded = (f"{value:.{digits}g}" for digits in range(3, 7))
    return next((shown for shown in rounded if shown != "1"), "1")


def score_words(value: Any) -> str:
    """A number that may be missing."""
    return "–" if value is None else number(float(value))


def amount(count: float, unit: str = "") -> str:
    """``263 k``, ``3.64 M``: a count of which the first three digits matter."""
    for factor, sign in SIGNS:
        if abs(count) >= factor:
            return f"{count / factor:.3g} {sign}{unit}"
    return f"{count:.3g} {unit}".rstrip()


def shortened(name: Any, most: int = 64) -> str:
    """A name without its middle where it is longer: names of one table begin alike as often as they end alike."""
    text, half = str(name), (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def size(count: float) -> str:
    """``412 MiB``."""
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} bytes"


def duration(seconds: float) -> str:
    """``8.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def energy(joules: float) -> str:
    """``410 J``, ``12.3 Wh``: watt-hours where they are one at least."""
    return f"{joules:.3g} J" if joules < 3600 else f"{joules / 3600:.3g} Wh"


def titled(target: str) -> str:
    """The target as a person calls it; what is rebuilt goes by the name of its tensor."""
    if target.startswith("pack/"):
        return f"{target.removeprefix('pack/')} columns, rebuilt"
    return f"{target.removeprefix('input/')}, rebuilt" if target.startswith("input/") else target


def token(piece: str, most: int = 13) -> str:
    """A piece of a text as a label: without blanks around it, and a sign for blanks alone."""
    return shortened(piece.strip() or "\N{OPEN BOX}", most)
