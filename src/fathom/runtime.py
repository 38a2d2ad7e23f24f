"""Device, threads, seeds, signals and safe writes: what the machine gives, borrowed and handed back as it was."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from fathom.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = [
    "StopSignal",
    "available_threads",
    "cache_directory",
    "default_device",
    "exclusive",
    "fsync_directory",
    "in_parallel",
    "keep_freed_memory",
    "memory_limit_bytes",
    "seed_from",
    "seeded",
    "threads",
    "write_atomic",
]

LARGEST_KEPT = 32 * 2**20  # bytes: DEFAULT_MMAP_THRESHOLD_MAX of glibc, beyond which it learns nothing from a block
PAGES_BESIDE = 2**16  # bytes of that block that are not for the caller, amply

Item = TypeVar("Item")
Made = TypeVar("Made")


def available_threads() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_directory() -> Path:
    """Where files go that can be made or fetched again: FATHOM_CACHE, else below XDG_CACHE_HOME, else ~/.cache.

    Raises:
        ConfigError: the place is below the home directory, and there is none.
    """
    own, shared = os.environ.get("FATHOM_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        if own:
            return Path(os.path.abspath(Path(own).expanduser()))
        return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "fathom"
    except RuntimeError as error:
        raise ConfigError(
            "this account has no home directory to keep fetched and encoded data below; set FATHOM_CACHE to a directory"
        ) from error


def memory_limit_bytes() -> int:
    """The memory that this process may use: the smallest of the machine's, its control group's and its own limit."""
    import resource

    own = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *(limit for limit in own if limit != resource.RLIM_INFINITY), *_group_limits(Path("/"))])


def _group_limits(root: Path) -> list[int]:
    """The limits of this process's control groups and of those above them, in bytes.

    Args:
        root: the file system's.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    limits: list[int] = []
    for line in lines:
        _, controllers, inner = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = root / "sys/fs/cgroup" / controllers  # version 1 has a tree for each controller, version 2 one for all
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        groups = [top / inner.lstrip("/"), *(top / inner.lstrip("/")).parents]
        files = [group / name for group in groups if group.is_relative_to(top)]
        texts = [file.read_text().strip() for file in files if file.is_file()]
        limits += [int(text) for text in texts if text.isdecimal()]
    return limits


def default_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    import torch

    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def seed_from(*parts: int | str) -> int:
    """A seed in [0, 2^63) that is a pure function of its parts, the same on every machine."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute with ``count`` threads inside the block, and leave the caller's number as it was."""
    import torch

    before = torch.get_num_threads()
    if count is not None and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MiB of what was freed, instead of fetching it anew from the system every step.

    It comes to that by itself as soon as a program frees a block of 32 MiB; a small network never does, and would spend
    up to a fifth of each step on pages that it had a moment before. Where there is no glibc, nothing changes.
    """
    import torch

    torch.empty(LARGEST_KEPT - PAGES_BESIDE, dtype=torch.uint8)  # never written, so it takes no memory


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's generators as seeded inside the block, and leave the caller's state as it was."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count()), enabled=True):
        torch.manual_seed(seed)
        yield


def in_parallel(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What ``work`` makes of each item, in order, in as many threads as there are processors.

    No more items are taken ahead than keep the threads busy, and none after an error.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    workers = available_threads()
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def exclusive(directory: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Keep other processes out of a directory that all of them lock; the lock ends with the process, however that ends.

    Args:
        directory: exists already.
        busy: called where another process is in it; unless this raises, that process is waited for.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def fsync_directory(directory: Path) -> None:
    """Make the names inside a directory survive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new one, whenever the process dies.

    The bytes go to ``<path>.tmp``, reach the disk, and then take the name; a crash leaves at most the ``.tmp``.
    """
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_directory(path.parent)


class StopSignal:
    """Notes SIGINT and SIGTERM inside a ``with`` block, so that the work can stop where it is safe.

    A second signal, either of them, acts as it would without the block. Outside the main thread nothing is noted.

    Attributes:
        number: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, signal.Handlers | object] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        for other, handler in self._before.items():
            signal.signal(other, handler)  # type: ignore[arg-type]
