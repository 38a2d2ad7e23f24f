"""What happens to texts in a network, of a few of them: for the report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from fathom.model import Model
from fathom.trust.attention import Attention, attention_of
from fathom.trust.gates import Gates, Reach, gates_of, reaches_of
from fathom.trust.pulls import Pull, pulls_of
from fathom.trust.samples import Sample, samples_of
from fathom.trust.sentences import sentences, text_columns

__all__ = ["Texts", "texts_of"]

SHOWN = 4  # rows of what is written, and of tokens that pull
ALIGNED = 2  # sentences of which what crosses is shown
LOOKED_THROUGH = 16
PULLED_TOKENS = 48  # of a text, each of which is left out in turn
FAR_ROWS, FAR_TOKENS = 4, 64


@dataclass(frozen=True)
class Texts:
    """A few texts in a network; what it does not have is empty.

    Attributes:
        samples: what it writes.
        pulls: which tokens pull its answer.
        attentions: of each sentence every attention.
        gates: along a sentence.
        reaches: how much a state depends on the token k places before it, in its own net and in others at their start.
    """

    samples: Sequence[Sample] = ()
    pulls: Sequence[Pull] = ()
    attentions: Sequence[Sequence[Attention]] = ()
    gates: Gates | None = None
    reaches: Sequence[Reach] = ()

    def without_rows(self) -> Texts:
        """What is about no single row."""
        return replace(self, samples=(), pulls=(), attentions=(), gates=None)


def texts_of(model: Model, table: pa.Table, *, private: bool = False) -> Texts | None:
    """Look at what a model makes of the texts of some rows; None where there are none.

    Args:
        model: trained.
        table: rows with every input and target column.
        private: whether to leave out what shows single rows.
    """
    if not text_columns(model):
        return None
    far = sentences(model, table, FAR_ROWS, most=FAR_TOKENS, longest=True)
    found = Texts(reaches=reaches_of(model, far))
    if private:
        return found
    short = sentences(model, table, SHOWN)
    longer = sentences(model, table, LOOKED_THROUGH, most=PULLED_TOKENS)
    return replace(
        found,
        samples=samples_of(model, table, short),
        pulls=pulls_of(model, table, longer, SHOWN),
        attentions=[attention_of(model, sentence) for sentence in short[:ALIGNED]],
        gates=gates_of(model, short[0]) if short else None,
    )
