"""Which tokens pull the answer: how much less likely it is without each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import torch
from torch import Tensor

from fathom.heads import HEADS
from fathom.model import Model
from fathom.signals import Batch, Ragged, input_key
from fathom.trust.sentences import Sentence, resting, text_columns

__all__ = ["Pull", "pulls_of"]

LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Pull:
    """One text of one row, and what each of its tokens does to the answer.

    Attributes:
        column: that holds the text.
        target: that is answered.
        truth: as the table has it.
        answer: the likeliest class.
        probability: of it.
        tokens: as they are read, without begin and end.
        pulls: by how much the logarithm of the answer's probability falls where a token is left out; below 0 it speaks
            against the answer.
    """

    column: str
    target: str
    truth: str
    answer: str
    probability: float
    tokens: tuple[str, ...]
    pulls: tuple[float, ...]


def pulls_of(model: Model, table: pa.Table, sentences: Sequence[Sentence], count: int) -> list[Pull]:
    """What the tokens of a few sentences do, wrong answers first, of which half are shown at most.

    Each token is left out in turn, and the answer computed again: exact for any net, where a gradient tells only of
    small changes of a vector that no token has.

    Source: Li, Monroe and Jurafsky 2016, section 3, with the difference of logarithms as it is, not as a share.

    Args:
        model: classifies texts.
        table: the rows.
        sentences: among which is chosen.
        count: how many.
    """
    keys = [key for key, column in text_columns(model).items() if key == input_key(column.name)]
    targets = [name for name in model.targets if _classifies(model, name)]
    if not keys or not targets or not sentences:
        return []
    target = targets[0]
    with resting(model.network), torch.inference_mode():
        answers = [_answer(model, target, sentence.batch) for sentence in sentences]
        truths = [str(table[target][sentence.row].as_py()) for sentence in sentences]
        wrong = [place for place, (answer, _) in enumerate(answers) if answer != truths[place]][: count // 2]
        right = [place for place, (answer, _) in enumerate(answers) if answer == truths[place]]
        chosen = [*wrong, *right][:count]
        return [
            _pull(model, (key, target), sentences[place], truths[place], answers[place][0])
            for place in chosen
            for key in keys
        ]


def _classifies(model: Model, target: str) -> bool:
    return HEADS.get(model.layout.heads[target].name).facts.get("probabilities") == "classes"


def _answer(model: Model, target: str, batch: Batch) -> tuple[str, Tensor]:
    """The likeliest class in words, and the probabilities (B, K)."""
    prediction = model.network.predict(batch, [target])[target]
    decoded = model.schema.decode(target, {key: value[:1].cpu().numpy() for key, value in prediction.items()})
    return str(decoded[target][0].as_py()), prediction["probability"].cpu()


def _pull(model: Model, asked: tuple[str, str], sentence: Sentence, truth: str, answer: str) -> Pull:
    key, target = asked
    ids = sentence.ids(key)
    inner = range(1, len(ids) - 1)
    _, probability = _answer(model, target, _without_each(sentence.batch, key, ids))
    chosen = int(probability[0].argmax())
    logarithms = probability[:, chosen].clamp(min=LEAST_PROBABILITY).log()
    return Pull(
        text_columns(model)[key].name,
        target,
        truth,
        answer,
        float(probability[0, chosen]),
        sentence.pieces[key][1 : len(ids) - 1],
        tuple((logarithms[0] - logarithms[1:]).tolist())[: len(inner)],
    )


def _without_each(batch: Batch, key: str, ids: Tensor) -> Batch:
    """The row whole, then without each of its tokens but the first and the last."""
    rows = [ids, *(torch.cat([ids[:place], ids[place + 1 :]]) for place in range(1, len(ids) - 1))]
    same = torch.zeros(len(rows), dtype=torch.int64, device=ids.device)
    repeated = {
        name: value.select(same) if isinstance(value, Ragged) else value.index_select(0, same)
        for name, value in batch.items()
    }
    changed = Ragged.of([row.cpu() for row in rows])
    return {**repeated, key: Ragged(changed.values.to(ids.device), changed.offsets.to(ids.device))}
