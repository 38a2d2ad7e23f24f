"""A kind at work on a few cells: what it keeps, the tensor, and the way back from a head's answer to a value."""

from __future__ import annotations

import inspect
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from things import plain

from fathom.heads import HEADS
from fathom.kinds import KINDS, Kind
from fathom.registry import Entry
from fathom.signals import Ragged, SignalSpec

SAMPLES: tuple[pa.Array, ...] = (
    pa.array([21.5, 35.0, None, 60.25]),
    pa.array(["red", "blue", None, "red"]),
    pa.array([datetime(2026, 1, 31, 8, 30), datetime(2026, 2, 1, 17, 0), None, datetime(2026, 3, 1, 9, 45)]),
    pa.array([["sea", "sun"], ["sun"], None, []]),
    pa.FixedSizeListArray.from_arrays(pa.array([0.5, 1.0, -0.5, 2.0, 0.0, 3.0, 1.5, 1.0]), 2),
    pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(0, 256, 4, dtype=np.uint8).reshape(4, 4, 4)),
    pa.array(["a text of some words", "another text", None, "and one more"]),
)
"""Cells of many sorts; a kind shows those that it claims most firmly."""

NUMBERS_SHOWN = 40


def example(kind: Entry) -> list[str]:
    """Its methods' words, and where it claims one of the samples what they do with it."""
    parts = [_words(kind.factory)]
    column = _claimed(kind)
    return parts if column is None else [*parts, _worked(kind, column)]


def _words(factory: type[Kind]) -> str:
    said = {"Encoded": factory.encode, "For metrics": factory.truth, "Back": factory.decode}
    lines = []
    for name, method in said.items():
        words = " ".join((inspect.getdoc(method) or "").split()).replace('``""`` is', "its tensor is")
        lines.append(f"- {name}: {plain(words.replace('``', '`'))}")
    return "\n".join(lines)


def _claimed(kind: Entry) -> pa.ChunkedArray | None:
    columns = [pa.chunked_array([sample]) for sample in SAMPLES]
    claims = [(kind.factory.claim(column, target=False), column) for column in columns]
    firm = [(claim.confidence, k, column) for k, (claim, column) in enumerate(claims) if claim is not None]
    return max(firm, key=lambda found: (found[0], -found[1]))[2] if firm else None


def _worked(kind: Entry, column: pa.ChunkedArray) -> str:
    made = KINDS.build(kind.name, dict(kind.factory.fit(kind.factory.count(column))))
    lines = [f"cells    {_short(column.to_pylist())}"]
    for name, value in made.encode(column).items():
        lines.append(f"{name or 'tensor':8} {_shape(value)}\n{_indented(_told(value))}")
    head = HEADS.build(kind.facts["head"], SignalSpec(4), made.spec) if kind.facts.get("head") else None
    answer = head.trivial(1) if head is not None else None
    if answer is not None:
        decoded = made.decode({name: value.numpy() for name, value in answer.items()})
        lines.append("back     from what its head answers without looking at any input:")
        lines += [f"         {name or 'value'} {_short(cells.to_pylist()[0])}" for name, cells in decoded.items()]
    return "\n".join(["```text", *lines, "```"])


def _short(value: Any) -> str:
    if isinstance(value, list) and len(str(value)) > 70:
        return f"{len(value)} of {_short(value[0])}"
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return str(value) if isinstance(value, datetime) else "missing" if value is None else repr(value)


def _shape(value: torch.Tensor | Ragged) -> str:
    if isinstance(value, Ragged):
        return f"{len(value)} rows of {str(value.values.dtype).removeprefix('torch.')}"
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"


def _told(value: torch.Tensor | Ragged) -> str:
    if isinstance(value, Ragged):
        ends = value.offsets.tolist()
        return str([value.values[a:b].tolist() for a, b in pairwise(ends)])
    if value.numel() > NUMBERS_SHOWN:
        return f"the first row: {value[0].flatten().tolist()}"
    return "\n".join(str(row) for row in value.tolist())


def _indented(text: str) -> str:
    return "\n".join(f"         {line}" for line in text.splitlines())
