"""A file comes over the network whole and right, whatever breaks off; or one line says why not."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from fathom import progress
from fathom.data import download, transfer
from fathom.data.download import RemoteFile, fetch
from fathom.errors import SourceError
from fathom.progress import Work
from tests.data.web import CONTENT, CUT, OTHER, Served, Web, names, published, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "data" / "the-set"


# --- what breaks off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [True, False])
def test_a_cut_transfer_is_resumed_and_only_the_rest_is_sent(web: Web, folder: Path, length: bool) -> None:
    web.files["/a.csv"] = Served(CONTENT, cuts=[CUT], length=length)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert (web.requests[1]["range"], web.requests[1]["if-range"]) == (f"bytes={CUT}-", '"1"')
    assert web.sent_bytes == [CUT, len(CONTENT) - CUT]
    assert names(folder) == ["a.csv"]


def test_another_run_takes_up_what_the_last_one_left(web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["/a.csv"] = Served(CONTENT, cuts=[CUT])
    with monkeypatch.context() as patch:
        patch.setattr(download, "TRIES", 1)
        told = refused([published(web)], folder)
    assert "broke off at 100,000 of 300,000 bytes" in told
    assert "run it again" in told
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert web.sent_bytes == [CUT, len(CONTENT) - CUT]


def test_a_transfer_that_is_interrupted_keeps_what_came(
    web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Work, come_bytes: int) -> None:
        if come_bytes > 0:
            raise KeyboardInterrupt

    web.files["/a.csv"] = Served(CONTENT)
    with monkeypatch.context() as patch:
        patch.setattr(Work, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("the set", [published(web)], folder)
    came = (folder / "a.csv.part").read_bytes()
    assert came
    assert CONTENT.startswith(came)
    fetch("the set", [published(web)], folder)
    assert web.sent_bytes[1] == len(CONTENT) - len(came)


def test_a_server_that_knows_no_ranges_sends_it_all_again(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT, cuts=[CUT], ranges=False)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert web.sent_bytes == [CUT, len(CONTENT)]


def test_a_part_of_another_version_is_not_continued(web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["/a.csv"] = Served(OTHER, tag='"old"', cuts=[CUT])
    with monkeypatch.context() as patch:
        patch.setattr(download, "TRIES", 1)
        refused([published(web)], folder)
    web.files["/a.csv"] = Served(CONTENT, tag='"new"')
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert web.requests[1]["if-range"] == '"old"'
    assert web.sent_bytes == [CUT, len(CONTENT)]


def test_a_part_that_does_not_fit_the_rest_is_thrown_away(web: Web, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a.csv.part").write_bytes(OTHER[:CUT])
    web.files["/a.csv"] = Served(CONTENT, tag="")
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert web.sent_bytes == [len(CONTENT) - CUT, len(CONTENT)]


def test_a_server_that_sends_another_range_is_asked_for_all(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT, cuts=[CUT], shift=10)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert ["range" in request for request in web.requests] == [False, True, False]


def test_a_part_that_was_whole_only_takes_its_name(web: Web, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a.csv.part").write_bytes(CONTENT)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT
    assert web.requests == []


def test_a_part_longer_than_the_file_is_thrown_away(web: Web, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a.csv.part").write_bytes(OTHER + b"more")
    web.files["/a.csv"] = Served(CONTENT)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT


def test_a_transfer_that_goes_on_may_break_off_often(web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PROGRESS_BYTES", 10_000)
    web.files["/a.csv"] = Served(CONTENT, cuts=[20_000] * (2 * download.TRIES))
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT


def test_a_transfer_that_brings_little_is_given_up(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT, cuts=[1] * 100)
    refused([published(web)], folder)
    assert len(web.requests) == download.TRIES


def test_a_busy_server_is_asked_again(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT, answers=[500, 503, 429])
    fetch("the set", [published(web)], folder)
    assert len(web.requests) == 4


def test_a_server_that_stays_busy_is_given_up(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT, answers=[500] * 100)
    assert "answers 500 Internal Server Error, after 5 tries" in refused([published(web)], folder)
    assert len(web.requests) == download.TRIES == 5


def test_each_pause_is_longer_than_the_one_before(web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    web.files["/a.csv"] = Served(CONTENT, answers=[500] * 100)
    refused([published(web)], folder)
    assert [pause / download.PAUSE_S for pause in pauses] == [1, 2, 4, 8]


def test_a_server_that_stops_sending_is_asked_again(web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.2)
    web.files["/a.csv"] = Served(CONTENT, pauses_s=[5.0])
    started = time.monotonic()
    fetch("the set", [published(web)], folder)
    assert time.monotonic() - started < 4.0
    assert len(web.requests) == 2


def test_a_server_that_never_answers_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(download, "PAUSE_S", 0.001)
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/a.csv"
        assert "timed out" in refused([RemoteFile("a.csv", url, 5, "0" * 64)], folder)


# --- what is refused --------------------------------------------------------------------------------------


def test_another_file_than_was_published_is_not_kept(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(OTHER)
    told = refused([published(web)], folder)
    for words in (hashlib.sha256(OTHER).hexdigest(), hashlib.sha256(CONTENT).hexdigest(), str(folder), "a.csv"):
        assert words in told
    assert names(folder) == []
    assert len(web.requests) == 1


def test_another_file_is_not_fetched_again_and_again_where_it_breaks_off(
    web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PROGRESS_BYTES", 10_000)
    web.files["/a.csv"] = Served(OTHER, cuts=[CUT, len(OTHER)] * 50)
    assert "no longer the file that was published" in refused([published(web)], folder)
    assert len(web.requests) == 4


@pytest.mark.parametrize("version", [b"\xff\xfe\x00", b'"1"\r\nHost: a.example', "é".encode()])
def test_a_damaged_note_of_the_version_is_no_hindrance(web: Web, folder: Path, version: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "a.csv.part").write_bytes(CONTENT[:CUT])
    (folder / "a.csv.part.version").write_bytes(version)
    web.files["/a.csv"] = Served(CONTENT)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT


def test_a_wrong_file_that_a_person_put_there_is_told_and_left(web: Web, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(OTHER)
    with pytest.raises(SourceError, match="is not the file that was published") as raised:
        fetch("the set", [published(web)], folder)
    for words in (hashlib.sha256(OTHER).hexdigest(), hashlib.sha256(CONTENT).hexdigest(), str(folder / "a.csv")):
        assert words in str(raised.value)
    assert (folder / "a.csv").read_bytes() == OTHER


def test_a_file_that_is_not_there_is_told_with_its_address(web: Web, folder: Path) -> None:
    told = refused([published(web)], folder)
    assert f"{web.url('/a.csv')} answers 404 Not Found" in told
    assert f"put into {folder} by hand: a.csv" in told
    assert len(web.requests) == 1


def test_a_file_of_another_size_is_refused_before_it_comes(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT + b"x" * 5_000_000)
    assert "offers 5300000 bytes" in refused([published(web)], folder)
    assert names(folder) == []


def test_a_stream_that_does_not_end_is_cut(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(CONTENT + b"x" * 50_000_000, length=False)
    assert "more than the 300,000 bytes" in refused([published(web)], folder)
    assert names(folder) == []
    time.sleep(0.1)
    assert web.sent_bytes[0] < 40_000_000


def test_without_a_network_each_missing_file_is_told(web: Web, folder: Path) -> None:
    files = [published(web, "a.csv"), published(web, "b.csv"), published(web, "c.csv")]
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(CONTENT)
    web.server_close()
    told = refused(files, folder)
    assert told.startswith("the set: no network (Connection refused); ")
    for file in files[1:]:
        assert f"{file.name} from {file.url} (sha256 {file.sha256})" in told
    assert str(folder) in told
    assert files[0].url not in told


def test_a_name_that_no_server_has_is_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    file = RemoteFile("a.csv", "https://nowhere.invalid/a.csv", 5, "0" * 64)
    assert "no network (Name or service not known)" in refused([file], folder)


# --- redirects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/b.csv", "b.csv", "ABSOLUTE"])
def test_a_redirect_is_followed(web: Web, folder: Path, place: str) -> None:
    web.files["/a.csv"] = Served(b"", answers=[place if place != "ABSOLUTE" else web.url("/b.csv")])
    web.files["/b.csv"] = Served(CONTENT)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT


def test_redirects_start_from_the_place_that_they_led_to(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(b"", answers=["/deep/b.csv"])
    web.files["/deep/b.csv"] = Served(b"", answers=["c.csv"])
    web.files["/deep/c.csv"] = Served(CONTENT)
    fetch("the set", [published(web)], folder)
    assert (folder / "a.csv").read_bytes() == CONTENT


def test_a_resumed_transfer_may_be_redirected(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(b"", answers=["/b.csv", "/b.csv"])
    web.files["/b.csv"] = Served(CONTENT, cuts=[CUT])
    fetch("the set", [published(web)], folder)
    assert web.sent_bytes == [0, CUT, 0, len(CONTENT) - CUT]


def test_redirects_in_a_circle_are_given_up(web: Web, folder: Path) -> None:
    web.files["/a.csv"] = Served(b"", answers=["/a.csv"] * 100)
    assert "redirects more than 5 times" in refused([published(web)], folder)
    assert len(web.requests) == transfer.MAX_REDIRECTS + 1


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/a.csv", "data:,x", "http://["])
def test_a_redirect_to_anything_but_the_web_is_refused(web: Web, folder: Path, place: str) -> None:
    web.files["/a.csv"] = Served(b"", answers=[place])
    assert "which is not followed" in refused([published(web)], folder)
    assert len(web.requests) == 1


def test_a_redirect_never_leaves_https() -> None:
    with pytest.raises(transfer.Refused, match="not followed"):
        transfer._redirected("https://a.example/x", "http://a.example/x")
    assert transfer._redirected("https://a.example/x", "https://b.example/y") == "https://b.example/y"


# --- what is shown ----------------------------------------------------------------------------------------


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets its lines at once, and work of a moment is long."""
    monkeypatch.setattr(progress, "LINE_S", 0.02)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.05)


@pytest.mark.usefixtures("hurried")
def test_a_pipe_gets_plain_lines(web: Web, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    web.files["/a.csv"] = Served(CONTENT, cuts=[CUT], pauses_s=[0.0, 0.5])
    fetch("the set", [published(web)], folder)
    told = capsys.readouterr().err
    assert told.replace("\n", " ").replace("  ", "").startswith("the set: downloading 300 kB to")
    assert str(folder) in told.replace("\n", "").replace(" ", "")
    assert any(line.startswith("the set: 33%, 100 of 300 kB, 0:0") for line in told.splitlines())


def test_what_came_twice_is_counted_once(web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[float] = []
    monkeypatch.setattr(Work, "__call__", lambda self, done: came.append(done))
    web.files["/a.csv"] = Served(CONTENT, cuts=[CUT, 0, CUT], answers=[200, 500], ranges=False)
    web.files["/b.csv"] = Served(CONTENT)
    fetch("the set", [published(web), published(web, "b.csv")], folder)
    assert max(came) == came[-1] == 2 * len(CONTENT)


def test_nothing_is_shown_where_nothing_is_fetched(web: Web, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    web.files["/a.csv"] = Served(CONTENT)
    fetch("the set", [published(web)], folder)
    assert capsys.readouterr().err
    fetch("the set", [published(web)], folder)
    assert capsys.readouterr().err == ""
