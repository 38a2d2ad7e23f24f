"""Files in other encodings, packed, or with bytes that are no text."""

from __future__ import annotations

import gzip

from fathom.data.layout import QUOTINGS
from tests.data.dirty import Case
from tests.data.made import file, packed
from tests.data.standins import always, data, never, nothing

PLAIN = tuple(range(1, 13))
EMBEDDED = "a,b\n" + "".join(f'{k},"one\ntwo, {k}"\n' for k in PLAIN)

ONE_QUOTING = {data("cells.QUOTINGS"): QUOTINGS[:1]}
EVEN = {data("cells._check_even"): nothing}
UTF8_ONLY = {data("cells.encodings_of"): lambda head: (("utf-8", 0),)}
NO_NUL_CHECK = {data("delimited.check_no_nul"): nothing}

ENCODINGS = [
    Case(
        "Latin-1",
        file("name,n\nMüller,1\n", encoding="latin-1"),
        UTF8_ONLY,
        reads={"name": ["Müller"]},
        notes="read as cp1252",
    ),
    Case(
        "cp1252, with a euro sign",
        file("name,n\nfor 5 €,1\n", encoding="cp1252"),
        UTF8_ONLY,
        reads={"name": ["for 5 €"]},
    ),
    Case(
        "UTF-16 with its mark",
        file("name,n\nMüller,1\n", encoding="utf-16"),
        UTF8_ONLY,
        reads={"name": ["Müller"], "n": [1]},
        notes="utf-16-le",
    ),
    Case(
        "UTF-16 without a mark",
        file("name,n\nMüller,1\n", encoding="utf-16-le"),
        {data("encoding._wide_encoding"): nothing},
        reads={"name": ["Müller"]},
    ),
    Case(
        "UTF-16 the other way round, without a mark",
        file("name,n\nMüller,1\n", encoding="utf-16-be"),
        {data("encoding._wide_encoding"): nothing},
        reads={"name": ["Müller"], "n": [1]},
    ),
    Case("UTF-32", file("name,n\nMüller,1\n", encoding="utf-32"), UTF8_ONLY, reads={"name": ["Müller"]}),
    Case(
        "UTF-8 with a mark",
        file("name,n\nMüller,1\n", encoding="utf-8-sig"),
        {**UTF8_ONLY, data("header.UNSEEN_MARKS"): " "},
        reads={"name": ["Müller"]},
    ),
    Case(
        "UTF-8 with a mark before a quote",
        file('"name","n"\nx,1\n', encoding="utf-8-sig"),
        UTF8_ONLY,
        reads={"name": ["x"]},
    ),
    Case(
        "UTF-16 with quotes after blanks",
        file('a, b\n1, "ü, x"\n', encoding="utf-16"),
        ONE_QUOTING,
        reads={"b": ["ü, x"]},
    ),
    Case(
        "Latin-1 late in a big file",
        file(b"a,b\n" + b"1,x\n" * 400_000 + b"2,\xfc\n"),
        UTF8_ONLY,
        reads={"b": ["x"] * 400_000 + ["ü"]},
    ),
    Case(
        "one damaged byte in UTF-8",
        file("a,b\n1,Müller\n2,Jürgen\n".encode() + b"3,\xfc\n"),
        {data("encoding._check_no_damaged_utf8"): nothing},
        refused="line 4 holds the byte 0xfc, no UTF-8, which 2 other letters are",
    ),
    Case("a NUL byte", file(b"a,b\n1,x\n2,y\0z\n"), NO_NUL_CHECK, refused="row 2 below the header holds a NUL byte"),
    Case(
        "a block of NUL bytes, as a crash leaves them",
        file(b"a,b\n1,x\n" + b"\0" * 4096),
        EVEN,
        refused="row 2 below the header",
    ),
    Case(
        "packed, and named so",
        packed("a,b\n1,x\n", "t.csv.gz"),
        {data("encoding._is_packed"): never},
        reads={"b": ["x"]},
    ),
    Case(
        "packed, and not named so",
        packed("a,b\n1,x\n", "t.csv"),
        {data("encoding._is_packed"): never},
        reads={"b": ["x"]},
    ),
    Case(
        "named as packed, and not so",
        file("a,b\n1,x\n", "t.csv.gz"),
        {data("encoding._is_packed"): always},
        reads={"b": ["x"]},
    ),
    Case(
        "packed and cut off",
        file(gzip.compress(EMBEDDED.encode() * 50)[:-60], "t.csv.gz"),
        {data("readers.DAMAGE"): ()},
        refused="cannot be read: Truncated compressed stream",
    ),
]


CASES = ENCODINGS
