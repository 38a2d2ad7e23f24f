"""A table of several times the memory of the process: how fast it trains, and how much memory that takes.

The process that trains from files may have no more than LIMIT of its own memory (RLIMIT_DATA); each file leaves the
file cache when it has been read, so that every epoch reads the disk (the figures say whether it did: some file systems
keep what they are asked to drop). The other one holds the same encoded rows in memory,
without a limit, and trains the same network for the same number of steps. Both compute with one thread: the thread that
reads ahead needs a processor, beside which two threads of a small network wait for each other.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from report import table, told_with, write_section
from torch import Tensor

from fathom.data.tensorfile import TensorFile
from fathom.training.engine import Task
from fathom.training.hooks import Hook, Moment

LIMIT_MB, TIMES, EPOCHS, COLUMNS, BATCH = 768, 8, 2, 127, 512
ROWS_AT_ONCE = 20_000
SECONDS_BETWEEN_LOOKS = 0.05
COMMAND = "python benchmarks/beyond_memory.py"
PLACES = ("files", "memory")
# RLIMIT_DATA counts addresses that were only reserved: Arrow's other allocator takes 128 MB at its start, and glibc
# keeps a heap for each thread.
ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
CACHE = {
    True: "A file leaves the file cache when it has been read.",
    False: "The file cache of this machine could not be emptied, so that files may have come from it.",
}
HEAD = ("training rows", "samples/s", "own memory in each epoch (RssAnon), MB", "peak of it", "read in each epoch, MB")


def main() -> None:
    """Measure, print, and write the page where everything was measured."""
    asked = _arguments()
    if asked.measure:
        print(json.dumps(_measured(asked)))
        return
    size_bytes = asked.times * (asked.limit_mb << 20)
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        free = shutil.disk_usage(name).free
        if free < 2 * size_bytes:
            sys.exit(f"{name} has {free / 1e9:.0f} GB free; {2 * size_bytes / 1e9:.0f} GB are needed (--folder)")
        path = Path(name, "rows.arrow")
        write_rows(path, size_bytes)
        found = {place: _child(path, place, asked) for place in PLACES}
    if asked.json:
        print(json.dumps(found))
        return
    section = _section(found, asked)
    print(section)
    if (asked.limit_mb, asked.times, asked.epochs) == (LIMIT_MB, TIMES, EPOCHS):
        write_section("beyond_memory", section)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--limit-mb", type=int, default=LIMIT_MB, help="of the process that trains from files")
    parser.add_argument("--times", type=int, default=TIMES, help="how many times the limit the table is")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--folder", help="where the table and the encoded rows stand for a while")
    parser.add_argument("--json", action="store_true", help="print the figures alone")
    parser.add_argument("--measure", nargs=2, metavar=("PATH", "PLACE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def write_rows(path: Path, size_bytes: int) -> None:
    """Write a table of COLUMNS numbers and a target as an Arrow file."""
    draw, names = np.random.default_rng(0), [f"x{k}" for k in range(COLUMNS)]
    weight = draw.normal(size=COLUMNS) / COLUMNS**0.5
    schema = pa.schema([(name, pa.float64()) for name in (*names, "y")])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for _ in range(size_bytes // (ROWS_AT_ONCE * 8 * (COLUMNS + 1))):
            x = draw.normal(size=(ROWS_AT_ONCE, COLUMNS))
            y = np.tanh(x @ weight) + 0.1 * draw.normal(size=ROWS_AT_ONCE)
            writer.write_table(pa.table([*x.T, y], schema=schema))


def _child(path: Path, place: str, asked: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(path), place, "--limit-mb", str(asked.limit_mb)]
    caches = {"FATHOM_CACHE": str(path.parent / "cache")}
    done = subprocess.run(
        [*command, "--epochs", str(asked.epochs)],
        env=os.environ | ENVIRONMENT | caches,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _section(found: dict[str, dict[str, Any]], asked: argparse.Namespace) -> str:
    rows = []
    for place, one in found.items():
        anonymous = ", ".join(f"{epoch['anonymous_mb']:,.0f}" for epoch in one["epochs"])
        read = ", ".join(f"{epoch['read_mb']:,.0f}" for epoch in one["epochs"])
        rows.append((f"in {place}", f"{one['samples_per_s']:,.0f}", anonymous, f"{one['peak_mb']:,.0f}", read))
    ratio = found["files"]["samples_per_s"] / found["memory"]["samples_per_s"]
    told = (
        f"A table of {asked.times * asked.limit_mb / 1024:g} GB ({found['files']['rows']:,} training rows of "
        f"{COLUMNS} numbers) in a process that may have {asked.limit_mb} MB (RLIMIT_DATA; at most "
        f"{found['files']['peak_data_mb']:,.0f} MB were taken, of which torch and fathom take "
        f"{found['files']['start_data_mb']:,.0f} MB before anything is read), batch {BATCH}: "
        f"{ratio:.2f} of the speed in memory. {CACHE[found['files']['can_empty_cache']]}"
    )
    command = f"{COMMAND} --limit-mb {asked.limit_mb} --times {asked.times} --epochs {asked.epochs}"
    parts = [told, told_with(command, ("torch", "fathom-nn", "pyarrow")), table(HEAD, rows)]
    return "## Beyond memory\n\n" + "\n\n".join(parts)


# --- in a process of its own --------------------------------------------------------------------------------


def _measured(asked: argparse.Namespace) -> dict[str, Any]:
    from fathom.training.budget import Budget
    from fathom.training.engine import Trainer

    path, in_memory = Path(asked.measure[0]), asked.measure[1] == "memory"
    # Both see the limit while they prepare the rows, so that these are the same; the one in memory is then freed of it.
    _limit(asked.limit_mb << 20)
    watch = Watch(path.parent)
    with _task(path, watch, in_memory=in_memory) as task:
        trainer = Trainer(task, batch_size=BATCH, threads=1)
        outcome = trainer.run(Budget(epochs=asked.epochs))
    watch.stop()
    return {
        "rows": task.samples,
        "samples_per_s": outcome.samples_per_s,
        "skill": outcome.best,
        "epochs": watch.epochs,
        "can_empty_cache": watch.can_empty_cache,
        "start_data_mb": watch.start_data_mb,
        "peak_mb": watch.peak_mb,
        "peak_data_mb": watch.peak_data_mb,
    }


def _limit(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, resource.RLIM_INFINITY))


@contextmanager
def _task(path: Path, watch: Watch, *, in_memory: bool) -> Iterator[Task]:
    from fathom.api.rows import prepare
    from fathom.api.stores import training_store
    from fathom.config import Config
    from fathom.data import read
    from fathom.data.store import Batches
    from fathom.data.tensorfile import read_joined
    from fathom.layout import choose_layout
    from fathom.model import Model

    asked = Config.of({"target": "y", "valid": 0.02, "test": 0})
    rows = prepare(read(path), None, asked, lambda line: print(line, file=sys.stderr))
    model = Model(rows.schema, choose_layout(rows.schema.inputs(), rows.schema.targets()))
    valid = model.prepared(rows.valid)

    def validate() -> tuple[float, dict[str, float]]:
        skill = model.skill(valid)
        return skill, {"skill": skill}

    with training_store(model, rows, None) as store:
        if in_memory:
            _limit(resource.RLIM_INFINITY)
            store = read_joined(store.files)
        else:
            store.files = [Uncached(file.path) for file in store.files]
            watch.can_empty_cache = can_empty_cache(store.files[0].path)
        yield Task(model.network, partial(Batches, store, seed=0), len(store), validate, hooks=(watch,))


class Uncached(TensorFile):
    """A file of tensors that leaves the file cache when it has been read."""

    def read_into(self, targets: dict[str, Tensor]) -> None:
        super().read_into(targets)
        _drop(self.path)


def can_empty_cache(path: Path) -> bool:
    """Whether a file that was read and dropped comes from the disk when it is read again."""
    path.read_bytes()
    _drop(path)
    before_mb = _read_mb()
    path.read_bytes()
    read_mb = _read_mb() - before_mb
    _drop(path)
    return read_mb > 0.9 * path.stat().st_size / 2**20


def _drop(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Watch(Hook):
    """Looks at the memory of this process, and empties the file cache before the first epoch.

    Args:
        folder: whose files are to leave the cache.

    Attributes:
        can_empty_cache: whether files leave the cache when they are told to; None where none are read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._over = threading.Event()
        self.epochs: list[dict[str, float]] = []
        self.can_empty_cache: bool | None = None
        self.start_data_mb, self.peak_data_mb, self.peak_mb = _memory_mb("VmData"), 0.0, 0.0
        self._epoch_mb, self._read_mb = 0.0, 0.0
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def started(self, moment: Moment) -> None:
        for path in self._folder.rglob("*"):
            if path.is_file():
                _drop(path)
        self._new_epoch()

    def ticked(self, moment: Moment) -> None:
        if int(moment.epoch) > len(self.epochs):
            self._told()
            self._new_epoch()

    def finished(self, moment: Moment) -> None:
        self._told()

    def stop(self) -> None:
        """Look on no longer."""
        self._over.set()
        self._thread.join()

    def _told(self) -> None:
        self.epochs.append({"anonymous_mb": self._epoch_mb, "read_mb": _read_mb() - self._read_mb})

    def _new_epoch(self) -> None:
        self._epoch_mb, self._read_mb = 0.0, _read_mb()

    def _look_on(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            now_mb = _memory_mb("RssAnon")
            self._epoch_mb, self.peak_mb = max(self._epoch_mb, now_mb), max(self.peak_mb, now_mb)
            self.peak_data_mb = max(self.peak_data_mb, _memory_mb("VmData"))


def _memory_mb(what: str) -> float:
    return _field(Path("/proc/self/status"), what) / 1024


def _read_mb() -> float:
    """What this process has had read from the disk."""
    return _field(Path("/proc/self/io"), "read_bytes") / 2**20


def _field(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    main()
