"""Files come whole and right into the cache, one time; or one line says what to do."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fathom import runtime
from fathom.data import download
from fathom.data.download import RemoteFile, fetch
from tests.data.web import CONTENT, CUT, Served, Web, names, published, refused

SHA256 = hashlib.sha256(CONTENT).hexdigest()
SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "data" / "the-set"


# --- what goes well ---------------------------------------------------------------------------------------


def test_a_file_is_fetched_and_nothing_else_is_left(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT)
    assert fetch("the set", [published(web)], folder) == [folder / "a.csv"]
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert names(folder) == ["a.csv"]


def test_a_file_that_is_there_is_not_fetched_again(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT)
    for _ in range(2):
        fetch("the set", [published(web)], folder)
    assert len(web.requests) == 1


def test_a_file_that_is_there_waits_for_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(CONTENT)
    locks: list[Any] = []
    monkeypatch.setattr(runtime.fcntl, "flock", lambda *lock: locks.append(lock))
    fetch("the set", [RemoteFile("a.csv", "https://a.example", len(CONTENT), SHA256)], folder)
    assert locks == []


def test_only_the_files_that_are_missing_are_fetched(web: Web, folder: Path) -> None:
    web.files |= {"/a.csv": Served(CONTENT), "/b.csv": Served(CONTENT)}
    fetch("the set", [published(web, "a.csv")], folder)
    fetch("the set", [published(web, "a.csv"), published(web, "b.csv")], folder)
    assert [request["path"] for request in web.requests] == ["/a.csv", "/b.csv"]


def test_a_file_that_a_person_put_there_is_used_without_a_network(web: Web, folder: Path) -> None:
    file = published(web)
    web.server_close()
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(CONTENT)
    assert fetch("the set", [file], folder) == [folder / "a.csv"]


def test_the_length_need_not_be_said(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT, length=False)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT


# --- the cache --------------------------------------------------------------------------------------------


CHILD = """
import sys
from pathlib import Path
from fathom.data.download import RemoteFile, fetch
url, size, sha256, folder = sys.argv[1:]
fetch("the set", [RemoteFile("a.csv", url, int(size), sha256)], Path(folder))
"""


def test_two_processes_at_once_fetch_it_once(web: Web, folder: Path) -> None:
    file, gate, waiting = published(web), threading.Event(), threading.Event()
    web.files["/a.csv"] = Served(CONTENT, gate=gate)
    arguments = [sys.executable, "-c", CHILD, file.url, str(file.size_bytes), file.sha256, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "no_proxy": "*"}
    lines: list[str] = []

    def run() -> int:
        with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as child:
            for line in child.stderr or ():
                lines.append(line)
                if "waiting for another process" in line:
                    waiting.set()
        return child.returncode

    with ThreadPoolExecutor(2) as pool:
        children = [pool.submit(run) for _ in range(2)]
        one_waited = waiting.wait(30)
        gate.set()
        assert [child.result(30) for child in children] == [0, 0]
    assert one_waited
    assert len(web.requests) == 1
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert names(folder) == ["a.csv"]
    assert sum("downloading" in line for line in lines) == 1


def test_a_disk_without_room_is_told_before_anything_comes(
    web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(download.shutil.disk_usage("/"))(10_000_000, 9_800_000, 200_000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    assert "200,000 bytes free and 300,000 are needed" in refused([published(web)], folder)
    assert web.requests == []
    (folder / "a.csv.part").write_bytes(CONTENT[:CUT])
    web.files["/a.csv"] = Served(CONTENT)
    fetch("the set", [published(web)], folder)  # the rest does fit


def test_a_disk_that_fills_up_is_one_line(web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the disk")

    web.files["/a.csv"] = Served(CONTENT)
    monkeypatch.setattr(download._Part, "append", full)
    told = refused([published(web)], folder)
    assert "the disk: No space left on device" in told
    assert "FATHOM_CACHE" in told
    assert len(web.requests) == 1


def test_a_cache_that_cannot_be_written_is_one_line(web: Web, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    told = refused([published(web)], tmp_path / "cache" / "data")
    assert "Not a directory" in told
    assert "FATHOM_CACHE" in told
