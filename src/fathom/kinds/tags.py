"""A tag for each word: parts of speech, names as CoNLL writes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from fathom.data.columns import holds_text, holds_words
from fathom.errors import SchemaError, unknown_name
from fathom.kinds.beside import OWN, WITHIN, Beside, holds_parts, part, places_of
from fathom.kinds.kind import KINDS, LEFT_OUT, Claim, Statistics, objects
from fathom.signals import Ragged, TagsSpec, input_key

__all__ = ["Tags"]

OUTSIDE, NO_TAG = "O", "_"
MOST_TAGS, MOST_NEW = 1000, 0.5
LOOKED_AT = 2000
SHOWN = 60

Words = Sequence[str] | None
"""A row's words or tags; None where they are missing."""


@KINDS.register("tags", packed=False, reads=(WITHIN,), head="label_tokens")
class Tags(Beside):
    """A tag for each word of a text that comes in: a list beside a list of words, or both divided by blanks.

    Tags are words, or whole numbers in a list. A word's first token tells its tag. A word that has none, as one that is
    cut off with its text, gets O if there is such a tag, else none.

    Args:
        state: what ``fit`` returned.
        within: the column of the words; where it is not said, the one that has as many words as there are tags.
    """

    def __init__(self, state: Statistics, *, within: str = "") -> None:
        super().__init__(state)
        self.within = within
        self._names = sorted(state["tags"])

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if holds_parts(column.type):
            own = column.type.field(OWN).type
            return Claim(0.9, "tags beside their words") if _is_list(own) else None
        if not target or not _is_list(column.type):
            return None
        few = [cell for cell in _words(column.slice(0, LOOKED_AT)) if cell]
        named = Counter(tag for cell in few for tag in cell)
        repeats = any(len(set(cell)) < len(cell) for cell in few)
        if not repeats or len(named) > min(MOST_TAGS, MOST_NEW * named.total()):
            return None
        return Claim(0.85, f"a tag for each word, {len(named):,} of them")

    @classmethod
    def settle(cls, table: pa.Table, name: str, texts: Sequence[str], options: Mapping[str, Any]) -> Mapping[str, Any]:
        within = options.get("within", "")
        if within and within not in texts:
            raise SchemaError(unknown_name("column of texts that come in:", within, texts))
        if not within:
            few = table.slice(0, LOOKED_AT)
            counts = [tags and len(tags) for tags in _words(few[name])]
            fitting = {}
            for text in texts:
                pairs = zip(counts, _words(few[text]), strict=True)
                fitting[text] = sum(count is not None and count == len(words or ()) for count, words in pairs)
            within = max(fitting, key=lambda text: fitting[text])
        _check(_words(table[within]), _words(table[name]))
        return {"within": within}

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        weights = np.ones(len(column)) if weight is None else np.asarray(weight, dtype=np.float64)
        own = part(column, OWN)
        rows, tags = _words(own), Counter[str]()
        for cell, times in zip(rows, weights.tolist(), strict=True):
            for tag in cell or ():
                tags[tag] += times
        missing = sum(cell is None for cell in rows)
        sort = {"listed": _is_list(own.type), "numbers": _is_list_of_numbers(own.type)}
        return {"tags": dict(tags), "missing": missing, **sort}

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        tags = Counter[str](first["tags"])
        tags.update(second["tags"])
        told = {name: first[name] or second[name] for name in ("listed", "numbers")}
        return {"tags": dict(tags), "missing": first["missing"] + second["missing"], **told}

    @property
    def spec(self) -> TagsSpec:
        return TagsSpec(input_key(self.within), tuple(float(self.state["tags"][name]) for name in self._names))

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is N ragged rows of int64, as the spec has it; LEFT_OUT is (N,) int64, how many words were cut off.

        Raises:
            SchemaError: a row has not as many words as tags.
        """
        tags, words = _words(part(column, OWN)), _words(part(column, WITHIN))
        _check(words, tags)
        _, _, offsets = places_of(column)
        known = {name: place for place, name in enumerate(self._names, start=1)}
        values, lost = np.zeros(offsets[-1], np.int64), np.zeros(len(tags), np.int64)
        for row, (cell, places) in enumerate(zip(tags, _first_tokens(column), strict=True)):
            if cell is None or places is None:
                continue
            there = places >= 0
            labels = np.array([known.get(tag, 0) for tag in cell], np.int64)
            values[offsets[row] + places[there]] = labels[there]
            lost[row] = (~there).sum()
        return {"": Ragged(torch.from_numpy(values), torch.from_numpy(offsets)), LEFT_OUT: torch.from_numpy(lost)}

    def left_out(self, encoded: Tensor | Ragged) -> list[str]:
        assert isinstance(encoded, Tensor)
        lost, rows = int(encoded.sum()), int((encoded > 0).sum())
        answered = f"answered by {OUTSIDE}" if OUTSIDE in self.state["tags"] else "given no tag"
        longer = f"--set kinds.{self.within}.length=... reads further"
        words = f"{lost:,} words of {rows:,} rows are cut off or empty, not learned, and {answered}; {longer}"
        return [words] if lost else []

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N,) tags with blanks between, None where missing; None where the rows are not known."""
        if self._rows is None:
            return None
        return objects([None if cell is None else _line(cell) for cell in _words(part(self._rows, OWN))])

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """``tag`` (N, T) as ``text`` (N,), tags with blanks between; ``words`` (N,) how many; their mean ``chance``."""
        found, chances = self._told(prediction)
        lines = objects([_line([tag or NO_TAG for tag in row]) for row in found])
        return {"text": lines, "words": np.array([len(row) for row in found], np.int64), "chance": chances}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """A list of tags, or a string of them where the column holds strings; the mean probability of a row's tags."""
        found, chances = self._told(prediction)
        if self.state.get("numbers", False):
            numbers = [[None if tag is None else int(tag) for tag in row] for row in found]
            column = pa.array(numbers, pa.list_(pa.int64()))
        elif self.state["listed"]:
            column = pa.array(found, pa.list_(pa.string()))
        else:
            column = pa.array([_line([tag or NO_TAG for tag in row]) for row in found], pa.string())
        return {"": column, "probability": pa.array(chances)}

    def _told(self, prediction: Mapping[str, np.ndarray]) -> tuple[list[list[str | None]], np.ndarray]:
        """The tag of each word of each row, and the mean of their chances, (N,)."""
        assert self._rows is not None, "which words tags are of is not known"
        never = OUTSIDE if OUTSIDE in self.state["tags"] else None
        names = [never, *self._names]
        found: list[list[str | None]] = []
        chances = np.ones(len(self._rows))
        for row, places in enumerate(_first_tokens(self._rows)):
            places = np.empty(0, np.int64) if places is None else places
            there = places >= 0
            found.append([names[k] for k in np.where(there, prediction["tag"][row, places], 0).tolist()])
            chances[row] = prediction["chance"][row, places[there]].mean() if there.any() else 1.0
        return found, chances


def _first_tokens(cells: pa.ChunkedArray) -> list[np.ndarray | None]:
    """Of each word of each row the place of its first token, -1 where it has none; None where the row is missing."""
    column = part(cells, WITHIN)
    rows, texts = _words(column), None if _is_list(column.type) else column.to_pylist()
    begins, ends, offsets = places_of(cells)
    found: list[np.ndarray | None] = []
    for row, words in enumerate(rows):
        if words is None:
            found.append(None)
            continue
        first, behind = _characters(words, None if texts is None else texts[row])
        inside = slice(offsets[row] + 1, offsets[row + 1] - 1)
        token = np.searchsorted(ends[inside], first, side="right")
        starts = np.append(begins[inside], np.iinfo(np.int64).max)[token]
        found.append(np.where(starts < behind, token + 1, -1))
    return found


def _characters(words: Sequence[str], text: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Where each word begins and ends in its text, which is the words with blanks between, or as it is given."""
    if text is not None:
        spans = [match.span() for match in re.finditer(r"\S+", text)]
        return np.array([one for one, _ in spans], np.int64), np.array([other for _, other in spans], np.int64)
    behind = np.cumsum([len(word) + 1 for word in words], dtype=np.int64) - 1
    return behind - np.array([len(word) for word in words], np.int64), behind


def _check(words: list[Words], tags: list[Words]) -> None:
    """Refuse rows that have not as many words as tags.

    Raises:
        SchemaError: there are such rows; names the first.
    """
    rows = enumerate(zip(words, tags, strict=True))
    known = [(row, one, other) for row, (one, other) in rows if one is not None and other is not None]
    wrong = [(row, one, other) for row, one, other in known if len(one) != len(other)]
    if wrong:
        row, one, other = wrong[0]
        told = " ".join(one)[:SHOWN]
        raise SchemaError(
            f"{len(wrong):,} rows have not as many words as tags; the first, row {row:,}, has {len(one)} words "
            f"({told!r}) and {len(other)} tags"
        )


def _words(column: pa.ChunkedArray) -> list[Words]:
    """The words of each row: a list's, or those between blanks."""
    cells = column.to_pylist()
    if pa.types.is_null(column.type) or _is_list(column.type):
        return [None if cell is None else ["" if word is None else str(word) for word in cell] for cell in cells]
    if not holds_text(column.type):
        raise SchemaError(f"words or tags were expected, in lists or with blanks between, not {column.type}")
    return [None if cell is None else cell.split() for cell in cells]


def _is_list(kind: pa.DataType) -> bool:
    return holds_words(kind) or _is_list_of_numbers(kind)


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_integer(kind.value_type)


def _line(tags: Sequence[str]) -> str:
    """Tags with blanks between, those within a tag being none."""
    return " ".join("_".join(tag.split()) or NO_TAG for tag in tags)
