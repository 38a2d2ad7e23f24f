"""Every data set that has a name is published somewhere, known by its hashes, and read by its name alone."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fathom.cli import main
from fathom.data import READERS, read
from fathom.data.named import NAMED, NamedSet, folder_of_set
from fathom.data.source import PARTS, KnownSet
from fathom.errors import ConfigError, SourceError
from fathom.registry import check_options
from tests.data.web import Served, Web

Publish = Callable[[str, NamedSet, dict[str, bytes]], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the tests out of the cache of whoever runs them."""
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def publish(web: Web, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Let a set be published on this machine; its hashes stay those of the table."""

    def put(name: str, named: NamedSet, contents: dict[str, bytes]) -> None:
        files = tuple(replace(file, url=web.url(f"/{name}/{file.name}")) for file in named.files)
        monkeypatch.setitem(NAMED, name, replace(named, files=files))
        web.files |= {f"/{name}/{file}": Served(content) for file, content in contents.items()}

    return put


# --- the table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_the_table_is_well_formed(name: str) -> None:
    named = NAMED[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert named.files
    assert named.rows > 0
    assert named.licence
    assert re.fullmatch(r"[^\n]{10,90}", named.summary)
    assert len({file.name for file in named.files}) == len(named.files)
    assert {file.part for file in named.files} <= {""} or "train" in {file.part for file in named.files} <= set(PARTS)
    for file in named.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", file.name)
        assert file.size_bytes > 0
        address = urlsplit(file.url)
        assert (address.scheme, bool(address.hostname), address.query) == ("https", True, "")
        assert re.fullmatch(r"[\w./~-]+", address.path)


@pytest.mark.parametrize("name", NAMED)
def test_the_reader_of_a_set_has_its_options(name: str) -> None:
    named = NAMED[name]
    reader = READERS.get(named.reader)
    for file in named.files:
        options = {**named.options, **file.options}
        assert check_options(name, reader.options, options) == options


def test_no_hash_stands_twice() -> None:
    hashes = [file.sha256 for named in NAMED.values() for file in named.files]
    assert len(set(hashes)) == len(hashes)


def test_no_two_readers_have_a_set_of_one_name() -> None:
    names = [name for entry in READERS for name in entry.facts.get("sets", ())]
    assert len(set(names)) == len(names)
    assert {"iris", "adult"} <= set(names)


@pytest.mark.parametrize("name", ["iris", "digits", "wine", "breast-cancer", "diabetes"])
def test_the_facts_of_a_bundled_set_are_right(name: str) -> None:
    known: KnownSet = READERS.get("scikit-learn").facts["sets"][name]
    source = read(name)
    assert (known.rows, known.target) == (source.parts["train"].num_rows, source.target)


# --- read by name, from the published bytes -----------------------------------------------------------------


def without_header(path: Path) -> bytes:
    return path.read_bytes().split(b"\n", 1)[1]


def published_bytes(name: str, place: Path) -> dict[str, bytes]:
    """The files of a set as they are published, rebuilt from what is at hand."""
    tables, text = place / "tabular", place / "text"
    if name == "adult":
        test = b"|1x3 Cross validator\n" + without_header(tables / "adult_test.csv")
        return {"train.csv": without_header(tables / "adult_train.csv"), "test.csv": test}
    if name == "abalone":
        return {"abalone.csv": without_header(tables / "abalone.csv") + b"\n"}
    if name in ("german-credit", "heart-disease"):
        at_hand, file = AT_HAND[name], NAMED[name].files[0].name
        return {file: without_header(place / at_hand)}
    if name in ("banking77", "sst2"):
        return {file.name: (text / name / file.name).read_bytes() for file in NAMED[name].files}
    if name == "fashion-mnist":
        return {file.name: (place / "vision/fashion_mnist" / file.name).read_bytes() for file in NAMED[name].files}
    return {NAMED[name].files[0].name: (place / AT_HAND[name]).read_bytes()}


AT_HAND = {
    "california-housing": "tabular/california_housing.csv",
    "compas": "tabular/compas-scores-two-years.csv",
    "etth1": "timeseries/ett/ETTh1.csv",
    "ettm1": "timeseries/ett/ETTm1.csv",
    "german-credit": "tabular/german_credit.csv",
    "heart-disease": "tabular/heart_cleveland.csv",
    "pima-diabetes": "tabular/pima_diabetes.csv",
    "tiny-shakespeare": "text/tiny_shakespeare/input.txt",
    "titanic": "tabular/titanic.csv",
    "wine-quality-red": "tabular/winequality-red.csv",
    "wine-quality-white": "tabular/winequality-white.csv",
}
SHAPES = {
    "abalone": {"train": (4_177, 9)},
    "adult": {"train": (32_561, 15), "test": (16_281, 15)},
    "banking77": {"train": (10_003, 2), "test": (3_080, 2)},
    "california-housing": {"train": (20_640, 10)},
    "compas": {"train": (7_214, 53)},
    "etth1": {"train": (17_420, 8)},
    "ettm1": {"train": (69_680, 8)},
    "fashion-mnist": {"train": (60_000, 2), "test": (10_000, 2)},
    "german-credit": {"train": (1_000, 21)},
    "heart-disease": {"train": (303, 14)},
    "pima-diabetes": {"train": (768, 9)},
    "sst2": {"train": (6_920, 2), "valid": (872, 2), "test": (1_821, 2)},
    "tiny-shakespeare": {"train": (1, 1)},
    "titanic": {"train": (891, 12)},
    "wine-quality-red": {"train": (1_599, 12)},
    "wine-quality-white": {"train": (4_898, 12)},
}
NOT_AT_HAND = {"ag-news", "cifar10", "mnist"}


def test_each_set_is_either_read_here_or_known_not_to_be_at_hand() -> None:
    assert set(SHAPES) | NOT_AT_HAND == set(NAMED)


@pytest.mark.parametrize("name", SHAPES)
def test_a_set_is_read_by_its_name(name: str, publish: Publish, data_directory: Path, web: Web) -> None:
    named = NAMED[name]
    publish(name, named, published_bytes(name, data_directory))
    source = read(name)
    assert {part: table.shape for part, table in source.parts.items()} == SHAPES[name]
    assert sum(table.num_rows for table in source.parts.values()) == named.rows
    assert (source.name, source.place, source.target) == (name, None, named.target)
    assert set(named.target) <= set(source.parts["train"].column_names)
    types = {tuple(table.schema.types) for table in source.parts.values()}
    assert len(types) == 1
    again = read(name)
    assert len(web.requests) == len(named.files)
    assert again.fingerprint == source.fingerprint


def test_adult_has_its_columns_and_no_line_of_its_own(publish: Publish, data_directory: Path) -> None:
    publish("adult", NAMED["adult"], published_bytes("adult", data_directory))
    source = read("adult")
    assert source.parts["train"].slice(0, 1).to_pylist()[0]["workclass"] == "State-gov"
    first = source.parts["test"].slice(0, 1).to_pylist()[0]
    assert (first["age"], first["sex"], first["native-country"]) == (25, "Male", "United-States")
    assert first["income"].startswith("<=50K")


def test_the_test_part_of_ag_news_is_as_it_was_published(publish: Publish, data_directory: Path) -> None:
    named = NAMED["ag-news"]
    alone = replace(named, files=(replace(named.files[1], part="train"),))
    publish("ag-news", alone, {"test.csv": (data_directory / "text/ag_news/test.csv").read_bytes()})
    table = read("ag-news").parts["train"]
    assert (table.shape, table.column_names) == ((7_600, 3), ["label", "title", "description"])
    assert table["label"].slice(0, 1).to_pylist() == [3]


def test_a_set_of_tables_takes_the_options_of_tables(publish: Publish, data_directory: Path) -> None:
    publish("pima-diabetes", NAMED["pima-diabetes"], published_bytes("pima-diabetes", data_directory))
    assert read("pima-diabetes").parts["train"]["Insulin"].null_count == 0
    assert read("pima-diabetes", missing=("0",)).parts["train"]["Insulin"].null_count == 374


def test_a_set_of_pictures_has_no_such_options(web: Web, publish: Publish) -> None:
    publish("fashion-mnist", NAMED["fashion-mnist"], {})
    with pytest.raises(ConfigError, match="unknown option of the reader named 'missing'"):
        read("fashion-mnist", missing=("0",))
    assert web.requests == []  # told before the download


def small(content: bytes, url: str) -> NamedSet:
    """A set of one file, which has the hash of the content."""
    file = replace(NAMED["titanic"].files[0], url=url, size_bytes=len(content), name="t.csv")
    return replace(NAMED["titanic"], files=(replace(file, sha256=hashlib.sha256(content).hexdigest()),), target=("y",))


def test_a_name_may_be_written_as_people_do(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["/t.csv"] = Served(b"x,y\n1,2\n3,4\n")
    monkeypatch.setitem(NAMED, "california-housing", small(web.files["/t.csv"].content, web.url("/t.csv")))
    assert read("California_Housing").target == ("y",)
    assert (folder_of_set("california-housing") / "t.csv").is_file()


def test_a_set_is_trained_on_by_its_name(
    publish: Publish, data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    publish("heart-disease", NAMED["heart-disease"], published_bytes("heart-disease", data_directory))
    with pytest.raises(SystemExit) as ended:
        main(["fit", "heart-disease", "--budget", "20steps", "--json"])
    assert ended.value.code == 0
    assert (tmp_path / "runs" / "heart-disease-num" / "model").is_dir()


# --- without a network, and by a wrong name -----------------------------------------------------------------


def test_without_a_network_one_line_says_what_to_put_where(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], web: Web
) -> None:
    content = b"x,y\n" + b"1,2\n" * 50
    monkeypatch.setitem(NAMED, "titanic", small(content, web.url("/t.csv")))
    monkeypatch.chdir(tmp_path)
    web.server_close()
    with pytest.raises(SystemExit) as ended:
        main(["fit", "titanic"])
    *said, told = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert " ".join(said).startswith("titanic: downloading 0 kB to")
    assert told.startswith("fathom: error: titanic: no network (Connection refused); ")
    assert f"put into {cache}/data/titanic by hand: t.csv from {web.url('/t.csv')}" in told
    assert not (tmp_path / "runs").exists()
    (cache / "data" / "titanic" / "t.csv").write_bytes(content)
    assert read("titanic").parts["train"].num_rows == 50


@pytest.mark.parametrize(("name", "near"), [("adlut", "adult"), ("fashion_mnists", "fashion-mnist")])
def test_an_unknown_name_is_told_what_is_near(name: str, near: str) -> None:
    with pytest.raises(SourceError, match=rf"near: {near}.*data sets: .*adult.*digits") as raised:
        read(name)
    assert "fathom list sets" in str(raised.value)


def test_the_sets_are_listed_without_a_download(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = said(["list", "sets"], capsys)
    flat = " ".join(listed.split())
    for name, summary, rows in (
        ("adult", NAMED["adult"].summary, "48,842 rows"),
        ("iris", "which of 3 species?", "150 rows"),
        ("tiny-shakespeare", "what comes next?", "1 row"),
    ):
        assert re.search(rf"{name} .*{re.escape(summary)} \({rows}\)", flat), name
    assert max(map(len, listed.splitlines())) <= 80
    (adult,) = [one for one in json.loads(said(["list", "sets", "--json"], capsys))["sets"] if one["name"] == "adult"]
    assert (adult["rows"], adult["target"], adult["files"][0]["size_bytes"]) == (48_842, ["income"], 3_974_305)
    assert not cache.exists()


def test_the_help_of_fit_says_where_the_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "adult, fashion-mnist, ...; see fathom list sets" in " ".join(said(["fit", "--help"], capsys).split())


def test_lines_above_a_table_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Report of 2024\nmade by me, today\nx,y\n1,2\n3,4\n")
    assert read(tmp_path / "t.csv", skip_rows=2).parts["train"].to_pylist() == [{"x": 1, "y": 2}, {"x": 3, "y": 4}]
    (tmp_path / "t.csv").write_text("Report\nsep=|\nx|y;z\n1|a;b\n")
    assert read(tmp_path / "t.csv", skip_rows=1).parts["train"].to_pylist() == [{"x": 1, "y;z": "a;b"}]


def test_one_set_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "downloaded the first time, 170.1 MB" in " ".join(said(["show", "set", "cifar10"], capsys).split())
    assert "needs no file" in said(["show", "set", "iris"], capsys)
    assert json.loads(said(["show", "set", "adult", "--json"], capsys))["target"] == ["income"]


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0, sys.exc_info()
    return capsys.readouterr().out
