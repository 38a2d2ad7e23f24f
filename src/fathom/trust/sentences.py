"""Chosen rows of texts, short enough to be looked at token by token, and how each token is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from fathom.ensemble import Apart
from fathom.model import Model
from fathom.network import Network
from fathom.schema import Column
from fathom.signals import Batch, Ragged, Role, beside_key, input_key, target_key, to_device

__all__ = ["MOST_TOKENS", "Sentence", "first_member", "label_of", "pieces_of", "resting", "sentences", "text_columns"]

MOST_TOKENS, FEWEST_TOKENS = 24, 6
ROWS_LOOKED_AT = 256
GOES_ON = "##"  # before a piece inside a word


@dataclass(frozen=True)
class Sentence:
    """A row whose texts are short, or of which the beginning is taken.

    Attributes:
        row: its place in the table.
        batch: the row alone, on the network's device.
        pieces: of each tensor of texts the tokens of the row, as they are read.
    """

    row: int
    batch: Batch
    pieces: Mapping[str, tuple[str, ...]]

    def ids(self, key: str) -> torch.Tensor:
        """The tokens of one text, (T,) int64."""
        found = self.batch[key]
        assert isinstance(found, Ragged)
        return found.values


def text_columns(model: Model) -> dict[str, Column]:
    """The columns of texts, those that come in first, by their names in a batch."""
    inputs = {input_key(column.name): column for column in model.schema.of_role(Role.INPUT)}
    targets = {target_key(column.name): column for column in model.schema.of_role(Role.TARGET)}
    return {key: column for key, column in {**inputs, **targets}.items() if column.kind.name == "text"}


def pieces_of(column: Column, ids: torch.Tensor) -> tuple[str, ...]:
    """Each token (T,) as the piece of text that it stands for, with the blank before it; half a letter is �."""
    assert column.fitted is not None
    tokenizer: Any = column.fitted.tokenizer  # type: ignore[attr-defined]
    rows = [[token] for token in ids.tolist()]
    pieces = tokenizer.decode_batch(rows, skip_special_tokens=False)
    if tokenizer.decoder is not None and type(tokenizer.decoder).__name__ != "WordPiece":
        return tuple(pieces)
    whole = column.fitted.state["special"]  # the others of such a tokenizer hold no blanks
    return tuple(piece if piece in whole else _with_blank(piece) for piece in pieces)


def _with_blank(piece: str) -> str:
    return piece.removeprefix(GOES_ON) if piece.startswith(GOES_ON) else f" {piece}"


def sentences(
    model: Model, table: pa.Table, count: int, *, most: int = MOST_TOKENS, longest: bool = False
) -> list[Sentence]:
    """At most ``count`` rows with texts, of which windows of long texts are rows too.

    Args:
        model: whose texts they are.
        table: rows with every input and target column, of which the first are looked through.
        count: how many are chosen.
        most: the most tokens that are taken of a text; rows that fit come first.
        longest: whether the longest are chosen, not the first that fit.
    """
    columns = text_columns(model)
    store = model.schema.encode(table.slice(0, ROWS_LOOKED_AT), whole=False)
    drawn = [store.drawn(key) for key in columns]
    lengths = np.stack([rows.lengths.numpy() for rows in drawn if isinstance(rows, Ragged)])  # (texts, S)
    fits = ((lengths >= FEWEST_TOKENS) & (lengths <= most)).all(axis=0)
    order = np.argsort(-lengths[0] if longest else ~fits, kind="stable")
    order = order[(lengths[:, order] > 2).all(axis=0)][:count]  # begin and end alone are no text
    device = next(model.network.parameters()).device
    return [
        _shortened(int(store.samples.rows[place]), to_device(store.batch(torch.tensor([place])), device), columns, most)
        for place in order.tolist()
    ]


def _shortened(row: int, batch: Batch, columns: Mapping[str, Column], most: int) -> Sentence:
    batch, pieces = dict(batch), {}
    for key, column in columns.items():
        text = batch[key]
        assert isinstance(text, Ragged)
        batch[key] = short = Ragged(text.values[:most], text.offsets.clamp(max=most))
        pieces[key] = pieces_of(column, short.values)
    return Sentence(row, batch, pieces)


def first_member(model: Model) -> Network:
    """The network, of several that stand apart the first."""
    network = model.network.networks[0] if isinstance(model.network, Apart) else model.network
    assert isinstance(network, Network)
    return network


@contextmanager
def resting(network: nn.Module) -> Iterator[None]:
    """Without dropout, as long as it lasts."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def label_of(network: Network, sentence: Sentence, layer: str, count: int) -> tuple[str, ...]:
    """What to call the ``count`` tokens that a layer behind the inputs takes.

    Args:
        network: that has the layer.
        sentence: that passes it.
        layer: its name.
        count: how many tokens it takes of the sentence.
    """
    first, place, *_ = [*layer.split("."), ""]
    keys = [network.input_keys[int(place)]] if first == "branches" else list(network.input_keys)
    found: list[str] = []
    for key in keys:
        known = sentence.pieces.get(key)
        found += _numbered(network, sentence.batch, key) if known is None else known
    return tuple(found) if len(found) == count else tuple(f"{k + 1}" for k in range(count))


def _numbered(network: Network, batch: Batch, key: str) -> list[str]:
    """The tokens of what is no text, by their number."""
    chain: Any = network.branches[network.input_keys.index(key)]
    with torch.inference_mode():
        tokens = chain(batch.get(key), None, batch.get(beside_key(key, "size"))).tokens
    return [f"{key.partition('/')[2]} {k + 1}" for k in range(0 if tokens is None else tokens.shape[1])]
