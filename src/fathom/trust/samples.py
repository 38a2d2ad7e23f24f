"""What a network writes: its answers to a few rows, or how it goes on with the beginnings of a few texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from fathom.heads.generate import Generate
from fathom.heads.writing import Sampling, Writer
from fathom.model import Model
from fathom.schema import Column
from fathom.signals import Role, target_key
from fathom.trust.sentences import Sentence, first_member, resting, text_columns

__all__ = ["Sample", "samples_of"]

MOST_LETTERS = 400
WRITTEN_TOKENS, MOST_GIVEN = 24, 8
DRAWN = Sampling(temperature=0.8, top_p=0.95)


@dataclass(frozen=True)
class Sample:
    """A text that was written.

    Attributes:
        target: the column that is written.
        given: what it is written from: the texts that come in, or the beginning.
        truth: the true text, or how it goes on.
        answers: what is written, by how: "answer"; or "likeliest" and "drawn", of a language model.
    """

    target: str
    given: Mapping[str, str]
    truth: str
    answers: Mapping[str, str]


def samples_of(model: Model, table: pa.Table, sentences: Sequence[Sentence]) -> list[Sample]:
    """What each head that writes makes of a few sentences.

    Args:
        model: of an ensemble that is a language model, the first member writes.
        table: the rows that the sentences are of.
        sentences: short ones; of a language model the first third of each is given.
    """
    columns, network = text_columns(model), first_member(model)
    found: list[Sample] = []
    for name, head in zip(network.head_names, network.heads, strict=True):
        column = columns.get(target_key(name))
        if not isinstance(head, Generate) or column is None or not sentences:
            continue
        if head.asks:
            found += _answered(model, name, table.take(pa.array([sentence.row for sentence in sentences])))
        else:
            found += [_continued(head, network, column, sentence, seed) for seed, sentence in enumerate(sentences)]
    return found


def _answered(model: Model, name: str, rows: pa.Table) -> list[Sample]:
    inputs = [column.name for column in model.schema.of_role(Role.INPUT) if column.kind.name == "text"]
    answers = model.predict(rows)[name]
    return [
        Sample(
            name,
            {column: _shown(rows[column][k].as_py()) for column in inputs},
            _shown(rows[name][k].as_py()),
            {"answer": _shown(answers[k].as_py())},
        )
        for k in range(rows.num_rows)
    ]


def _continued(head: Generate, network: Any, column: Column, sentence: Sentence, seed: int) -> Sample:
    ids = sentence.ids(target_key(column.name))
    given = max(2, min(MOST_GIVEN, len(ids) // 3))
    ways = {"likeliest": Sampling(), "drawn": DRAWN}
    with resting(network), torch.inference_mode():
        signal = network(sentence.batch)
        texts = {}
        for way, sampling in ways.items():
            first = ids[:given].unsqueeze(0)
            teller = head.teller(signal, 1, given + WRITTEN_TOKENS)
            writer = Writer(teller, first, end=head.spec.end, sampling=sampling, seeds=(seed,), never=head.never)
            texts[way] = _text(column, torch.cat([writer.step() for _ in range(WRITTEN_TOKENS)]), head.spec.end)
    beginning = _text(column, ids[1:given], head.spec.end)
    return Sample(column.name, {"beginning": beginning}, _text(column, ids[given:], head.spec.end), texts)


def _text(column: Column, ids: Tensor, end: int) -> str:
    """Tokens (T,) up to the end, as they are read."""
    assert column.fitted is not None
    ended = (ids == end).nonzero()
    kept = ids[: int(ended[0])] if len(ended) else ids
    tokenizer: Any = column.fitted.tokenizer  # type: ignore[attr-defined]
    return str(tokenizer.decode(kept.tolist(), skip_special_tokens=True))


def _shown(cell: Any) -> str:
    words = "" if cell is None else str(cell)
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 1]}…"
