"""Published files, fetched once into a folder of the cache: verified, and resumed where a transfer broke off."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fathom.data.transfer import Broken, Offline, Refused, stream
from fathom.errors import SourceError
from fathom.progress import BYTES, Work, shown, tell
from fathom.runtime import exclusive, fsync_directory

__all__ = ["RemoteFile", "fetch"]

TRIES = 5
PAUSE_S = 1.0
"""Before the second try; twice as long before each one after it."""

PROGRESS_BYTES = 1 << 20
"""A try that brought this much was no failure: a long file may break off many times."""

HASH_BYTES = 1 << 20
WAITING = "waiting for another process that downloads it"


@dataclass(frozen=True)
class RemoteFile:
    """A file that somebody published.

    Attributes:
        name: what it is called in the cache.
        url: where it is published.
        size_bytes: its size; not one byte more is kept.
        sha256: of its bytes, in hexadecimal.
    """

    name: str
    url: str
    size_bytes: int
    sha256: str


def fetch(title: str, files: Sequence[RemoteFile], folder: Path) -> list[Path]:
    """Bring files into a folder, if they are not there yet.

    Args:
        title: what they are together, in messages.
        files: the files, in any order.
        folder: where they belong; made where it does not exist. Several processes may ask at once.

    Returns:
        The place of each file; its bytes are those that were published.

    Raises:
        SourceError: no network, another file than was published, no room, ...; it says what to put where by hand.
    """
    try:
        missing = [file for file in files if not _is_there(file, folder)]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch_missing(title, missing, folder)
    except OSError as error:  # those of the network became errors of their own
        place, reason = error.filename or folder, error.strerror or error
        raise SourceError(
            f"{title}: {place}: {reason}; it is downloaded into {folder}, "
            "and FATHOM_CACHE may name another folder for all that is"
        ) from error
    return [folder / file.name for file in files]


def _is_there(file: RemoteFile, folder: Path) -> bool:
    """Whether the file stands in the folder, be it downloaded or put there by a person.

    Raises:
        SourceError: another file has its name.
    """
    path = folder / file.name
    if not path.exists():
        return False
    found = _sha256(path)
    if found != file.sha256:
        raise SourceError(
            f"{path}: is not the file that was published: its sha256 is {found}, expected {file.sha256}; "
            f"delete it, and it is downloaded again, or put the published file there ({file.url})"
        )
    return True


def _sha256(path: Path) -> str:
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _fetch_missing(title: str, missing: Sequence[RemoteFile], folder: Path) -> None:
    """Fetch what is lacking, which is shown even where nobody asked for progress: it takes the user's time and disk."""
    with shown(), exclusive(folder, lambda: tell(f"{title}: {WAITING}")):
        left = [file for file in missing if not _is_there(file, folder)]  # another process may have been faster
        _check_room(title, left, folder)
        total_bytes, before_bytes = sum(file.size_bytes for file in left), 0
        if left:
            tell(f"{title}: downloading {_told_size(total_bytes)} to {folder}")
        with Work(title, total_bytes, BYTES) as done:
            for number, file in enumerate(left):
                try:
                    _fetch_one(file, folder / file.name, _beyond(before_bytes, done))
                except Offline as error:
                    raise SourceError(f"{title}: no network ({error}); {_by_hand(left[number:], folder)}") from error
                except (Broken, Refused) as error:
                    raise SourceError(f"{title}: {error}; {_by_hand([file], folder)}") from error
                before_bytes += file.size_bytes


def _beyond(before_bytes: int, done: Work) -> Callable[[int], None]:
    """Tells the work what has come of one file, which others stand before."""
    return lambda come_bytes: done(before_bytes + come_bytes)


def _told_size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.0f} kB"


def _check_room(title: str, files: Sequence[RemoteFile], folder: Path) -> None:
    parts = [_part_of(folder / file.name) for file in files]
    there_bytes = sum(part.stat().st_size for part in parts if part.is_file())
    needed_bytes = sum(file.size_bytes for file in files) - there_bytes
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise SourceError(
            f"{title}: {folder} has {free_bytes:,} bytes free and {needed_bytes:,} are needed; "
            "make room, or name a folder elsewhere by FATHOM_CACHE"
        )


def _by_hand(files: Sequence[RemoteFile], folder: Path) -> str:
    """What a person can do instead."""
    told = ", ".join(f"{file.name} from {file.url} (sha256 {file.sha256})" for file in files)
    return f"to go on without it, put into {folder} by hand: {told}"


def _fetch_one(file: RemoteFile, path: Path, came: Callable[[int], None]) -> None:
    """Transfer one file, trying again what may pass, and give it its name when its hash is right."""
    failures, is_second = 0, False
    while True:
        part = _Part(_part_of(path), file.size_bytes)
        before_bytes = part.size_bytes
        try:
            stream(file.url, part, came)
        except Broken as error:
            gained = part.size_bytes - before_bytes >= PROGRESS_BYTES
            failures = 1 if gained else failures + 1
            if failures == TRIES:
                raise Broken(f"{error}, after {TRIES} tries; to try on from there, run it again") from error
        else:
            if part.sha256 == file.sha256:
                return part.keep(path)
            part.remove()
            if before_bytes == 0 or is_second:
                raise Refused(
                    f"{file.url} is no longer the file that was published: its sha256 is {part.sha256}, "
                    f"expected {file.sha256}, so it was not kept"
                )
            failures, is_second = failures + 1, True  # a part of another version, perhaps: once more, from the start
        time.sleep(PAUSE_S * 2 ** (failures - 1))


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


class _Part:
    """What has come of a file: its bytes on disk, their running hash, and of which version of the file they are.

    Args:
        path: where the bytes are.
        whole_bytes: the size of the whole file.

    Attributes:
        whole_bytes: the size of the whole file.
        size_bytes: how much has come.
    """

    def __init__(self, path: Path, whole_bytes: int) -> None:
        self.whole_bytes = whole_bytes
        self.size_bytes = 0
        self._path, self._version_path = path, path.with_name(path.name + ".version")
        self._hash = hashlib.sha256()
        if path.is_file() and path.stat().st_size <= whole_bytes:
            with open(path, "rb") as opened:
                while block := opened.read(HASH_BYTES):
                    self._hash.update(block)
                    self.size_bytes += len(block)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def version(self) -> str:
        """What the server called the version that these bytes are of; empty where it said nothing."""
        if self.size_bytes == 0 or not self._version_path.is_file():
            return ""
        return "".join(filter(str.isprintable, self._version_path.read_bytes().decode("ascii", "ignore")))

    def start(self, version: str) -> None:
        """Begin anew, with another version."""
        self.remove()
        self.size_bytes, self._hash = 0, hashlib.sha256()
        if version:
            self._version_path.write_text(version, encoding="utf-8")

    @contextmanager
    def appending(self) -> Iterator[None]:
        """Open the file while bytes are coming."""
        with open(self._path, "ab") as self._opened:
            yield

    def append(self, block: bytes) -> None:
        self._opened.write(block)
        self._hash.update(block)
        self.size_bytes += len(block)

    def keep(self, path: Path) -> None:
        """Give the whole file its name."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(self._path, path)
        self._version_path.unlink(missing_ok=True)
        fsync_directory(path.parent)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self._version_path.unlink(missing_ok=True)
