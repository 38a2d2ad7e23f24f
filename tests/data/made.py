"""Sources that tests write: some functions return one that writes into a folder and returns what ``read`` takes."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image as Pillow
from pyarrow import parquet

Make = Callable[[Path], Path]
Content = str | bytes


def in_file(name: str, content: Content, **beside: Content) -> Make:
    """One file, with others beside it; a name's dots are written as two underscores."""

    def make(folder: Path) -> Path:
        write(folder, {name: content, **{key.replace("__", "."): value for key, value in beside.items()}})
        return folder / name

    return make


def file(content: Content, name: str = "t.csv", encoding: str = "utf-8") -> Make:
    """One file, in an encoding."""
    return in_file(name, content.encode(encoding) if isinstance(content, str) else content)


def packed(content: str, name: str) -> Make:
    """One file, packed with gzip."""
    return in_file(name, gzip.compress(content.encode()))


def column(*cells: str, quoted: bool = False, delimiter: str = ",") -> Make:
    """A table of these cells, and beside them a column of words."""
    marks = '"' if quoted else ""
    rows = [f"x{delimiter}word", *(f"{marks}{cell}{marks}{delimiter}w{k}" for k, cell in enumerate(cells))]
    return file("\n".join(rows) + "\n")


def in_folder(contents: Mapping[str, Content]) -> Make:
    """A folder of files."""

    def make(folder: Path) -> Path:
        write(folder / "set", contents)
        return folder / "set"

    return make


def in_zip(contents: Mapping[str, Content], name: str = "set.zip", **options: Any) -> Make:
    """A ZIP archive of files."""
    return in_file(name, zipped(contents, **options))


def write(folder: Path, contents: Mapping[str, Content]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def zipped(contents: Mapping[str, Content], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The bytes of a ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    """The bytes of an NPZ file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def idx(values: Any) -> bytes:
    """The bytes of an IDX file of unsigned bytes."""
    array = np.asarray(values)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def parquet_bytes(table: pa.Table) -> bytes:
    """The bytes of a Parquet file."""
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def arrow_bytes(table: pa.Table) -> bytes:
    """The bytes of an Arrow file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def picture(shade: int = 0, form: str = "PNG", side: int = 4) -> bytes:
    """The bytes of a small grey picture."""
    buffer = io.BytesIO()
    Pillow.fromarray(np.full((side, side), shade, np.uint8)).save(buffer, form)
    return buffer.getvalue()


def classes(*names: str, of: int = 1, above: str = "", form: str = "PNG") -> dict[str, bytes]:
    """Pictures in a folder for each class."""
    return {
        f"{above}{name}/{number}.{form.lower()}": picture(20 * place + number, form)
        for place, name in enumerate(names)
        for number in range(of)
    }
