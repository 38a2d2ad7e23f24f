"""What kind and role a column has, inferred from all its cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import holds_single_values
from fathom.errors import SchemaError
from fathom.kinds import KINDS, Claim
from fathom.registry import Choice
from fathom.signals import Role

__all__ = ["CONSTANT", "FREE_TEXT", "IDENTIFIER", "NO_VALUE", "infer_column"]

NO_VALUE, CONSTANT, IDENTIFIER, FREE_TEXT = "no value at all", "constant", "identifier", "identifier or free text"
"""How the reason begins for which a column is left out; checks go by it."""

MOSTLY_DISTINCT = 0.5
FEWEST_ROWS_OF_IDENTIFIERS = 20
INDEX_NAMES = ("id", "index", "row", "instant", "unnamed: 0", "")
IDENTIFIER_ENDINGS = ("_id", "_ID", "_Id", " id", " ID", " Id", "-id", "-ID", "Id", "ID")  # but not paid, Madrid

Located = Callable[[str], pa.ChunkedArray]
"""The name of a kind to the cells of a column as that kind reads them."""


def infer_column(name: str, located: Located, role: Role | None, kind: Any) -> tuple[Role, Choice, str]:
    """The role and the kind of a column, and why.

    Args:
        name: of the column.
        located: its cells, for each kind.
        role: as the user says it, or None.
        kind: as the user says it, or None.

    Raises:
        SchemaError: no kind reads a column that has a role, or a kind reads it but for a few cells.
    """
    if kind is not None:
        choice = KINDS.checked(kind)
        return role or Role.INPUT, choice if choice.options else _settled(choice.name, located, role), "as you said"
    claims = _claims(name, located, role)
    if not claims:
        held = located("number").type
        if role not in (None, Role.IGNORE):
            named = f"--kind {name}=KIND names one ({', '.join(KINDS.names())})"
            raise SchemaError(f"column {name!r} holds {held}, which no kind reads unasked; {named}")
        return Role.IGNORE, Choice("number"), f"holds {held}, which no kind reads"
    best = max(claims, key=lambda found: claims[found].confidence)
    useless = None if role is not None else _why_useless(name, located(best), best)
    found_role = role or (Role.IGNORE if useless else Role.INPUT)
    return found_role, Choice(best, claims[best].options), useless or claims[best].reason


def _claims(name: str, located: Located, role: Role | None) -> dict[str, Claim]:
    """Each kind that wants the column, with its claim."""
    claims = {}
    for entry in KINDS:
        try:
            claim = entry.factory.claim(located(entry.name), target=role is Role.TARGET)
        except SchemaError as error:
            if role is not Role.IGNORE:
                raise SchemaError(f"column {name!r}: {error}") from error
            claim = None
        if claim is not None:
            claims[entry.name] = claim
    return claims


def _settled(kind: str, located: Located, role: Role | None) -> Choice:
    """A kind that was named, with the options that the cells settle."""
    try:
        claim = KINDS.get(kind).factory.claim(located(kind), target=role is Role.TARGET)
    except SchemaError:  # told when the kind is fitted
        claim = None
    return Choice(kind, {} if claim is None else claim.options)


def _why_useless(name: str, cells: pa.ChunkedArray, kind: str) -> str | None:
    """Why a column should not be an input: nothing in it, one value, or an identifier."""
    if cells.null_count == len(cells):
        return NO_VALUE
    if kind not in ("number", "category", "datetime") or not _countable(cells.type):
        return None
    distinct, present = pc.count_distinct(cells).as_py(), len(cells) - cells.null_count
    if distinct == 1 and cells.null_count == 0 and len(cells) > 1:
        return CONSTANT
    if len(cells) < FEWEST_ROWS_OF_IDENTIFIERS:
        return None
    if kind == "category" and distinct > MOSTLY_DISTINCT * present:
        return f"{FREE_TEXT}: {distinct:,} distinct in {present:,} values"
    named_like_one = name.strip().lower() in INDEX_NAMES or name.strip().endswith(IDENTIFIER_ENDINGS)
    if pa.types.is_integer(cells.type) and distinct == len(cells) and named_like_one:
        return f"{IDENTIFIER}: every row has its own"
    return None


def _countable(kind: pa.DataType) -> bool:
    return holds_single_values(kind) and not pa.types.is_dictionary(kind)
