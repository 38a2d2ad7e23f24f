"""Text set for a screen: measured in cells, of which 名 takes two; cut, wrapped, and side by side."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

__all__ = ["aligned", "cells", "one_line", "set_to_width", "shortened", "width"]

WIDEST, NARROWEST = 80, 40
LEAST_BESIDE = 24
"""Cells that are left for the last column of a table; with fewer it stands below the others."""

BOLD = re.compile(r"\x1b\[[01]m")
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What ends a line, moves the cursor or turns the direction of writing, and so has no place in a table."""

COMMAND = "fathom "
ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def width() -> int:
    """How wide text is set: 80 cells, or fewer where the terminal, or COLUMNS, has fewer."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def cells(text: str) -> int:
    """How many cells of a terminal a text takes."""
    plain = BOLD.sub("", text)
    if plain.isascii():
        return len(plain)
    from rich.cells import cell_len

    return cell_len(plain)


def one_line(text: str) -> str:
    """Text with what has no place in a line written out."""
    return UNSEEN.sub(lambda sign: ESCAPES.get(sign[0], f"\\u{ord(sign[0]):04x}"), text)


def shortened(text: str, most: int) -> str:
    """Text of at most so many cells; … stands for what is left out."""
    if cells(text) <= most:
        return text
    kept = text[: most - 1]
    while cells(kept) > most - 1:
        kept = kept[:-1]
    return f"{kept}…"


def set_to_width(text: str) -> str:
    """Text whose lines are broken between words where they are too wide, and go on a little to the right.

    A command stays whole, so that it can be copied.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        start = line[: len(line) - len(line.lstrip())]
        fits = cells(line) <= width() or line.lstrip().startswith(COMMAND)
        lines += [line] if fits else _wrapped(line.strip(), start, f"{start}  ")
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]], *, gap: int = 2, indent: int = 0) -> str:
    """Columns side by side; the last is wrapped to what is left of the width.

    Args:
        rows: of equally many cells each.
        gap: blanks between columns.
        indent: blanks before them.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(cells(row[k]) for row in rows) for k in range(len(rows[0]) - 1)] if rows else []
    before, start = " " * indent, indent + sum(widths) + gap * len(widths)
    is_beside = start + LEAST_BESIDE <= width() or all(start + cells(row[-1]) <= width() for row in rows)
    lines = []
    for row in rows:
        front = before + "".join(_padded(cell, wide + gap) for cell, wide in zip(row, widths, strict=False))
        if is_beside:
            lines += _wrapped(row[-1], front, " " * start)
        else:
            lines += [front.rstrip(), *(_wrapped(row[-1], f"{before}      ", f"{before}      ") if row[-1] else ())]
    return "\n".join(lines)


def _padded(text: str, count: int) -> str:
    return text + " " * (count - cells(text))


def _wrapped(text: str, first: str, others: str) -> list[str]:
    """Lines that are no wider than they should be, but for words that are; a no-break space breaks no line."""
    lines, line = [], first
    is_empty = True
    for word in re.split(r"[ \n]+", text):
        joined = f"{line}{'' if is_empty else ' '}{word}"
        if is_empty or cells(joined) <= width():
            line, is_empty = joined, False
        else:
            lines.append(line.rstrip())
            line = others + word
    return [*lines, line.rstrip()]
