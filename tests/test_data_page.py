"""docs/data.md, and what README.md says of data: what they say to type works, and prints what they show."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import runpy
import shlex
import shutil
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

from fathom.cli import main

pytestmark = pytest.mark.usefixtures("light_models")
ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
IN_README = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your data")[2].partition("\n## ")[0]
HOME = "/home/ada"
QUICK = ("--budget", "20steps", "--set", "measure=false")
COPIES = {
    "tabular/pima_diabetes.csv": "cache/data/pima-diabetes/diabetes.csv",
    "tabular/compas-scores-two-years.csv": "cache/data/compas/compas-scores-two-years.csv",
    "tabular/bike_sharing_hour.csv": "bike_sharing_hour.csv",
}
"""Real data, and where the page's commands find it: a public data set where it would be downloaded to."""

Rows = list[dict[str, Any]]


def shown(page: str) -> list[tuple[str, str]]:
    """Each command in the page's blocks, and the lines that are shown below it."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    pieces = [piece for block in blocks for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(piece.partition("\n")[0], piece.partition("\n")[2]) for piece in pieces]


def in_tables(page: str, start: str) -> list[str]:
    """What stands in the cells of the page's tables and begins so."""
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row) if code.startswith(start)]


def clients(count: int = 60) -> Rows:
    random = np.random.default_rng(0)
    labels = ["books", "films", "music", "sport"]
    rows = []
    for k in range(count):
        spent = round(float(random.gamma(2, 400)), 2)
        day, month, year = random.integers((1, 1, 1950), (29, 13, 2004))
        likes = sorted(random.choice(labels, random.integers(1, 4), replace=False))
        row = {"client_id": f"K{1000 + k}", "born": f"{day:02d}.{month:02d}.{year}"}
        row |= {"city": ("Graz", "Linz", "Wien")[k % 3], "likes": "|".join(likes)}
        left = spent + random.normal(0, 400) < 600
        rows.append(row | {"spent": spent, "left": "yes" if left else "no"})
    return rows


def as_csv(rows: Rows, delimiter: str = ",", *, header: bool = True, point: str = ".") -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerows([list(rows[0])] if header else [])
    plain = [[str(v).replace(".", point) if isinstance(v, float) else v for v in row.values()] for row in rows]
    writer.writerows(plain)
    return file.getvalue()


def make_tables(folder: Path) -> None:
    rows = clients()
    lists = [{**row, "likes": row["likes"].split("|")} for row in rows]
    days = [f"2026-{k // 28 + 1:02d}-{k % 28 + 1:02d}" for k in range(96)]
    loads = [{"when": day, "wind": 3.5 + k % 7, "load": 50.5 + k % 24} for k, day in enumerate(days)]
    texts = {
        "clients.csv": as_csv(rows),
        "clients.tsv": as_csv(rows, "\t"),
        "headless.csv": as_csv(rows, header=False),
        "export.csv": "Clients of the branch\nmade on 31.01.2026\n" + as_csv(rows, ";", point=","),
        "clients.jsonl": "".join(json.dumps(row) + "\n" for row in lists),
        "parted/train.csv": as_csv(rows[:45]),
        "parted/test.csv": as_csv(rows[45:]),
        "daily.csv": as_csv(loads),
        "speech.txt": "To fathom is to measure the depth of a thing.\nAnd to understand it.\n" * 20,
    }
    for name in ("parted", "shards"):
        (folder / name).mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "clients.csv.gz").write_bytes(gzip.compress(texts["clients.csv"].encode()))
    table = pa.Table.from_pylist(lists)
    pa.parquet.write_table(table, folder / "clients.parquet")
    pa.feather.write_feather(table, folder / "clients.arrow")
    for k in range(3):
        pa.parquet.write_table(table.slice(20 * k, 20), folder / f"shards/part-{k}.parquet")


def make_texts(folder: Path) -> None:
    turns = [f"turn {k} of a talk about the weather in the town" for k in range(30)]
    lines = "".join(f"{turn}\n" for turn in turns)
    chats = [[{"role": ("user", "assistant")[k % 2], "content": turns[n + k]} for k in range(4)] for n in range(20)]
    asked = [{"question": f"what is the number of this talk, of which {k} are known?"} for k in range(9)]
    articles = [
        {
            "paragraphs": [
                {"context": turn, "qas": [{**one, "answers": [{"text": turn[:7], "answer_start": 0}]} for one in asked]}
            ]
        }
        for turn in turns
    ]
    texts = {
        "talks.de": lines,
        "talks.en": lines,
        "talks/train.de": lines,
        "talks/train.en": lines,
        "chats.jsonl": "".join(json.dumps({"messages": chat}) + "\n" for chat in chats),
        "questions.json": json.dumps({"data": articles}),
        "names.conll": "Ada B-PER\ncame O\n\nto O\nGraz B-LOC\n",
        **{f"reviews/{('pos', 'neg')[k % 2]}/{k}.txt": turn for k, turn in enumerate(turns)},
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def make_dirty(folder: Path) -> None:
    rows = "".join(f"{k},{2 * k}.5,{'yes' if k % 3 else 'no'}\n" for k in range(30, 60))
    (folder / "loans.csv").write_text(f"age,income,left\n{rows}29,lots,no\n")
    (folder / "extra.csv").write_text(f"age,income,left\n41,38000,no,\n{rows}")
    (folder / "page.csv").write_text("<!DOCTYPE html><html><body>Not found</body></html>\n")


def make_pictures(folder: Path) -> None:
    random, album = np.random.default_rng(0), []
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for what, grey in (("cats", 60), ("dogs", 180)):
            (folder / "photos" / what).mkdir(parents=True)
            for k in range(12):
                name = f"photos/{what}/anna{k // 3}_{k}.png"
                pixels = random.normal(grey, 20, (16, 16, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / name)
                archive.write(folder / name, name)
                album.append({"photo": name, "weight_kg": round(float(random.normal(grey / 6, 1)), 1), "what": what})
    (folder / "album.csv").write_text(as_csv(album))
    write_idx(folder / "mnist-small", "train", random.integers(0, 256, (40, 8, 8)), np.arange(40) % 2)
    write_idx(folder / "mnist-small", "t10k", random.integers(0, 256, (20, 8, 8)), np.arange(20) % 2)
    x = random.normal(size=(80, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    np.savez(folder / "lab.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])


def write_idx(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Bytes with the head of their shape, as in the MNIST of LeCun, Cortes and Burges."""
    folder.mkdir(exist_ok=True)
    for array, name in ((images, "images-idx3"), (labels, "labels-idx1")):
        head = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (folder / f"{part}-{name}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the page speaks of."""
    folder = tmp_path_factory.mktemp("page")
    make_tables(folder)
    make_texts(folder)
    make_dirty(folder)
    make_pictures(folder)
    return folder


@pytest.fixture
def place(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(files)
    monkeypatch.setenv("FATHOM_CACHE", str(files / "cache"))
    return files


def typed(command: str, place: Path) -> tuple[int, str]:
    """The exit status and all that is printed when a command of the page is typed; a run is short, and its own."""
    _, *arguments = shlex.split(command)
    out = place / "runs" / str(len(list(place.glob("runs/*"))))
    if arguments[0] == "fit":
        arguments += [*QUICK, *(() if "--out" in arguments else ("--out", str(out)))]
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(printed), redirect_stderr(printed), pytest.raises(SystemExit) as left:
        main(arguments)
    text = printed.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return int(left.value.code or 0), text.replace(str(place), HOME)


def first_not_printed(expected: str, text: str) -> str | None:
    """The first shown line (or message, where it is folded) that was not printed after those before it."""
    flat, at = " ".join(text.split()), 0
    folded = re.sub(r"\n(?!fathom: |note|warning|rows: |\.\.\.)", " ", expected)
    for line in folded.split("\n"):
        words = " ".join(line.split()).strip(". ")
        found = flat.find(words, at)
        if found < 0:
            return words
        at = found + len(words)
    return None


SHOWN = shown(PAGE) + shown(IN_README)


@pytest.mark.parametrize(("command", "expected"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_of_the_page_prints_what_is_shown(place: Path, request: pytest.FixtureRequest, command, expected):
    if re.search(r"bike|compas|pima", command):
        copy_real_data(request.getfixturevalue("data_directory"), place)
    status, text = typed(command, place)
    assert status == (2 if "fathom: error" in expected else 0), text
    assert first_not_printed(expected, text) is None, text


def copy_real_data(data_directory: Path, place: Path) -> None:
    for source, target in COPIES.items():
        (place / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data_directory / source, place / target)


@pytest.mark.parametrize("command", dict.fromkeys(in_tables(PAGE, "fathom fit ") + in_tables(PAGE, "fathom check ")))
def test_a_command_in_a_table_works(place: Path, command: str):
    status, text = typed(command, place)
    assert status == 0, text


def test_every_line_of_python_reads_the_rows_it_names(place: Path):
    lines = in_tables(PAGE, "fathom.read(")
    numbered = [f"found.append({line})" for line in lines]
    (place / "page.py").write_text("\n".join(["import fathom, numpy, pandas", "found = []", *numbered]))
    found = runpy.run_path(str(place / "page.py"))["found"]
    assert len(found) == len(lines) > 10
    assert all(source.parts["train"].num_rows > 1 for source in found)


def test_a_line_that_is_shown_and_not_printed_is_found():
    assert first_not_printed("rows: 12 to train on\nnote: b", "rows: 12 to train on\nnote: a") == "note: b"
    assert first_not_printed("note: b\nrows: 1", "rows: 1\nnote: b") == "rows: 1"
    assert first_not_printed("...\nrows: 1\n...", "x\nrows: 1\ny") is None


def test_every_link_inside_the_page_leads_to_a_heading():
    headings = {
        re.sub(r"[^a-z -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", PAGE, re.M)
    }
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert links
    assert set(links) <= headings
