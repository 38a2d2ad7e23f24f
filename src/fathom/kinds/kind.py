"""What a kind is: how a column becomes tensors, and how tensors become its values again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from fathom.errors import SchemaError
from fathom.registry import Registry
from fathom.signals import Ragged, Samples

__all__ = ["KINDS", "LEFT_OUT", "UNSEEN", "Claim", "Kind", "Statistics", "objects"]

KINDS = Registry("kind", "fathom.kinds")
"""Facts of a kind:

- ``packed``: its input columns travel as one tensor;
- ``shared``: columns with the same options share something that is fitted on all of them, see ``Kind.share``;
- ``padded``: networks pad its ragged rows to the longest of a batch;
- ``form``: the kind whose nets and heads it takes, where its tensors are like that one's;
- ``alone``: its options as a target that nothing comes in for;
- ``reads``: its options that name other columns, the cells of which it reads beside its own, see ``beside``;
- ``made_by``: its options that decide what is fitted, so that what another run fitted cannot be used with others;
- ``own``: parts of what is fitted that tell of the rows of one run alone, so that another goes without;
- ``entry``: the net that turns its tensor into a vector without learning a representation; without it the kind cannot
  come in;
- ``net``: its default net, if that is another;
- ``head``: its default head as a target; without it the kind cannot be asked for;
- ``rebuild``: the head that rebuilds it when there is no target; without it the kind cannot be rebuilt.
"""

Statistics = Mapping[str, Any]

UNSEEN = "unseen"
"""What a kind encodes beside its values where a cell holds one that training never saw: no answer is right there."""

LEFT_OUT = "left out"
"""What a kind encodes beside its values where something in a row that has one cannot be learned."""


@dataclass(frozen=True)
class Claim:
    """A kind's wish to have a column.

    Attributes:
        confidence: how sure it is, in 0 to 1.
        reason: why, in a few words for the table.
        options: the kind's options that the cells settle.
    """

    confidence: float
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Kind(ABC):
    """A fitted kind of one column.

    Args:
        state: what ``fit`` returned; plain JSON.
    """

    def __init__(self, state: Statistics) -> None:
        self.state = dict(state)

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        """Say how well this kind suits a column, from its type and all its cells; None if it has to be named.

        Raises:
            SchemaError: the column is of this kind but for a few cells, or can be read in two ways.
        """
        return None

    @classmethod
    @abstractmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        """Statistics of some training rows, plain JSON; ``weight`` is (N,) float64."""

    @classmethod
    @abstractmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        """The statistics of two sets of rows together."""

    @classmethod
    def locate(cls, column: pa.ChunkedArray, base: str) -> pa.ChunkedArray:
        """Cells that name files beside the source, with the source's directory before them."""
        return column

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        """What a model keeps of the statistics; plain JSON."""
        return statistics

    @classmethod
    def share(cls, own: Statistics, together: Statistics, *, told: bool) -> Statistics:
        """What ``fit`` returned of a column, with what is taken from all columns of such a kind together.

        Args:
            own: what ``fit`` returned.
            together: the merged statistics of all of them.
            told: whether one of them is to be told: a target, an input that is rebuilt, or one in which answers stand.
        """
        return own

    @classmethod
    def settle(cls, table: pa.Table, name: str, texts: Sequence[str], options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options of a target, with the columns named that its kind reads beside it.

        Args:
            table: all rows.
            name: of the target.
            texts: the columns of texts that come in.
            options: as they were given.

        Raises:
            SchemaError: there is no such column, or its cells do not fit the target's.
        """
        return options

    @classmethod
    def check(cls, column: pa.ChunkedArray) -> None:
        """Look at every cell whose reading may fail, so that a mistake is told before training and not after it.

        Raises:
            SourceError: cells cannot be read; it counts them and names the first.
        """
        return None

    @classmethod
    def cut(cls, column: pa.ChunkedArray, fractions: tuple[float, ...]) -> list[pa.ChunkedArray]:
        """Cut one long row into as many columns of one row as there are fractions, in order.

        Raises:
            SchemaError: a value of this kind cannot be cut.
        """
        raise SchemaError("the data has one row, too few to learn from; at least 10 rows are needed")

    @property
    @abstractmethod
    def spec(self) -> Any:
        """The plain description from which nets and heads are built."""

    @abstractmethod
    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """Tensors of a column: the values under ``""``, and whatever travels beside them under a name."""

    @abstractmethod
    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """Columns of a prediction: the values under ``""``, and what stands beside them under a name."""

    def of_rows(self, cells: pa.ChunkedArray | None) -> Kind:
        """This kind for the answers to some rows; one that reads other columns looks into their cells."""
        return self

    def places(self, column: pa.ChunkedArray) -> Ragged | None:
        """Of each token that ``encode`` makes (T, 2) the characters from and to which it goes; of most kinds none."""
        return None

    def left_out(self, encoded: Tensor | Ragged) -> list[str]:
        """In words, what LEFT_OUT tells of a target's rows."""
        return []

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """Encoded targets in the numbers that metrics take, (N,) or (N, D), or None where no metric takes them."""
        return None

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A head's prediction in the numbers that metrics take."""
        return dict(prediction)

    def unknown(self, column: pa.ChunkedArray) -> np.ndarray:
        """(N,) bool: which cells hold a value that this kind does not know from training; of most kinds none.

        Raises:
            SchemaError: a cell fits no value of this kind.
        """
        return np.zeros(len(column), bool)

    def samples(self, encoded: Tensor | Ragged) -> Samples:
        """What is counted as one sample where this kind is the target: a row, unless the kind says windows."""
        return Samples.whole(len(encoded))


def objects(cells: Sequence[Any]) -> np.ndarray:
    """Cells as (N,) of objects, texts of any length or lists among them."""
    return np.array([*cells, None], object)[:-1]
