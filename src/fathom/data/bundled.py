"""The data sets that come with scikit-learn, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fathom.data.arrays import array_column
from fathom.data.readers import READERS
from fathom.data.source import KnownSet, Source

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_bundled"]

BUNDLED = {
    "breast-cancer": KnownSet("cells of a lump, measured: malignant or benign?", 569, "CC BY 4.0", ("class",)),
    "diabetes": KnownSet("people with diabetes: how it is a year later", 442, "none stated", ("target",)),
    "digits": KnownSet("pictures of 8x8: which digit was written?", 1_797, "CC BY 4.0", ("digit",)),
    "iris": KnownSet("flowers, measured: which of 3 species?", 150, "CC BY 4.0", ("class",)),
    "wine": KnownSet("wines by their chemistry: which of 3 growers?", 178, "CC BY 4.0", ("class",)),
}
DIGITS_INK = 16
"""The value of full ink in scikit-learn's digits."""


@READERS.register("scikit-learn", sets=BUNDLED)
def read_bundled(name: str) -> Source:
    """Read a data set that needs no file.

    Args:
        name: ``digits`` (pictures of 8x8 with the target ``digit``), ``breast-cancer``, ``iris``, ``wine``
            (tables with the target ``class``) or ``diabetes`` (a table in its own units with the target
            ``target``).
    """
    table, target = _digits() if name == "digits" else _table(name)
    return Source({"train": table}, (target,), name, None, (f"bundled with scikit-learn: {name}",))


def _digits() -> tuple[pa.Table, str]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pictures = np.round(bunch.images * (255 / DIGITS_INK)).astype(np.uint8)  # (N, 8, 8)
    return _columns({"image": pictures, "digit": bunch.target}), "digit"


def _table(name: str) -> tuple[pa.Table, str]:
    bunch = _loader(name)()
    columns = dict(zip(map(str, bunch.feature_names), bunch.data.T, strict=True))
    if name == "diabetes":
        return _columns({**columns, "target": bunch.target}), "target"
    return _columns({**columns, "class": np.asarray(bunch.target_names)[bunch.target]}), "class"


def _loader(name: str) -> Callable[[], Any]:
    from functools import partial

    from sklearn import datasets

    loaders: dict[str, Callable[[], Any]] = {
        "breast-cancer": datasets.load_breast_cancer,
        "diabetes": partial(datasets.load_diabetes, scaled=False),
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
    }
    return loaders[name]


def _columns(arrays: dict[str, np.ndarray]) -> pa.Table:
    return pa.table({name: array_column(values, name, "scikit-learn") for name, values in arrays.items()})
