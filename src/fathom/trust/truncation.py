"""What it costs that long texts are cut: how many are, how much of them is lost, and how those rows score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fathom.heads.scoring import Judged, plain_metric
from fathom.kinds.text import CUT
from fathom.model import Model
from fathom.signals import Ragged
from fathom.trust.sentences import text_columns

__all__ = ["Truncation", "truncations"]


@dataclass(frozen=True)
class Truncation:
    """The rows of which a text was cut, beside the others.

    Attributes:
        column: that holds the text.
        length: the most tokens that are kept of one.
        rows: how many texts there are.
        cut: how many of them are cut.
        lost: share of all tokens that is cut off.
        metric: the first of the target.
        value: of the rows that are cut.
        elsewhere: of the others; None where there are none.
    """

    column: str
    length: int
    rows: int
    cut: int
    lost: float
    metric: str
    value: float | None
    elsewhere: float | None


def truncations(model: Model, table: pa.Table, target: str, judged: Judged, rows: np.ndarray) -> list[Truncation]:
    """Each column of which a text was cut.

    Args:
        model: that answered.
        table: N rows.
        target: that is scored.
        judged: the answers to S samples.
        rows: (S,) the row of each sample.
    """
    metric = model.metrics_of(target)[0]
    found = []
    for column in text_columns(model).values():
        kind = column.fitted
        assert kind is not None
        encoded = kind.encode(table[column.name])
        tokens, more = encoded[""], np.asarray(encoded[CUT])
        assert isinstance(tokens, Ragged)
        if not more.any():
            continue
        is_cut = more > 0
        lengths = tokens.lengths.numpy()
        found.append(
            Truncation(
                column.name,
                kind.spec.length,
                int((lengths > 0).sum()),
                int(is_cut.sum()),
                float(more.sum() / (more.sum() + lengths.sum())),
                metric,
                _scored(metric, judged, is_cut[rows]),
                _scored(metric, judged, ~is_cut[rows]),
            )
        )
    return found


def _scored(metric: str, judged: Judged, picked: np.ndarray) -> float | None:
    """A metric of some of the samples; None where none has a truth."""
    picked = picked & judged.known
    if not picked.any():
        return None
    weight = None if judged.weight is None else judged.weight[picked]
    answer = {key: value[picked] for key, value in judged.answer.items()}
    return plain_metric(metric, Judged(judged.truth[picked], weight, answer), answer)
