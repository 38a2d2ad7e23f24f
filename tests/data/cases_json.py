"""Dirty JSON lines, Parquet and Arrow files."""

from __future__ import annotations

import datetime
import gzip
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa

from tests.data.dirty import Case
from tests.data.made import arrow_bytes, in_file, parquet_bytes, picture
from tests.data.standins import never, no_notes, nothing, same

READING = "fathom.data.json_lines."
OBJECTS = "fathom.data.json_objects."
COLUMNS = "fathom.data.columns."
COLUMNAR = "fathom.data.columnar."
BIG = 2**63


def lines(*objects: object) -> str:
    return "".join(json.dumps(found) + "\n" for found in objects)


def table(**columns: object) -> bytes:
    return parquet_bytes(pa.table(columns))


def renamed(name: str, *columns: object) -> bytes:
    return parquet_bytes(pa.table(list(columns), names=[name] * len(columns)))


def or_empty(found: object, *_: object) -> object:
    return found if isinstance(found, dict) else {}


def loaded_somehow(text: bytes, *_: object) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"a": 0}


def unnested(found: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    return found, ()


WITH_BAD_TEXT = arrow_bytes(pa.table({"a": ["xé"]})).replace("xé".encode(), b"x\xc3\x28")

JSON = [
    Case(
        "json: a line that is a list",
        in_file("t.jsonl", '{"a": 1}\n[2]\n'),
        {OBJECTS + "_object": or_empty},
        refused=r"t\.jsonl: line 2 holds a list; an object was expected",
    ),
    Case(
        "json: a line that is a number",
        in_file("t.jsonl", '{"a": 1}\n\n7\n'),
        {OBJECTS + "_object": or_empty},
        refused="line 3 holds a number",
    ),
    Case(
        "json: a line that is null",
        in_file("t.jsonl", '{"a": 1}\nnull\n'),
        {OBJECTS + "_object": or_empty},
        refused="line 2 holds null",
    ),
    Case(
        "json: half a line at the end",
        in_file("t.jsonl", '{"a": 1}\n{"a": 2}\n{"a":'),
        {OBJECTS + "_loaded": loaded_somehow},
        refused="line 3 is no JSON, or is cut short",
    ),
    Case(
        "json: two objects on a line and rubbish",
        in_file("t.jsonl", '{"a": 1} trailing\n{"a": 2}\n'),
        {OBJECTS + "_loaded": loaded_somehow},
        refused="line 1 is no JSON",
    ),
    Case(
        "json: single quotes",
        in_file("t.jsonl", "{'a': 1}\n"),
        {OBJECTS + "_loaded": loaded_somehow},
        refused="line 1 is no JSON",
    ),
    Case(
        "json: a key twice in a line",
        in_file("t.jsonl", '{"a": 1}\n{"a": 2, "a": 3}\n'),
        {OBJECTS + "_once_each": dict},
        refused="line 2 is no JSON.*the key 'a' stands twice",
    ),
    Case(
        "json: nested too deep",
        in_file("t.jsonl", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n"),
        {OBJECTS + "_loaded": loaded_somehow},
        refused="line 1 nests too deep",
    ),
    Case(
        "json: one array of objects",
        in_file("t.json", '[{"a": 1},\n {"b": "x"}]'),
        {OBJECTS + "is_array": never},
        reads={"a": [1, None], "b": [None, "x"]},
    ),
    Case(
        "json: an array that holds words",
        in_file("t.json", '[{"a": 1}, "x"]'),
        {OBJECTS + "_object": or_empty},
        refused="item 2 holds words",
    ),
    Case("json: an empty array", in_file("t.json", "[]"), {READING + "check_keys": nothing}, refused="hold no keys"),
    Case("json: empty objects", in_file("t.jsonl", "{}\n{}\n"), {READING + "check_keys": nothing}, refused="no keys"),
    Case(
        "json: an empty file", in_file("t.jsonl", ""), {READING + "check_filled": nothing}, refused="the file is empty"
    ),
    Case(
        "json: blanks alone", in_file("t.jsonl", " \n\n"), {READING + "check_filled": nothing}, refused="file is empty"
    ),
    Case(
        "json: one object of lists of objects",
        in_file("t.json", '{"version": 1, "data": [{"a": 1}, {"a": 2}]}'),
        {READING + "is_one_object": never},
        refused="one object with lists inside; expected an object a line",
    ),
    Case(
        "json: a number that becomes a word",
        in_file("t.jsonl", lines({"a": 1}, {"a": None}, {"a": "x"})),
        {OBJECTS + "check_one_sort": nothing},
        refused=r"'a' holds words in line 3 \(\"x\"\) and a number in line 1",
    ),
    Case(
        "json: half of a sign",
        in_file("t.jsonl", lines({"a": "x"}, {"a": "y \ud83d"})),
        {OBJECTS + "half_sign": nothing},
        refused=r"'a' holds \\ud83d at character 2, half of a sign, in line 2",
    ),
    Case(
        "json: a truth that becomes a number",
        in_file("t.jsonl", lines({"a": True}, {"a": 1})),
        {OBJECTS + "check_one_sort": nothing},
        refused="'a' holds a number in line 2",
    ),
    Case(
        "json: a list that becomes a number",
        in_file("t.jsonl", lines({"a": [1]}, {"a": 1})),
        {OBJECTS + "check_one_sort": nothing},
        refused="'a' holds a number in line 2 .* and a list in line 1",
    ),
    Case(
        "json: an object that becomes a word",
        in_file("t.jsonl", lines({"a": {"b": 1}}, {"a": "x"})),
        {OBJECTS + "check_one_sort": nothing},
        refused="'a' holds words in line 2 .* and an object in line 1",
    ),
    Case(
        "json: a whole number beyond 2^63",
        in_file("t.jsonl", lines({"a": 1}, {"a": BIG + 1})),
        {OBJECTS + "may_have_lost_digits": never},
        reads={"a": ["1", str(BIG + 1)]},
        notes="'a' is text: it holds whole numbers beyond",
    ),
    Case(
        "json: whole numbers beyond 2^63 in an array",
        in_file("t.json", json.dumps([{"a": -BIG - 1}, {"a": None}])),
        {OBJECTS + "beyond_int64": never},
        reads={"a": [str(-BIG - 1), None]},
    ),
    Case(
        "json: a whole number beyond 2^53 beside decimals",
        in_file("t.json", json.dumps([{"a": 2**53 + 1}, {"a": 0.5}])),
        {OBJECTS + "_plain_numbers": same},
        reads={"a": [float(2**53), 0.5]},
    ),
    Case(
        "json: NaN",
        in_file("t.jsonl", '{"a": 1.5}\n{"a": NaN}\n'),
        {COLUMNS + "_nan_as_null": same},
        reads={"a": [1.5, None]},
    ),
    Case(
        "json: times in an array",
        in_file("t.json", '[{"a": "2026-01-31"}, {"a": "2026-02-01 18:00:00"}]'),
        {OBJECTS + "_times": same},
        reads={"a": [datetime.datetime(2026, 1, 31), datetime.datetime(2026, 2, 1, 18)]},
    ),
    Case(
        "json: half a surrogate pair within a list",
        in_file("t.jsonl", '{"a": ["\\ud800"]}\n'),
        {OBJECTS + "UNHELD": (pa.ArrowException,)},
        refused="'a' cannot be held",
    ),
    Case(
        "json: blank lines where lines are read one by one",
        in_file("t.jsonl", f'{{"a": 1}}\n \t\n{{"a": {BIG}}}\n\n'),
        {OBJECTS + "JSON_BLANKS": b""},
        reads={"a": ["1", str(BIG)]},
    ),
    Case(
        "json: a mark before an array",
        in_file("t.json", b'\xef\xbb\xbf[{"a": 1}]'),
        {READING + "UTF8_MARK": b""},
        reads={"a": [1]},
    ),
    Case(
        "json: UTF-16",
        in_file("t.jsonl", '{"a": "ä"}\n'.encode("utf-16")),
        {READING + "UTF16_MARKS": ()},
        reads={"a": ["ä"]},
        notes="UTF-16",
    ),
    Case(
        "json: Latin-1",
        in_file("t.jsonl", '{"a": "café"}\n'.encode("latin-1")),
        {READING + "FALLBACK_ENCODING": "ascii"},
        reads={"a": ["café"]},
        notes="not UTF-8",
    ),
    Case(
        "json: objects in objects",
        in_file("t.jsonl", lines({"a": {"b": 1, "c": {"d": "x"}}}, {"a": None}, {"a": {"b": 3}})),
        {COLUMNAR + "unfolded": unnested},
        reads={"a.b": [1, None, 3], "a.c.d": ["x", None, None]},
        notes="columns of their own: a.b, a.c.d",
    ),
    Case(
        "json: objects three deep",
        in_file("t.jsonl", lines({"a": {"b": {"c": 1}}})),
        {COLUMNAR + "DEEPEST": 1},
        reads={"a.b.c": [1]},
    ),
    Case(
        "json: an object's field called like a column",
        in_file("t.jsonl", lines({"a.b": 1, "a": {"b": 2}})),
        {COLUMNS + "_told_renamed": no_notes},
        reads={"a.b": [1], "a.b_2": [2]},
        notes="stand twice",
    ),
    Case(
        "json: a damaged .gz",
        in_file("t.jsonl.gz", gzip.compress(lines({"a": 1}).encode() * 1000)[:-20]),
        {"fathom.errors.MOST_LETTERS": 0},
        refused=r"cannot be read: (Truncated|.*gzip|.*[Cc]ompress|.*end)",
    ),
]

PARQUET = [
    Case(
        "parquet: cut short",
        in_file("t.parquet", table(a=[1, 2])[:-9]),
        {"fathom.errors.MOST_LETTERS": 0},
        refused=r"t\.parquet: cannot be read: .*[Pp]arquet",
    ),
    Case(
        "parquet: no rows",
        in_file("t.parquet", table(a=pa.array([], pa.int64()))),
        {"fathom.data.source.check_any_row": nothing},
        refused="holds no rows",
    ),
    Case(
        "parquet: two columns of a name",
        in_file("t.parquet", renamed("a", [1], [2])),
        {COLUMNS + "_told_renamed": no_notes},
        reads={"a": [1], "a_2": [2]},
        notes="stand twice",
    ),
    Case(
        "parquet: objects",
        in_file("t.parquet", table(a=[{"x": 1, "y": "u"}, None])),
        {COLUMNAR + "unfolded": unnested},
        reads={"a.x": [1, None], "a.y": ["u", None]},
    ),
    Case(
        "parquet: decimals of fixed point",
        in_file("t.parquet", table(a=[Decimal("1.50"), None])),
        {COLUMNS + "_plain_type": same},
        reads={"a": [1.5, None]},
    ),
    Case(
        "parquet: whole numbers beyond 2^63",
        in_file("t.parquet", table(a=pa.array([1, BIG], pa.uint64()))),
        {COLUMNAR + "beyond_int64_as_text": unnested},
        reads={"a": ["1", str(BIG)]},
        notes="is text",
    ),
    Case(
        "parquet: NaN and infinite",
        in_file("t.parquet", table(a=np.array([np.nan, np.inf, 1.0]))),
        {COLUMNS + "_nan_as_null": same},
        reads={"a": [None, float("inf"), 1.0]},
    ),
    Case(
        "parquet: pictures as bytes",
        in_file("t.parquet", table(a=[picture(1), None], y=["u", "v"])),
        {COLUMNAR + "pictures_found": same},
        reads={"a": [{"bytes": picture(1), "path": None}, None]},
    ),
    Case(
        "parquet: pictures with their paths",
        in_file("t.parquet", table(a=[{"bytes": picture(1), "path": "1.png"}])),
        {COLUMNAR + "_is_nested": pa.types.is_struct},
        reads={"a": [{"bytes": picture(1), "path": "1.png"}]},
    ),
    Case(
        "arrow: text that is no UTF-8",
        in_file("t.arrow", WITH_BAD_TEXT),
        {COLUMNAR + "check_values": nothing},
        refused="column 'a' is damaged",
    ),
]

CASES = [*JSON, *PARQUET]
