"""docs/walkthroughs.md: every command on small data of the form that the page names."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from tests.guide import blocks, commands, typed

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "walkthroughs.md").read_text(encoding="utf-8")
COMMANDS = [command for language, text in blocks(PAGE) if language == "console" for command, _ in commands(text)]
NAMES = ("cat", "dog", "bird", "horse")
VERBS = ("sees", "likes", "hears", "follows")
KINDS = ("small", "big", "old", "young", "red", "white")


def sentences(count: int, first: int = 0) -> list[str]:
    rows = range(first, first + count)
    return [
        f"the {KINDS[k % 6]} {NAMES[k % 4]} {VERBS[k // 4 % 4]} the {NAMES[k // 16 % 4]} of house {k}" for k in rows
    ]


def made(place: Path) -> None:
    """Files as the page has them."""
    for name in ("sst2", "banking", "talks", "emails", "dialogues"):
        (place / name).mkdir()
    parts = {"train": sentences(90), "dev": sentences(30, 90), "test": sentences(30, 120)}
    for part, rows in parts.items():
        labelled = [f"{text}\t{k % 2}" for k, text in enumerate(rows)]
        (place / "sst2" / f"{part}.tsv").write_text("\n".join(labelled) + "\n")
        mails = [{"id": f"{part}-{k}", "body": f"{t}. {t}. So it is.", "subject": t[:24]} for k, t in enumerate(rows)]
        (place / "emails" / f"{part}.jsonl").write_text("\n".join(map(json.dumps, mails)) + "\n")
        for tongue in ("de", "en"):
            name = {"train": "train", "dev": "val", "test": "test_2016_flickr"}[part]
            content = "\n".join(text.replace("the", "das") if tongue == "de" else text for text in rows) + "\n"
            (place / "talks" / f"{name}.{tongue}.gz").write_bytes(gzip.compress(content.encode()))
        if part != "dev":
            intents = "".join(f"{text},{NAMES[k % 4]}\n" for k, text in enumerate(rows))
            (place / "banking" / f"{part}.csv").write_text("text,category\n" + intents)
    (place / "test.tsv").write_text((place / "sst2" / "test.tsv").read_text())
    news = "".join(f"{1 + k % 4},{text}\n" for k, text in enumerate(sentences(120)))
    (place / "news.csv").write_text("label,text\n" + news)
    (place / "shakespeare.txt").write_text(". ".join(sentences(400)) + ".\n")
    articles = [{"title": f"article {k}", "paragraphs": [paragraph(k)]} for k in range(40)]
    (place / "xquad.en.json").write_text(json.dumps({"version": "1.1", "data": articles}))
    tagged = "\n".join("".join(f"{word} {tag_of(word)}\n" for word in text.split()) for text in sentences(120))
    (place / "names.conll").write_text(tagged)
    for part, first in (("dev", 0), ("test", 200)):
        turns = sentences(200, first)
        lines = [" __eou__ ".join(turns[k : k + 5]) + " __eou__\t1\t1 2 1 2 1\t0 0 0 0 0\n" for k in range(0, 200, 5)]
        (place / "dialogues" / f"en_{part}_human.txt").write_text("".join(lines))


def tag_of(word: str) -> str:
    return "B-BEAST" if word in NAMES else "B-DEED" if word in VERBS else "O"


def paragraph(number: int) -> dict:
    context = ". ".join(sentences(3, 3 * number))
    answer = sentences(1, 3 * number)[0].rsplit(" the ", 1)[1]
    said = [{"text": answer, "answer_start": context.index(answer)}]
    asked = f"whose is the {NAMES[3 * number // 16 % 4]} that is told of first, in article {number}?"
    return {"context": context, "qas": [{"id": f"q{number}", "question": asked, "answers": said}]}


def test_the_page_has_a_fit_for_each_of_its_ten_tasks():
    assert sum(command.startswith("fathom fit") for command in COMMANDS) == 10


@pytest.mark.slow
def test_every_command_of_the_page_works_on_data_of_its_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made(tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        monkeypatch.setattr("sys.stdin", io.StringIO("the cat sees the dog\n"))
        alone = " --set baseline=false --no-report" if command.startswith("fathom fit") else ""
        status, printed = typed(command + alone)
        assert status == 0, f"{command}\n{printed}"
