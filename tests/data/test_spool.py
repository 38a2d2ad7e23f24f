"""Files larger than memory: rows that are written into the cache, mapped, found again, and taken up after a kill."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from fathom.data import cells, delimited, json_stream, read, selection, spool, text
from fathom.errors import SourceError

ROWS = 3000
LINES = [f'{n},{n / 4},"w, {n % 3}",{"" if n % 5 == 0 else "x"}' for n in range(ROWS)]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for files, all of which are large, and whose blocks and shards are small."""
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(spool, "memory_limit_bytes", lambda: 1000)
    monkeypatch.setattr(spool, "SHARD_BYTES", 5000)
    monkeypatch.setattr(cells, "SPOOLED_BLOCK_BYTES", 2000)
    monkeypatch.setattr(delimited, "STRETCH_BYTES", 5000)
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    with monkeypatch.context() as patch:
        patch.setattr(spool, "memory_limit_bytes", lambda: 1 << 40)
        return read(path)


def test_a_large_csv_is_read_as_a_small_one_is(small, monkeypatch):
    path = write(small / "t.csv", ["n,half,word,sparse", *LINES])
    source, expected = read(path), in_memory(path, monkeypatch)
    table = source.parts["train"]
    assert table == expected.parts["train"]
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.string()]
    assert source.fingerprint == expected.fingerprint
    assert source.notes[:-1] == expected.notes
    assert "larger than memory" in source.notes[-1]
    assert len(list((small.parent / "cache").rglob("rows-*.arrow"))) > 3
    assert not list((small.parent / "cache").rglob("cells*"))


def test_the_type_of_a_column_is_decided_by_its_last_cell_too(small):
    path = write(small / "t.csv", ["a,b", *(f"{n},{n}" for n in range(ROWS)), "1.5,x1"])
    table = read(path, text="b").parts["train"]
    assert table.schema.types == [pa.float64(), pa.string()]
    assert table["a"][-1].as_py() == 1.5


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,2,3", "row 3001 below the header.* has 3 cells"),
        ('1,"2', "quote is never closed"),
        ("1,zwei", "column 'b', row 3001 below the header: 'zwei' is no number"),
        ("1,a\0b", "row 3001 below the header holds a NUL byte"),
    ],
)
def test_what_is_wrong_at_the_end_of_a_large_csv_is_told(small, line, told):
    path = write(small / "t.csv", ["a,b", *(f"{n},{n}" for n in range(ROWS)), line])
    for _ in range(2):  # what the first attempt left in the cache is not believed
        with pytest.raises(SourceError, match=told):
            read(path)


def test_bytes_that_are_no_utf8_at_the_end_are_read_as_another_encoding(small):
    path = small / "t.csv"
    path.write_bytes(b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(ROWS)) + "1,Köln\n".encode("cp1252"))
    source = read(path)
    assert source.parts["train"]["b"][-1].as_py() == "Köln"
    assert any("cp1252" in note or "UTF-8" in note for note in source.notes)


def test_a_file_that_was_read_is_found_again_until_it_changes(small, monkeypatch):
    path = write(small / "t.csv", ["n,half,word,sparse", *LINES])
    first = read(path)
    with monkeypatch.context() as patch:
        patch.setattr(delimited, "read_cells", None)  # nothing is parsed again
        again = read(path)
    assert (again.parts["train"], again.notes) == (first.parts["train"], first.notes)
    assert read(path, text="n").parts["train"].schema.types[0] == pa.string()
    write(path, ["n,half,word,sparse", *LINES[:-1]])
    os.utime(path, ns=(1, 1))
    assert read(path).parts["train"].num_rows == ROWS - 1
    assert len(list((small.parent / "cache" / "tables").glob("*/*"))) == 1, "what is of no use is deleted"


def test_a_reading_that_is_killed_goes_on_from_the_cells(small, monkeypatch):
    path = write(small / "t.csv", ["n,half,word,sparse", *LINES])
    made, cast = [], delimited._cast

    def dying(piece: pa.Table, types: dict) -> pa.Table:
        made.append(piece.num_rows)
        if len(made) == 3:
            raise KeyboardInterrupt
        return cast(piece, types)

    with monkeypatch.context() as patch:
        patch.setattr(delimited, "_cast", dying)
        with pytest.raises(KeyboardInterrupt):
            read(path)
    kept = len(list((small.parent / "cache").rglob("rows-*.arrow")))
    assert kept > 0
    parsed, casts = [], []
    with monkeypatch.context() as patch:
        patch.setattr(cells.arrow_csv, "open_csv", lambda *a: parsed.append(1))
        patch.setattr(delimited, "_cast", lambda piece, types: casts.append(1) or cast(piece, types))
        table = read(path).parts["train"]
    assert not parsed
    assert table == in_memory(path, monkeypatch).parts["train"]
    assert len(casts) == len(list((small.parent / "cache").rglob("rows-*.arrow"))) - kept


@pytest.mark.parametrize("ending", ["arrow", "parquet", "packed.arrow", "nan.arrow"])
def test_large_files_of_known_types_are_read_as_small_ones_are(small, monkeypatch, ending):
    numbers = pa.array([n / 4 for n in range(ROWS)])
    if ending == "nan.arrow":
        numbers = pa.array([float("nan") if n == 7 else n / 4 for n in range(ROWS)])
    table = pa.table(
        {"n": pa.array(range(ROWS), pa.int64()), "half": numbers, "word": [f"w{n % 9}" for n in range(ROWS)]}
    )
    path = small / f"t.{ending}"
    if ending == "parquet":
        parquet.write_table(table, path, row_group_size=100)
    else:
        options = pa.ipc.IpcWriteOptions(compression="zstd" if ending == "packed.arrow" else None)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=100)
    found = read(path)
    assert found.parts["train"] == in_memory(path, monkeypatch).parts["train"]
    # What is plain as it stands is not written again.
    assert bool(list((small.parent / "cache").rglob("rows-*.arrow"))) is (ending != "arrow")


def test_a_cache_that_cannot_be_written_is_told(small, monkeypatch):
    (small / "file").write_text("")
    monkeypatch.setenv("FATHOM_CACHE", str(small / "file"))
    path = write(small / "t.csv", ["n,half,word,sparse", *LINES])
    with pytest.raises(SourceError, match=r"t\.csv: it is larger than memory.*FATHOM_CACHE"):
        read(path)


def test_cells_are_not_believed_once_others_are_written_over_them(small):
    path = write(small / "t.csv", ["n", "1"])
    room, piece = spool.Spool(path, {}), pa.table({"n": ["1"]})

    def broken():
        yield from [piece] * 1000
        raise KeyboardInterrupt

    with room.opened():
        room.written("cells", [piece])
        room.keep("cells", "as it was")
        assert room.kept("cells", "as it was") == piece
        assert room.kept("cells", "otherwise") is None
        with pytest.raises(KeyboardInterrupt):
            room.written("cells", broken())
        assert room.kept("cells", "as it was") is None


# --- folders ------------------------------------------------------------------------------------------------


@pytest.fixture
def tight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for shards of which each is small, and all together are not."""
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    for module in (spool, selection):
        monkeypatch.setattr(module, "memory_limit_bytes", lambda: 400_000)
    (tmp_path / "shards").mkdir()
    return tmp_path / "shards"


def mapped(table: pa.Table, before: int) -> bool:
    """Whether a table takes no memory of its own, since ``before`` bytes were taken: all is parts of mapped files."""
    taken = pa.total_allocated_bytes() - before
    copy = pa.concat_tables([table]).combine_chunks()
    assert pa.total_allocated_bytes() > before + copy.nbytes // 2, "this does see what is allocated"
    return table.nbytes > 8 * taken


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("parts", [("train", "test"), ("", "")])
def test_shards_that_are_small_alone_are_large_together(tight, monkeypatch, ending, parts):
    for number in range(12):
        # A column of whole numbers becomes one of decimals in the last shards.
        half = [n / 2 if number > 7 else n for n in range(1000)]
        table = pa.table({"n": range(1000), "half": half, "word": [f"w{n % 9}" for n in range(1000)]})
        path = tight / f"{parts[number % 2]}-{number:03d}.{ending}"
        arrow_csv.write_csv(table, path) if ending == "csv" else parquet.write_table(table, path)
    del table
    before = pa.total_allocated_bytes()
    found = read(tight)
    assert any("larger than memory" in note for note in found.notes)
    kept = sorted((tight.parent / "cache").rglob("*.arrow"))
    assert mapped(pa.concat_tables(found.parts.values()), before)
    again = read(tight)
    assert sorted((tight.parent / "cache").rglob("*.arrow")) == kept, "what was read is found again"
    with monkeypatch.context() as patch:
        for module in (spool, selection):
            patch.setattr(module, "memory_limit_bytes", lambda: 1 << 40)
        expected = read(tight)
    assert found.parts == again.parts == expected.parts
    assert found.parts["train"].schema.types == [pa.int64(), pa.float64(), pa.string()]
    assert found.fingerprint == expected.fingerprint


# --- JSON lines and text ------------------------------------------------------------------------------------

OBJECTS: dict[str, list[str]] = {
    "plain": [
        f'{{"n": {n}, "half": {n / 4}, "word": "w{n % 3}", "yes": {str(n % 2 == 0).lower()}}}' for n in range(900)
    ],
    "late keys": [
        f'{{"n": {n}}}' if n < 800 else f'{{"n": {n}, "late": [{n}], "in": {{"a": {n}}}}}' for n in range(900)
    ],
    "late decimals": [f'{{"n": {n if n < 850 else n + 0.5}, "l": [{n if n < 850 else n + 0.5}]}}' for n in range(900)],
    "objects that gain a key": [
        f'{{"o": {{"a": {n}, "s": {{"x": null}}}}}}' if n < 850 else f'{{"o": {{"b": "x", "s": {{"x": {n}}}}}}}'
        for n in range(900)
    ],
    "nothing at first": [f'{{"a": {"null" if n < 800 else n}, "b": null}}' for n in range(900)],
    "times": [f'{{"t": "2026-01-{1 + n % 28:02} 10:00:00{".5" if n > 850 else ""}"}}' for n in range(900)],
    "times, and a word at the end": [f'{{"t": "{"2026-01-02" if n < 899 else "soon"}"}}' for n in range(900)],
    "huge at the end": [f'{{"n": {n if n < 899 else 2**70}}}' for n in range(900)],
    "huge at the start": [f'{{"n": {n if n else -(2**70)}}}' for n in range(900)],
    "huge beside decimals": [f'{{"n": {n if n < 890 else 2**70 if n < 895 else 0.5}}}' for n in range(900)],
    "brackets in words": [f'{{"w": "{"[" * (n % 200)}"}}' for n in range(900)],
    "blank lines": [f'{{"n": {n}}}' if n % 3 else " \r" for n in range(900)],
}


@pytest.mark.parametrize("name", OBJECTS)
def test_large_json_lines_are_read_as_small_ones_are(small, monkeypatch, name):
    monkeypatch.setattr(json_stream, "STREAMED_BYTES", 2000)
    path = write(small / "t.jsonl", OBJECTS[name])
    found, expected = read(path), in_memory(path, monkeypatch)
    assert found.parts["train"] == expected.parts["train"]
    assert found.notes[:-1] == expected.notes
    assert "larger than memory" in found.notes[-1]
    assert read(path).notes == found.notes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_large_json_lines_may_be_in_another_encoding(small, monkeypatch, encoding):
    monkeypatch.setattr(json_stream, "STREAMED_BYTES", 2001)
    path = small / "t.jsonl"
    lines = [f'{{"n": {n}, "town": "{"Köln" if n > 500 else "Bonn"}"}}' for n in range(900)]
    path.write_bytes("\n".join(lines).encode(encoding))
    found, expected = read(path), in_memory(path, monkeypatch)
    assert found.parts["train"] == expected.parts["train"]
    assert found.notes[:-1] == expected.notes


@pytest.mark.parametrize(
    "line",
    ['{"a": "x"}', '{"a": 1', '{"a": 1, "a": 2}', "null", "[1]", '{"a": [1]}', "\x81", '{"a": ' + "[" * 5000],
)
def test_what_is_wrong_at_the_end_of_large_json_lines_is_told_as_of_small_ones(small, monkeypatch, line):
    monkeypatch.setattr(json_stream, "STREAMED_BYTES", 2000)
    path = small / "t.jsonl"
    path.write_bytes(("\n".join([*(f'{{"a": {n}}}' for n in range(900)), line]) + "\n").encode("latin-1"))
    told = []
    for reading in (read, lambda place: in_memory(place, monkeypatch)):
        with pytest.raises(SourceError) as error:
            reading(path)
        told.append(str(error.value))
    assert "901" in told[0] or "charmap" in told[0]
    assert told[0] == told[1] or "charmap" in told[0]


def test_an_array_that_memory_cannot_hold_is_refused_in_one_line(small):
    path = write(small / "t.json", ["[", *(f'{{"a": {n}}},' for n in range(900)), '{"a": 1}]'])
    with pytest.raises(SourceError, match="is one array, and memory cannot hold all of it; write an object a line"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_lines_of_a_large_text_are_read_as_those_of_a_small_one(small, monkeypatch, encoding, end):
    monkeypatch.setattr(text, "LINES_AT_ONCE", 64)
    path = small / "t.txt"
    lines = [f"line {n}{' in Köln' if n > 900 else ''}" if n % 7 else " " * (n % 3) for n in range(1000)]
    path.write_bytes(end.join(["", *lines, " ", "last", " ", "", ""]).encode(encoding))
    found = read(path, lines=True)
    with monkeypatch.context() as patch:
        patch.setattr(spool, "memory_limit_bytes", lambda: 1 << 40)
        expected = read(path, lines=True)
    assert found.parts["train"] == expected.parts["train"]
    assert found.notes[:-1] == expected.notes
    assert "lines without text" in found.notes[-2]
    assert read(path, lines=True).notes == found.notes


def test_what_is_wrong_in_a_large_text_is_told(small):
    path = write(small / "t.txt", [*["words"] * 900, "a\0b"])
    with pytest.raises(SourceError, match="line 901 holds a NUL byte"):
        read(path, lines=True)
    path.write_text("\n \n" * 900)
    with pytest.raises(SourceError, match="the file is empty"):
        read(path, lines=True)
