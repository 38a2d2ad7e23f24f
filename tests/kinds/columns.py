"""Columns of every sort: a contract test gives each registered thing those that its kind claims."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image as Pillow
from torch import Tensor

from fathom.data.source import IMAGE_TYPE
from fathom.kinds import KINDS, Kind
from fathom.registry import Entry
from fathom.signals import Ragged

ROWS = 40
SIDE = 8
PLACES = [(name, pa.list_(pa.int64())) for name in ("begins", "ends")]
ANSWERS = pa.struct([("own", pa.string()), ("within", pa.string()), *PLACES])
TAGGED = pa.struct([("own", pa.list_(pa.string())), ("within", pa.list_(pa.string())), *PLACES])
WORDS = ("amber", "blue", "coral", "denim", "ebony")
TAGS = tuple(f"tag {letter}" for letter in "abcdefghijklmnopqrst")


def columns(seed: int = 0) -> dict[str, pa.ChunkedArray]:
    """Forty rows of each sort of column, in two chunks, none missing."""
    draw, other, third = (np.random.default_rng(of) for of in (seed, (seed, 1), (seed, 2)))
    words = draw.choice(WORDS, ROWS)
    pictures = _pictures(draw, channels=3)
    pairs = [third.choice(WORDS, 2, replace=False).tolist() for _ in range(ROWS)]
    found: dict[str, Any] = {
        "floats": draw.normal(3, 2, ROWS),
        "whole numbers": draw.integers(-500, 500, ROWS),
        "few whole numbers": np.arange(ROWS) % 3,
        "nanoseconds": 1_700_000_000_000_000_000 + draw.integers(0, 10**12, ROWS),
        "float16": draw.normal(0, 1, ROWS).astype(np.float16),
        "decimals": pa.array([Decimal(int(value)) / 100 for value in draw.integers(0, 10_000, ROWS)]),
        "yes or no": draw.random(ROWS) < 0.4,
        "words": words,
        "dictionary": pa.array(words).dictionary_encode(),
        "sentences": [" ".join(draw.choice(WORDS, draw.integers(3, 9))) for _ in range(ROWS)],
        "long sentences": [" ".join(other.choice(WORDS, other.integers(6, 12))) for _ in range(ROWS)],
        "lists of words": [_some(TAGS, draw, 0, 8) for _ in range(ROWS)],
        "times": pa.array(draw.integers(0, 10**9, ROWS), pa.timestamp("s")),
        "dates": pa.array(draw.integers(0, 20_000, ROWS).astype(np.int32), pa.date32()),
        "blocks": pa.FixedSizeListArray.from_arrays(pa.array(draw.normal(0, 1, ROWS * 3)), 3),
        "series": [draw.normal(0, 1, draw.integers(5, 12)) for _ in range(ROWS)],
        "grey pictures": pa.FixedShapeTensorArray.from_numpy_ndarray(_pictures(draw, channels=1)),
        "colour pictures": pa.FixedShapeTensorArray.from_numpy_ndarray(pictures),
        "noise": pa.FixedShapeTensorArray.from_numpy_ndarray(draw.integers(0, 256, (ROWS, SIDE, SIDE), dtype=np.uint8)),
        "picture files": pa.array([{"bytes": _png(picture), "path": None} for picture in pictures], IMAGE_TYPE),
        "words between bars": ["|".join(_some(WORDS, draw, 1, 5)) for _ in range(ROWS)],
        "written times": [str(np.datetime64(int(second), "s")) for second in draw.integers(0, 10**9, ROWS)],
        "written dates": [
            f"{draw.integers(1, 29)}.{draw.integers(1, 13)}.{draw.integers(1990, 2030)}" for _ in range(ROWS)
        ],
        "answers in texts": pa.array([_beside(words, _piece(words, k % 4)) for k, words in enumerate(pairs)], ANSWERS),
        "tags of words": pa.array([_beside(words, [word[0].upper() for word in words]) for words in pairs], TAGGED),
        "lists of three": pa.array(draw.normal(0, 1, (ROWS, 3)).tolist()),
    }
    return {name: in_two_chunks(values) for name, values in found.items()}


def _piece(words: list[str], which: int) -> str:
    """The first of two words, the second, both, or none."""
    return (words[0], words[1], " ".join(words), "")[which]


def _beside(words: list[str], own: Any) -> dict[str, Any]:
    """A cell joined with the words that it is about, each of which is a token."""
    first, whole = len(words[0]), len(" ".join(words))
    within = words if isinstance(own, list) else " ".join(words)
    return {"own": own, "within": within, "begins": [-1, 0, first + 1, -1], "ends": [-1, first, whole, -1]}


def in_two_chunks(values: Any) -> pa.ChunkedArray:
    whole = values if isinstance(values, pa.Array) else pa.array(values)
    half = len(whole) // 2
    return pa.chunked_array([whole[:half], whole[half:]])


def claimed(*, target: bool = False) -> list[tuple[str, str]]:
    """Each kind with each sort of column that it claims."""
    sorts = columns().items()
    return [(entry.name, name) for entry in KINDS for name, cells in sorts if entry.factory.claim(cells, target=target)]


def sorts_of(kind: str, *, target: bool = False) -> list[str]:
    """The sorts of column that a kind claims, the surest first."""
    sorts = columns()
    claims = {name: KINDS.get(kind).factory.claim(cells, target=target) for name, cells in sorts.items()}
    return sorted((name for name, claim in claims.items() if claim), key=lambda name: -claims[name].confidence)


def fitted(kind: str, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Kind:
    factory = KINDS.get(kind).factory
    return KINDS.build(kind, factory.fit(factory.count(column, weight)))


def taken(value: Tensor | Ragged, index: list[int] | Tensor) -> Tensor | Ragged:
    """Some rows of what travels in a batch."""
    index = torch.as_tensor(index)
    return value.select(index) if isinstance(value, Ragged) else value[index]


def of_form(kind: str) -> list[str]:
    """The kinds whose columns pass the nets and heads of a kind: itself first."""
    others = [entry.name for entry in KINDS if entry.facts.get("form") == kind]
    return [kind, *others]


def excused(entry: Entry, contract: str) -> str:
    """Why a registered thing cannot pass a contract, as its registration says it, or nothing."""
    return entry.exempt.get(contract, "")


def same_tensors(first: Tensor | Ragged, second: Tensor | Ragged) -> bool:
    if isinstance(first, Ragged) and isinstance(second, Ragged):
        return torch.equal(first.values, second.values) and torch.equal(first.offsets, second.offsets)
    return bool(torch.equal(torch.nan_to_num(first, nan=-7.5), torch.nan_to_num(second, nan=-7.5)))  # type: ignore


def _pictures(draw: np.random.Generator, channels: int) -> np.ndarray:
    """(N, SIDE, SIDE) or (N, SIDE, SIDE, 3) uint8: a plain ground with one quarter of another shade."""
    shape = (ROWS, 1, 1) if channels == 1 else (ROWS, 1, 1, channels)
    pictures = np.broadcast_to(draw.integers(0, 256, shape), (ROWS, SIDE, SIDE, *shape[3:])).astype(np.uint8)
    pictures[:, : SIDE // 2, : SIDE // 2] = draw.integers(0, 256, shape)
    return pictures


def _some(words: tuple[str, ...], draw: np.random.Generator, fewest: int, below: int) -> list[str]:
    return sorted(draw.choice(words, draw.integers(fewest, below), replace=False).tolist())


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
