"""Files larger than memory: their rows are written into Arrow files in the cache, which are mapped and not loaded.

A file that was read once is found there again, until it changes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.selection import LARGE_SHARE
from fathom.errors import SourceError
from fathom.progress import Work
from fathom.runtime import cache_directory, exclusive, fsync_directory, in_parallel, memory_limit_bytes

__all__ = ["Spool", "is_large_file", "read_together"]

FORMAT = 1
SHARD_BYTES = 1 << 23
PACKED_GROWTH = 8
"""How much larger than itself a packed file is taken to be in memory."""

FINISHED = "finished.json"

_TOGETHER: ContextVar[tuple[frozenset[Path], int]] = ContextVar("files read together", default=(frozenset(), 0))


def is_large_file(place: Path, growth: float = 1.0) -> bool:
    """Whether a file may take more memory than a table should.

    Args:
        place: of the file.
        growth: how much more memory its rows take than the file has bytes.
    """
    files, size_bytes = _TOGETHER.get()
    found = size_bytes if place in files else _unpacked_bytes(place)
    return found * growth > LARGE_SHARE * memory_limit_bytes()


@contextmanager
def read_together(files: Collection[Path]) -> Iterator[None]:
    """Inside the block each of the files is large where all of them together are."""
    before = _TOGETHER.set((frozenset(files), sum(map(_unpacked_bytes, files))))
    try:
        yield
    finally:
        _TOGETHER.reset(before)


def _unpacked_bytes(place: Path) -> int:
    return place.stat().st_size * (PACKED_GROWTH if place.suffix == ".gz" else 1)


class Spool:
    """The folder of the cache for the rows of one file, as it is now and read with some options.

    Args:
        place: absolute path of the file.
        options: of its reader.
    """

    def __init__(self, place: Path, options: Mapping[str, Any]) -> None:
        status = place.stat()
        about = [
            FORMAT,
            status.st_size,
            status.st_mtime_ns,
            sorted((name, repr(value)) for name, value in options.items()),
        ]
        of_file = cache_directory() / "tables" / sha256(os.fsencode(place)).hexdigest()[:16]
        self.place, self.folder = place, of_file / sha256(json.dumps(about).encode()).hexdigest()[:16]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder, and wait for whoever else writes into it.

        Raises:
            SourceError: nothing can be written there.
        """
        with self._errors_told():
            self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder.parent, lambda: None):
            with self._errors_told():
                for other in self.folder.parent.iterdir():
                    if other != self.folder:  # of the file as it was before, or read otherwise
                        shutil.rmtree(other)
                for leftover in self.folder.glob("*.tmp"):
                    leftover.unlink()
            yield

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(
                f"{self.place}: it is larger than memory, so its rows go to {self.folder}: {error} "
                "(FATHOM_CACHE names another place)"
            ) from error

    def found(self) -> tuple[pa.Table, tuple[str, ...]] | None:
        """The rows and the notes of a file that was read before, or None."""
        path = self.folder / FINISHED
        if not path.exists():
            return None
        about = json.loads(path.read_text())
        return self._mapped("rows", about["shards"]), tuple(about["notes"])

    def finish(self, table: pa.Table, notes: Sequence[str]) -> tuple[str, ...]:
        """Note that all rows of the table are there, and let go of what led to them.

        Returns:
            The notes, and one that tells where the rows are.
        """
        shards = len(list(self.folder.glob("rows-*.arrow")))
        told = f"larger than memory, so its rows ({table.nbytes / 1e9:.1f} GB) are mapped from {self.folder}"
        content = {"shards": shards, "notes": [*notes, told]}
        _write(self.folder / FINISHED, lambda path: path.write_text(json.dumps(content)))
        for path in self.folder.iterdir():
            if not path.name.startswith(("rows-", FINISHED)):
                path.unlink()
        return (*notes, told)

    def written(self, name: str, pieces: Iterable[pa.Table], schema: pa.Schema | None = None) -> pa.Table:
        """Write pieces of a table into Arrow files, several to a file, and return them mapped.

        Args:
            name: of the files.
            pieces: one after another; all have one schema.
            schema: what they have, where there may be none of them.
        """
        self._marker(name).unlink(missing_ok=True)
        for path in self.folder.glob(f"{name}-*.arrow"):
            path.unlink()
        number = 0
        for number, shard in enumerate(_gathered(pieces), start=1):
            self._write_shard(name, number - 1, shard)
        pa.default_memory_pool().release_unused()
        return self._mapped(name, number) if number or schema is None else schema.empty_table()

    def keep(self, name: str, key: str) -> None:
        """Note that the files of a name are as they should be, so that a reading that is killed goes on from there.

        Args:
            name: of files that were written.
            key: of how they came about.
        """
        _write(self._marker(name), lambda path: path.write_text(key))

    def kept(self, name: str, key: str) -> pa.Table | None:
        """The files of a name, if they were noted with that key."""
        marker = self._marker(name)
        if not marker.exists() or marker.read_text() != key:
            return None
        return self._mapped(name, len(list(self.folder.glob(f"{name}-*.arrow"))))

    def made_of(self, source: str, name: str, make: Callable[[pa.Table], pa.Table], told: str) -> pa.Table:
        """Make files of the files of another name, in parallel; those that are there already are kept.

        Args:
            source: the name of the files that are there.
            name: of the files to be made.
            make: a piece of a table from a piece.
            told: what is being done, for the progress that is shown.
        """
        count = len(list(self.folder.glob(f"{source}-*.arrow")))
        missing = [number for number in range(count) if not self._path(name, number).exists()]

        def one(number: int) -> None:
            self._write_shard(name, number, make(self._one_mapped(source, number)))

        first = count - len(missing)
        with Work(told, count, "shards") as done:
            done(first)
            for number, _ in enumerate(in_parallel(one, missing), start=first + 1):
                done(number)
        return self._mapped(name, count)

    def _write_shard(self, name: str, number: int, shard: pa.Table) -> None:
        def write(path: Path) -> None:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, shard.schema) as writer:
                writer.write_table(shard)

        with self._errors_told():
            _write(self._path(name, number), write)

    def _mapped(self, name: str, count: int) -> pa.Table:
        shards = [self._one_mapped(name, number) for number in range(count)]
        return pa.concat_tables(shards) if shards else pa.table({})

    def _one_mapped(self, name: str, number: int) -> pa.Table:
        return pa.ipc.open_file(pa.memory_map(str(self._path(name, number)))).read_all()

    def _marker(self, name: str) -> Path:
        return self.folder / f"{name}.kept"

    def _path(self, name: str, number: int) -> Path:
        return self.folder / f"{name}-{number:05d}.arrow"


def _gathered(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Pieces joined until they are as large as a file should be."""
    waiting: list[pa.Table] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(table.nbytes for table in waiting) >= SHARD_BYTES:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is there whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_directory(path.parent)
