"""What is printed: data may hold signs that a terminal obeys."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from fathom.typeset import set_to_width

__all__ = ["harmless", "printed", "say"]

OBEYED = re.compile("\x1b(?!\\[[01]m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What moves the cursor, names the window or turns the direction of writing; bold and its end are our own."""


def harmless(text: str) -> str:
    """Text with the signs that a terminal obeys written out, as JSON has them too.

    Args:
        text: to be printed; it may hold names and cells from anyone's data.
    """
    return OBEYED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def say(line: str) -> None:
    """Tell a person, beside the results."""
    click.echo(set_to_width(harmless(line)), err=True)


def printed(result: dict[str, Any] | str) -> None:
    """Print a result: words, or one object of JSON."""
    if isinstance(result, str):
        click.echo(set_to_width(harmless(result)))
        return
    click.echo(harmless(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)))
