"""Plain features for light models: numbers scaled, categories one-hot, words counted, pictures small and grey."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.checks.examined import Examined
from fathom.data.columns import holds_text
from fathom.inference import FREE_TEXT
from fathom.schema import Column
from fathom.signals import Role

__all__ = ["MOST_TOPICS", "dense_features", "texts", "word_features"]

MOST_CATEGORIES = 64
MOST_NUMBERS = 256
MOST_PIXELS = 64
MOST_TOPICS = 50
BORDERS = (0.01, 0.99)
FEWEST_WORDS = 6
"""On average, for strings to be text."""


def texts(examined: Examined) -> list[str]:
    """The columns of text: those of that kind, and strings of several words that were taken for free text."""
    return [column.name for column in examined.schema.columns if _is_text(column, examined.train)]


def _is_text(column: Column, table: pa.Table) -> bool:
    cells = table[column.name]
    if not holds_text(cells.type):
        return False
    if column.kind.name == "text":
        return column.role is Role.INPUT
    free = column.role is Role.IGNORE and column.reason.startswith(FREE_TEXT)
    return free and (pc.mean(pc.count_substring(pc.utf8_trim(cells, " "), " ")).as_py() or 0) >= FEWEST_WORDS - 1


def word_features(examined: Examined, rows: np.ndarray, columns: list[str]) -> Any:
    """(R, words) sparse: how often each word stands in the columns of text, rare ones counting more."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    joined = pc.binary_join_element_wise(
        *(pc.cast(examined.train[name].take(pa.array(rows)), pa.large_string()) for name in columns),
        pa.scalar(" ", pa.large_string()),
        null_handling="skip",
    )
    return TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(joined.to_pylist())


def dense_features(examined: Examined, rows: np.ndarray, without: Collection[str]) -> np.ndarray:
    """(R, D) float32 of some rows' numbers, categories, text and pictures, about zero and of like size."""
    parts = [_numbers(examined, rows, without)]
    parts += [_one_hot(codes[rows]) for name, codes in examined.words.items() if name not in without]
    if columns := texts(examined):
        parts.append(_topics(word_features(examined, rows, columns)))
    for column in examined.pictures:
        small = examined.thumbnails("train", column.name)
        parts.append(_pixels(small.pixels[np.searchsorted(small.rows, rows)]))
    return np.concatenate([part for part in parts if part.shape[1]] or parts, axis=1, dtype=np.float32)


def _numbers(examined: Examined, rows: np.ndarray, without: Collection[str]) -> np.ndarray:
    """Standardised, what lies outside of all but 2 in 100 of the values brought to their border; missing ones 0."""
    block = examined.block
    places = [place for place, name in enumerate(block.names) if name not in without]
    places = places[:: max(1, -(-len(places) // MOST_NUMBERS))]
    values = block.values[np.ix_(rows, np.array(places, np.int64))]
    values = np.where(np.isfinite(values), values, np.nan)
    values = values[:, ~np.isnan(values).all(axis=0)]
    if not values.shape[1]:
        return values
    values = np.clip(values, *np.nanquantile(values, BORDERS, axis=0))
    deviation = np.nanstd(values, axis=0)
    scaled: np.ndarray = (values - np.nanmean(values, axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return np.nan_to_num(scaled)


def _one_hot(codes: np.ndarray) -> np.ndarray:
    """Its commonest categories, missing being one."""
    counts = np.bincount(codes + 1)
    common = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    return (codes[:, None] + 1 == common[counts[common] > 0]).astype(np.float32)


def _topics(words: Any) -> np.ndarray:
    """Directions in which words vary together (latent semantic analysis; Deerwester et al. 1990)."""
    from sklearn.decomposition import TruncatedSVD

    count = min(MOST_TOPICS, words.shape[1] - 1)
    found: np.ndarray = TruncatedSVD(count, random_state=0).fit_transform(words) * 10
    return found


def _pixels(pixels: np.ndarray) -> np.ndarray:
    """The components of small pictures that vary most."""
    from sklearn.decomposition import PCA

    if pixels.std() == 0:
        return pixels[:, :0]
    count = min(MOST_PIXELS, *pixels.shape)
    found: np.ndarray = PCA(count, random_state=0).fit_transform(pixels / 255)
    return found
