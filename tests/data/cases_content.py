"""Files that hold something else than their names say, and plain text."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from fathom.data.content import JSON as JSON_CONTENT
from fathom.data.content import PAGES
from tests.data.dirty import Case
from tests.data.made import file, packed, zipped
from tests.data.standins import data, never, no_notes, nothing

UNCHECKED = {data("readers.check_content"): nothing}
ROWS = "a,b\n1,2\n"
TABLE = pa.table({"a": list(range(50)), "b": ["x"] * 50})


def written(write: Callable[[Any], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def told(what: str, content: bytes | str, pattern: str, name: str = "t.csv") -> Case:
    """A file that is refused for what it holds."""
    return Case(what, file(content, name), UNCHECKED, refused=pattern)


HTML = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>a,b</body></html>\n"
JSON = json.dumps([{"a": 1, "b": 2}, {"a": 3, "b": 4}], indent=1)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20)

CONTENTS = [
    told("an HTML page named .csv", HTML, "is an HTML page, not data, though named .csv; download the file"),
    told("an HTML page after blanks, named .tsv", "\n\n " + HTML, "is an HTML page", "t.tsv"),
    told("an HTML page packed", gzip.compress(HTML.encode()), "is an HTML page", "t.csv.gz"),
    told("an HTML page in UTF-16", HTML.encode("utf-16"), "is an HTML page"),
    told("an HTML page that begins with a script", f"<script>a(1, 2);</script>\n{HTML}", "is an HTML page"),
    told("a script that leads elsewhere", "<script>go('a', 'b');</script>\n", "is an HTML page"),
    told("a piece of an HTML page", "<body class='a, b'>\na,b\n</body>\n", "is an HTML page"),
    *(
        Case(
            f"a header that begins with {name}",
            file(f"{name},y\n1,2\n3,4\n", "t.csv"),
            {data("content._content_of"): lambda head, ending: PAGES[0]},
            reads={name: [1, 3], "y": [2, 4]},
        )
        for name in ("<script>", "<script>alert(1)</script>", "<html>", "<header>")
    ),
    told("an XML document named .csv", '<?xml version="1.0"?>\n<rows>\n<row/>\n</rows>\n', "is an XML document"),
    told("JSON named .csv", JSON, "is JSON, though named .csv; rename it to end in .json"),
    told("JSON lines named .csv", '{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "is JSON"),
    told("a pointer of Git LFS", POINTER, "is a Git LFS pointer, not the data.*git lfs pull"),
    told("a ZIP named .csv", zipped({"t.csv": ROWS}), "is a ZIP archive, though named .csv; unpack it"),
    told(
        "an Excel workbook named .csv",
        zipped({"[Content_Types].xml": ROWS, "xl/workbook.xml": ROWS}),
        "is an Excel workbook.*save the table as CSV",
    ),
    told("an old Excel workbook named .csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel workbook"),
    told(
        "Parquet named .csv",
        written(lambda to: pa.parquet.write_table(TABLE, to)),
        "is a Parquet file.*end in .parquet",
    ),
    told("Parquet named .txt", written(lambda to: pa.parquet.write_table(TABLE, to)), "is a Parquet file", "t.txt"),
    told("Arrow named .csv", written(lambda to: pa.ipc.new_file(to, TABLE.schema).close()), "is an Arrow file"),
    told("a PDF named .csv", b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n", "is a PDF document"),
    told("a PDF named .txt", b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n", "is a PDF document", "t.txt"),
    told("a PNG named .csv", PNG, "is a PNG picture"),
    told("a JPEG named .tsv", b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(20), "is a JPEG picture", "t.tsv"),
    told("a numpy array named .csv", written(lambda to: np.save(to, np.arange(9))), "is a numpy array"),
    told("a pickle named .csv", pickle.dumps({"a": [1, 2]}), "is a pickle.*never unpickles"),
    told("an SQLite database named .csv", b"SQLite format 3\0" + bytes(84), "is an SQLite database"),
    told("bzip2 named .csv", b"BZh91AY&SY" + bytes(30), "is packed with bzip2"),
    told(
        "a CSV named .parquet",
        "a,b\n1,2\n",
        "is text and no Parquet, though named .parquet; rename it to end in .csv",
        "t.parquet",
    ),
    told("a CSV named .jsonl", "a,b\n1,2\n", "is text and no JSON lines, though named .jsonl; rename it", "t.jsonl"),
    told("a CSV named .npz", "a,b\n1,2\n", "is text and no NPZ", "t.npz"),
    told("an HTML page named .parquet", HTML, "is text and no Parquet.*it is an HTML page", "t.parquet"),
    told(
        "packed Parquet",
        gzip.compress(b"PAR1" + bytes(20)),
        "is packed with gzip, though named .parquet; unpack it",
        "t.parquet",
    ),
    Case(
        "a CSV whose first name begins as a bitmap does",
        file("BMI,PK,II*\n1,2,3\n"),
        {data("content._content_of"): lambda head, ending: PAGES[0]},
        reads={"BMI": [1]},
    ),
    Case(
        "a CSV whose first name is in brackets",
        file("[id],{x}\n1,2\n"),
        {data("content.JSON"): replace(JSON_CONTENT, start=re.compile(rb"\[|\{"))},
        reads={"[id]": [1], "{x}": [2]},
    ),
]

TEXTS = [
    Case(
        "a text",
        file("To be,\nor not.\n", "t.txt"),
        {data("text._documents"): lambda text, lines: text.split(",")},
        reads={"text": ["To be,\nor not.\n"]},
    ),
    Case(
        "lines of a text",
        file("To be,\r\nor\rnot.\n", "t.txt"),
        {data("text.LINE_END"): re.compile("\n")},
        options={"lines": True},
        reads={"text": ["To be,", "or", "not."]},
    ),
    Case(
        "lines of a text, some without text",
        file("a\n\n \nb\n\n", "t.txt"),
        {data("text._left_out_note"): no_notes},
        options={"lines": True},
        reads={"text": ["a", "b"]},
        notes="2 lines without text are left out",
    ),
    Case(
        "a text in Latin-1",
        file("für\n", "t.txt", "latin-1"),
        {data("encoding.ENCODINGS"): ("utf-8",)},
        reads={"text": ["für\n"]},
        notes="cp1252",
    ),
    Case(
        "a text in UTF-16",
        file("für\n", "t.txt", "utf-16"),
        {data("encoding.BYTE_ORDER_MARKS"): ()},
        reads={"text": ["für\n"]},
        notes="utf-16",
    ),
    Case(
        "a text with a mark",
        file("für\n", "t.txt", "utf-8-sig"),
        {data("encoding.BYTE_ORDER_MARKS"): ()},
        reads={"text": ["für\n"]},
    ),
    Case(
        "a text, packed", packed("für\n", "t.txt.gz"), {data("encoding._is_packed"): never}, reads={"text": ["für\n"]}
    ),
    Case(
        "a text, packed and not named so",
        packed("für\n", "t.txt"),
        {data("encoding._is_packed"): never},
        reads={"text": ["für\n"]},
    ),
    Case(
        "a text with one damaged byte",
        file("für\nüber\n".encode() + b"\xfc", "t.txt"),
        {data("encoding._check_no_damaged_utf8"): nothing},
        refused="line 3 holds the byte 0xfc",
    ),
    Case(
        "a text with a NUL byte",
        file("a\nb\0\n", "t.txt"),
        {data("encoding.check_no_nul"): nothing},
        refused="line 2 holds a NUL byte",
    ),
    Case("an empty text", file("", "t.txt"), {data("encoding.check_filled"): nothing}, refused="the file is empty"),
    Case(
        "a text of blanks",
        file(" \n\n", "t.txt"),
        {data("encoding.check_filled"): nothing},
        refused="the file is empty",
    ),
    Case(
        "lines of a text of blanks",
        file(" \n\n", "t.txt"),
        {data("encoding.check_filled"): nothing},
        options={"lines": True},
        refused="the file is empty",
    ),
    Case(
        "a table named .txt",
        file("a\tb\n" + "1\t2\n" * 5, "t.txt"),
        {data("text._table_note"): no_notes},
        notes="its lines are 2 cells each, divided by tabs; rename it to .tsv",
    ),
]

CASES = [*CONTENTS, *TEXTS]
