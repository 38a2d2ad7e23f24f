"""Where the training rows are while a run lasts: in memory, or encoded into files that are read as they are drawn."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from fathom.api.rows import Rows
from fathom.data.selection import Selection
from fathom.data.sharded import SHARD_BYTES, ShardedStore, write_shards
from fathom.data.store import Store, TensorStore
from fathom.errors import Diverged, InputError, SourceError
from fathom.model import Model
from fathom.progress import Work
from fathom.runtime import cache_directory, memory_limit_bytes

__all__ = ["training_store"]

STORE_SHARE = 1 / 4
"""Encoded rows beyond this share of the memory go into files."""

FORMAT = 1
ROWS_MEASURED, FEWEST_ROWS_IN_FILES = 256, 4096


@contextmanager
def training_store(model: Model, rows: Rows, directory: Path | None) -> Iterator[Store]:
    """The training rows encoded, in memory where they fit into it.

    Files stand in the cache, and are gone when the block ends well; those of a run with a directory stay when it is
    stopped or fails, so that the run finds them when it is resumed.

    Args:
        model: encodes, and computes what no training changes.
        rows: the rows of the run.
        directory: the run's, or None.
    """
    train = rows.train if isinstance(rows.train, Selection) else Selection(rows.train)
    row_bytes = _row_bytes(model, train) if train.num_rows >= FEWEST_ROWS_IN_FILES else 0.0
    in_memory = row_bytes * train.num_rows <= STORE_SHARE * memory_limit_bytes()
    if in_memory and isinstance(rows.train, pa.Table):
        yield model.prepared(rows.train)
        return
    with _place(model, rows, directory) as place:
        store = _written(model, train, place, max(1, int(SHARD_BYTES / max(row_bytes, 1.0))))
        try:
            yield store
        finally:
            store.close()


def _written(model: Model, train: Selection, place: Path, rows_per_shard: int) -> ShardedStore:
    cuts = train.cuts(rows_per_shard)

    def encode(number: int) -> TensorStore:
        return model.prepared(train.between(*cuts[number]), whole=False)

    with Work("encoding", len(cuts), "shards") as done:
        write_shards(place, len(cuts), encode, done)
    return ShardedStore(place)


@contextmanager
def _place(model: Model, rows: Rows, directory: Path | None) -> Iterator[Path]:
    """A folder of the cache that is this run's own."""
    above = cache_directory() / "encoded"
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="unnamed-", dir=_made(above)) as name:
            yield Path(name)
        return
    of_run = above / sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    place = _made(of_run / _key(model, rows))
    for other in of_run.iterdir():
        if other != place:  # of what this directory held before
            shutil.rmtree(other)
    try:
        yield place
    except (Diverged, InputError):  # what cannot be resumed
        shutil.rmtree(of_run)
        raise
    shutil.rmtree(of_run)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"{folder}: rows beyond memory are encoded there: {error}; set FATHOM_CACHE") from error
    return folder


def _key(model: Model, rows: Rows) -> str:
    """A name that differs where the encoded rows would: by the data, the split, what encodes, and how."""
    assert isinstance(rows.train, pa.Table | Selection)
    digest = sha256()
    about = [FORMAT, SHARD_BYTES, rows.source.fingerprint, model.schema.state(), model.layout.state()]
    about.append(sorted(model.network.altered))
    digest.update(json.dumps(about, sort_keys=True).encode())
    kept = rows.train.kept if isinstance(rows.train, Selection) else None
    digest.update(b"" if kept is None else kept.buffers()[1])
    return digest.hexdigest()[:16]


def _row_bytes(model: Model, train: Selection) -> float:
    """How much memory a row takes once it is encoded, from rows that are spread evenly over all."""
    few = model.prepared(train.spread(ROWS_MEASURED), whole=False)
    return few.size_bytes / few.num_rows
