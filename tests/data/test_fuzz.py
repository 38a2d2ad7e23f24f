"""Whatever bytes a file holds, a reader reads them or says in its own error why not."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom.data import READERS, read
from fathom.errors import FathomError
from tests.data.made import arrow_bytes, classes, idx, npz, parquet_bytes, zipped

EXAMPLES, MANY_EXAMPLES = 100, 1_000

TABLE = pa.table(
    {
        "n": [1, None, 3],
        "x": [0.5, 1.5, None],
        "s": ["a", "b", None],
        "l": [[1, 2], [], None],
        "t": pa.array([0, 1, 2], pa.timestamp("us")),
        "o": [{"a": 1}, None, {"a": 2}],
        "c": pa.array(["u", "v", "u"]).dictionary_encode(),
    }
)
JSON = b'{"a": 1, "b": "x", "c": [1, 2], "d": {"e": true}}\n{"a": 2.5, "b": null}\n'
CELLS = 'id,x,word\n1,0.5,"a, b"\n2,1.5,ä\n3,?,c\n'.encode()
ARRAYS = npz(
    x_train=np.zeros((3, 2, 2), np.uint8), y_train=np.arange(3), x_test=np.ones((1, 2, 2), np.uint8), y_test=[1]
)


def tar() -> bytes:
    """A tar archive as CIFAR-10's is, of two pictures for each part."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("data_batch_1.bin", "test_batch.bin"):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = 2 * (1 + 3 * 32 * 32)
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


VALID: dict[str, list[bytes]] = {
    "csv": [CELLS, CELLS.replace(b",", b";"), CELLS.decode().encode("utf-16")],
    "text": [b"one\ntwo words\n", "drei Wörter".encode("utf-16")],
    "jsonl": [JSON, b"[" + JSON.strip().replace(b"\n", b",") + b"]"],
    "parquet": [parquet_bytes(TABLE)],
    "arrow": [arrow_bytes(TABLE)],
    "npz": [ARRAYS, npz(x=np.arange(4.0), y=["a", "b", "c", "d"])],
    "conll": [b"EU\tB-ORG\nrejects\tO\n\nPeter\tB-PER\nBlackburn\tI-PER\n"],
    "idx": [idx(np.arange(24).reshape(3, 4, 2))],
    "cifar10": [tar()],
    "zip": [zipped(classes("a", "b")), zipped({"a/t.csv": CELLS}), zipped({"train.jsonl": JSON, "test.jsonl": JSON})],
}
"""What each reader of files can read; their mutations are what it may meet."""

OF_FILES = [entry for entry in READERS if "suffixes" in entry.facts]
every_reader = pytest.mark.parametrize("reader", [entry.name for entry in OF_FILES])

Change = Callable[[bytes], bytes]


def flip(place: int, value: int) -> Change:
    return lambda data: _with(data, place, lambda here: bytes([here[0] ^ (value or 1)]))


def insert(place: int, new: bytes) -> Change:
    return lambda data: _with(data, place, lambda here: new + here)


def put(place: int, new: bytes) -> Change:
    return lambda data: data[: place % (len(data) + 1)] + new + data[place % (len(data) + 1) + len(new) :]


def cut(place: int, size: int) -> Change:
    return lambda data: data[: place % (len(data) + 1)] + data[place % (len(data) + 1) + size :]


def _with(data: bytes, place: int, changed: Callable[[bytes], bytes]) -> bytes:
    if not data:
        return data
    place %= len(data)
    return data[:place] + changed(data[place : place + 1]) + data[place + 1 :]


PLACES = st.integers(0, 1 << 16)
NUMBERS = st.sampled_from(
    [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80", b"99999999", b"\0" * 16]
)
CHANGES = st.one_of(
    st.builds(flip, PLACES, st.integers(0, 255)),
    st.builds(insert, PLACES, st.binary(min_size=1, max_size=8)),
    st.builds(put, PLACES, NUMBERS),
    st.builds(cut, PLACES, st.integers(1, 64)),
    st.builds(cut, PLACES, st.just(1 << 20)),
)


@st.composite
def contents(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """Arbitrary bytes, or a valid file with up to four changes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=200))
    data = draw(st.sampled_from(valid))
    for change in draw(st.lists(CHANGES, min_size=1, max_size=4)):
        data = change(data)
    return data


@st.composite
def packed(draw: st.DrawFn) -> bytes:
    """A sound archive of members that are changed."""
    names = draw(
        st.sampled_from([("x.npy", "y.npy"), ("a/1.png", "b/1.png"), ("train.csv", "test.csv"), ("a.parquet",)])
    )
    valid = {"npy": [_npy(np.arange(4)), _npy(np.zeros((4, 2, 2)))], "png": [b"\x89PNG"], "csv": [CELLS]}
    valid["parquet"] = VALID["parquet"]
    return zipped({name: draw(contents(valid[name.rsplit(".", 1)[1]])) for name in names})


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for one file, and with it all that a reader puts down somewhere for a while."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path


def name_with(suffix: str) -> str:
    """A file's name that ends so, and that its reader takes."""
    return ("train-images-idx3" if suffix.startswith("-ubyte") else "t" if suffix.startswith(".") else "") + suffix


def outcome(path: Path) -> str | None:
    """Read a file whole, and look at every value; the message where it is refused."""
    try:
        source = read(path)
    except FathomError as error:
        return str(error)
    for table in source.parts.values():
        table.validate(full=True)
    assert len(source.fingerprint) == 64
    return None


def check_read_or_refused(scratch: Path, name: str, content: bytes) -> None:
    path = scratch / "data" / name
    path.write_bytes(content)
    said = outcome(path)
    assert said is None or (said and "\n" not in said), said
    path.unlink()
    left = [place for place in scratch.rglob("*") if place.name not in ("data", "temporary")]
    assert not left, left


def fuzz(scratch: Path, reader: str, examples: int) -> None:
    suffixes: tuple[str, ...] = READERS.get(reader).facts["suffixes"]

    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: Any) -> None:
        suffix = data.draw(st.sampled_from(suffixes))
        content = data.draw(contents(VALID[reader]))
        if suffix.endswith(".gz") and data.draw(st.booleans()):
            content = gzip.compress(content, 1)
        check_read_or_refused(scratch, name_with(suffix), content)

    run()


@every_reader
def test_any_bytes_are_read_or_refused(reader: str, scratch: Path) -> None:
    fuzz(scratch, reader, EXAMPLES)


@pytest.mark.slow
@every_reader
def test_many_bytes_are_read_or_refused(reader: str, scratch: Path) -> None:
    fuzz(scratch, reader, MANY_EXAMPLES)


@pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(MANY_EXAMPLES, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", [".zip", ".npz"])
def test_any_members_are_read_or_refused(suffix: str, examples: int, scratch: Path) -> None:
    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(packed())
    def run(content: bytes) -> None:
        check_read_or_refused(scratch, "t" + suffix, content)

    run()


@every_reader
def test_what_is_changed_can_be_read_as_it_is(reader: str, scratch: Path) -> None:
    suffix = READERS.get(reader).facts["suffixes"][0]
    for number, content in enumerate(VALID[reader]):
        path = scratch / "data" / f"{number}" / name_with(suffix)
        path.parent.mkdir()
        path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
        assert read(path).parts["train"].num_rows > 0
