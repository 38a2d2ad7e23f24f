"""Answers that stand in a text of the same row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.data.columns import holds_text
from fathom.errors import SchemaError, unknown_name
from fathom.kinds.beside import OWN, START, WITHIN, Beside, holds_parts, part, places_of
from fathom.kinds.kind import KINDS, LEFT_OUT, Claim, Statistics, objects
from fathom.signals import Ragged, SpanSpec, input_key

__all__ = ["Span"]

LOOKED_AT = 2000
MOSTLY = 0.9
UNKNOWN = -1
LEARNED, ELSEWHERE, CUT_OFF = 0, 1, 2


@KINDS.register("span", packed=False, reads=(WITHIN, START), head="span")
class Span(Beside):
    """An answer that stands in a text that comes in: from which of its tokens to which.

    An empty answer says that the text holds none, as SQuAD 2 has it; a missing one is unknown.

    Args:
        state: what ``fit`` returned.
        within: the column of the text; where it is not said, the one in which most answers stand.
        start: the column that tells which character of the text an answer starts at; where it is not said, the one that
            does; where there is none, an answer is the first of its kind in the text.
    """

    def __init__(self, state: Statistics, *, within: str = "", start: str = "") -> None:
        super().__init__(state)
        self.within, self.start = within, start

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if holds_parts(column.type) and holds_text(column.type.field(OWN).type):
            return Claim(0.9, "answers beside the texts they stand in")
        return None

    @classmethod
    def settle(cls, table: pa.Table, name: str, texts: Sequence[str], options: Mapping[str, Any]) -> Mapping[str, Any]:
        within, start = options.get("within", ""), options.get("start", "")
        if not holds_text(table.schema.field(name).type):
            raise SchemaError(f"answers are texts, not {table.schema.field(name).type}")
        known = table.filter(pc.greater(pc.utf8_length(table[name]), 0)).slice(0, LOOKED_AT)
        answers = known[name].to_pylist()
        if within and within not in texts:
            raise SchemaError(unknown_name("column of texts that come in:", within, texts))
        if not within:
            standing = {text: _standing(answers, _strings(known[text])) for text in texts}
            within = max(standing, key=lambda text: standing[text])
            if answers and not standing[within]:
                raise SchemaError(f"no answer stands in any text that comes in ({', '.join(texts)})")
        if not start and answers:
            whole = [field.name for field in table.schema if pa.types.is_integer(field.type)]
            cells = _strings(known[within])
            start = next((one for one in whole if _tells(answers, cells, known[one].to_pylist())), "")
        return {"within": within, "start": start}

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        weights = np.ones(len(column)) if weight is None else np.asarray(weight, dtype=np.float64)
        own, texts = _strings(part(column, OWN)), _strings(part(column, WITHIN))
        known = np.array([answer is not None for answer in own], bool)
        none = np.array([answer is not None and not answer.strip() for answer in own], bool)
        words = np.log([1 + len((text or "").split()) for text in texts]) if texts else np.empty(0)
        return {
            "rows": float(weights @ known),
            "missing": int((~known).sum()),
            "unanswered": float(weights @ none),
            "places": float(weights @ (words * known)),
        }

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        return {name: first[name] + second[name] for name in first}

    @property
    def spec(self) -> SpanSpec:
        rows = max(self.state["rows"], 1e-9)
        return SpanSpec(input_key(self.within), self.state["unanswered"] / rows, self.state["places"] / rows)

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is (N, 2) int64, as the spec has it; LEFT_OUT is (N,) int64, why an answer is not learned, or 0."""
        own, texts = _strings(part(column, OWN)), _strings(part(column, WITHIN))
        starts = part(column, START).to_pylist()
        begins, ends, offsets = places_of(column)
        found, why = np.full((len(own), 2), UNKNOWN, np.int64), np.zeros(len(own), np.int64)
        for row, (answer, text, start) in enumerate(zip(own, texts, starts, strict=True)):
            if answer is None or text is None:
                why[row] = ELSEWHERE if answer and answer.strip() else LEARNED
                continue
            inside = slice(offsets[row] + 1, offsets[row + 1] - 1)
            found[row], why[row] = _tokens(answer, text, start, begins[inside], ends[inside])
        return {"": torch.from_numpy(found), LEFT_OUT: torch.from_numpy(why)}

    def left_out(self, encoded: Tensor | Ragged) -> list[str]:
        assert isinstance(encoded, Tensor)
        elsewhere, cut = (int((encoded == why).sum()) for why in (ELSEWHERE, CUT_OFF))
        words = [f"{elsewhere:,} answers do not stand in {self.within!r} and are not learned"] if elsewhere else []
        longer = f"--set kinds.{self.within}.length=... reads further"
        return [*words, *([f"{cut:,} answers are cut off with their text and not learned; {longer}"] if cut else [])]

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N,) the answers as they were given, None where missing; None where the rows are not known."""
        return None if self._rows is None else objects(_strings(part(self._rows, OWN)))

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """``begin`` and ``end`` (N,), as ``text`` (N,), cut out of the rows' texts; ``chance`` (N,)."""
        return {"text": objects(self._cut_out(prediction)), "chance": np.asarray(prediction["chance"])}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """As ``values``; the probability of the first token times that of the last."""
        probability = pa.array(np.asarray(prediction["chance"]))
        return {"": pa.array(self._cut_out(prediction), pa.string()), "probability": probability}

    def _cut_out(self, prediction: Mapping[str, np.ndarray]) -> list[str]:
        assert self._rows is not None, "which texts answers stand in is not known"
        texts, (begins, ends, offsets) = _strings(part(self._rows, WITHIN)), places_of(self._rows)
        pairs = zip(prediction["begin"].tolist(), prediction["end"].tolist(), strict=True)
        answers = []
        for row, (begin, end) in enumerate(pairs):
            last = int(offsets[row + 1] - offsets[row]) - 2  # before the end
            text = texts[row]
            if text is None or not 0 < begin <= last:
                answers.append("")
                continue
            first, behind = begins[offsets[row] + begin], ends[offsets[row] + min(end, last)]
            answers.append(text[first:behind].strip())
        return answers


def _tokens(
    answer: str, text: str, start: int | None, begins: np.ndarray, ends: np.ndarray
) -> tuple[tuple[int, int], int]:
    """The first and the last token of an answer, and why it is not learned; begins and ends (T,) of those within."""
    answer, moved = answer.strip(), len(answer) - len(answer.lstrip())
    if not answer:
        return (0, 0), LEARNED
    place = -1 if start is None or start < 0 else start + moved
    if place < 0 or not text.startswith(answer, place):
        place = text.find(answer)
    if place < 0:
        return (UNKNOWN, UNKNOWN), ELSEWHERE
    behind = place + len(answer)
    if not len(ends) or behind > ends[-1]:
        return (UNKNOWN, UNKNOWN), CUT_OFF
    first = int(np.searchsorted(ends, place, side="right"))
    last = int(np.searchsorted(begins, behind, side="left")) - 1
    return (first + 1, max(first, last) + 1), LEARNED


def _standing(answers: list[str], texts: list[str | None]) -> int:
    """How many answers stand in their texts."""
    return sum(answer in (text or "") for answer, text in zip(answers, texts, strict=True))


def _tells(answers: list[str], texts: list[str | None], starts: list[int | None]) -> bool:
    """Whether numbers say which character of their texts answers start at."""
    rows = zip(answers, texts, starts, strict=True)
    right = sum(start is not None and start >= 0 and (text or "").startswith(a, start) for a, text, start in rows)
    return right >= MOSTLY * len(answers)


def _strings(column: pa.ChunkedArray) -> list[str | None]:
    found: list[str | None] = pc.cast(column, pa.large_string()).to_pylist()
    return found
