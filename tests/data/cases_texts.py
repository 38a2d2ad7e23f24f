"""Dirty parallel texts, folders of texts, dialogues, questions and tagged tokens."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.data.dirty import Case
from tests.data.made import Content, in_file, in_folder, in_zip, write
from tests.data.standins import data, never, no_notes, nothing

DE, EN = "Ein Hund.\n\nZwei Hunde.\n", "A dog.\nA cat.\nTwo dogs.\n"
REVIEWS: dict[str, Content] = {
    "pos/0_9.txt": "a joy",
    "pos/1_8.txt": "a delight",
    "neg/0_2.txt": "a bore",
    "neg/1_1.txt": "dull",
}
IMDB: dict[str, Content] = {
    **{f"{part}/{name}": text for part in ("train", "test") for name, text in REVIEWS.items()},
    "train/unsup/0_0.txt": "unknown",
    "train/urls_pos.txt": "http",
    "imdbEr.txt": "0.5\n",
    "README": "about",
}


def joined(first: str, second: str, contents: dict[str, Content]) -> Callable[[Path], str]:
    """Two files, named together."""

    def make(folder: Path) -> str:
        write(folder, contents)
        return f"{folder / first}+{folder / second}"

    return make


def squad(*paragraphs: Any, **article: Any) -> str:
    return json.dumps({"version": "v2.0", "data": [{"paragraphs": list(paragraphs), **article}]})


def paragraph(*answers: Any, context: str = "He is in Graz.", **more: Any) -> dict[str, Any]:
    return {"context": context, "qas": [{"id": "q0", "question": "Where?", "answers": list(answers), **more}]}


GRAZ = {"text": "Graz", "answer_start": 9}

PARALLEL = [
    Case(
        "parallel: an empty line keeps the others beside their partners",
        joined("t.de", "t.en", {"t.de": DE, "t.en": EN}),
        {data("parallel._lines"): lambda text: [line for line in text.split("\n") if line]},
        reads={"de": ["Ein Hund.", None, "Zwei Hunde."], "en": ["A dog.", "A cat.", "Two dogs."]},
        notes=r"t\.de: 1 lines hold no text; they are missing",
    ),
    Case(
        "parallel: a line too few",
        joined("t.de", "t.en", {"t.de": DE, "t.en": "A dog.\nA cat.\n"}),
        {data("parallel._check_same_count"): nothing},
        refused=r"t\.de has 3 lines, t\.en 2; each line of one must belong",
    ),
    Case(
        "parallel: an empty line too many at the end",
        joined("t.de", "t.en", {"t.de": DE + "\n", "t.en": EN}),
        {data("parallel._lines"): str.splitlines, data("parallel._check_same_count"): nothing},
        refused=r"t\.de has 4 lines, t\.en 3",
    ),
    Case(
        "parallel: no line end at the end, and signs within that others take for one",
        joined("t.de", "t.en", {"t.de": "a\u2028b\x0cc\r\nd", "t.en": "x\ny\n"}),
        {data("parallel._lines"): str.splitlines},
        reads={"de": ["a\u2028b\x0cc", "d"], "en": ["x", "y"]},
    ),
    Case(
        "parallel: one of the files is not there",
        joined("t.de", "t.fr", {"t.de": DE, "t.en": EN}),
        {"fathom.data.readers._joined": lambda name, sign: ()},
        refused=r"nothing to read at '.*t\.fr': looked for .*t\.fr; near: t\.(de|en)",
    ),
    Case(
        "parallel: one of two files is named alone",
        in_file("t.de", DE, t__en=EN),
        {"fathom.data.readers._with_partner": lambda place, known: ""},
        refused=r"no reader for such a file .*if its lines belong to those of t\.en, name t\.de\+t\.en",
    ),
    Case(
        "parallel: an empty file",
        joined("t.de", "t.en", {"t.de": "", "t.en": EN}),
        {data("encoding.check_filled"): nothing},
        refused=r"t\.de: the file is empty",
    ),
    Case(
        "parallel: a NUL byte",
        joined("t.de", "t.en", {"t.de": "a\nb\0\nc\n", "t.en": EN}),
        {data("encoding.check_no_nul"): nothing},
        refused=r"t\.de: line 2 holds a NUL byte",
    ),
    Case(
        "parallel: two files of one name",
        joined("a/t.txt", "b/t.txt", {"a/t.txt": DE, "b/t.txt": EN}),
        {data("parallel._columns"): lambda places: {str(k): place for k, place in enumerate(places)}},
        refused=r"the files that are joined need names that differ: t, t",
    ),
    Case(
        "parallel: UTF-16 beside cp1252",
        joined("t.de", "t.en", {"t.de": "Bär\nHund\n".encode("utf-16"), "t.en": "caf\xe9\ndog\n".encode("cp1252")}),
        {data("encoding.encodings_of"): lambda head: (("utf-8", 0),)},
        reads={"de": ["Bär", "Hund"], "en": ["café", "dog"]},
        notes=r"t\.en: the text is not UTF-8; it was read as cp1252",
    ),
    Case(
        "parallel: right to left, emoji, and a long line",
        joined("t.ar", "t.en", {"t.ar": f"مرحبا 😀\n{'x' * 1_000_000}\n", "t.en": "hello\nlong\n"}),
        {data("parallel._with_missing"): lambda lines: [line.encode("ascii", "ignore").decode() for line in lines]},
        reads={"ar": ["مرحبا 😀", "x" * 1_000_000], "en": ["hello", "long"]},
    ),
    Case(
        "parallel: a folder, in which a part lacks a partner",
        in_folder({"train.de": DE, "train.en": EN, "val.de": DE}),
        {data("parallel.LANGUAGE"): re.compile("-")},
        refused=r"beside val\.de stands no val\.en, as beside the others does",
    ),
    Case(
        "parallel: a folder of two corpora",
        in_folder({"news.de": DE, "news.en": EN, "talks.de": DE, "talks.en": EN}),
        {data("parallel._in_parts"): lambda texts, folder: {"train": next(iter(texts.values()))}},
        refused=r"do not say one each for train, valid and test: news, talks; name files, as in news\.de\+news\.en",
    ),
    Case(
        "parallel: a folder with a readme, packed",
        in_folder(
            {"train.de.gz": gzip.compress(DE.encode()), "train.en.gz": gzip.compress(EN.encode()), "README": "x"}
        ),
        {data("parallel._plain_name"): lambda path: path.name},
        reads={"en": ["A dog.", "A cat.", "Two dogs."]},
    ),
]

DOCUMENTS = [
    Case(
        "texts: as aclImdb is laid out, with what stands beside",
        in_folder(IMDB),
        {data("documents.UNLABELLED"): ()},
        reads={"text": ["a bore", "dull", "a joy", "a delight"], "label": ["neg", "neg", "pos", "pos"]},
        notes="left out, being without a class: unsup",
    ),
    Case(
        "texts: a ZIP of them",
        in_zip({f"aclImdb/{name}": text for name, text in IMDB.items()}),
        {data("archives.holds_texts"): never},
        reads={"label": ["neg", "neg", "pos", "pos"]},
    ),
    Case(
        "texts: a class without any",
        in_folder({**REVIEWS, "new/0.pdf": "x"}),
        {data("documents._is_document"): lambda path: True},
        refused=r"new: no texts for this class \(allowed: \.txt",
    ),
    Case(
        "texts: one class alone",
        in_folder({"train/pos/0.txt": "a", "train/pos/1.txt": "b", "test/pos/0.txt": "c"}),
        {data("documents.check_several"): nothing},
        refused="expected a folder for each class, at least two; found only pos",
    ),
    Case(
        "texts: an empty file among them",
        in_folder({**REVIEWS, "pos/2_7.txt": " \n"}),
        {data("documents._notes"): no_notes},
        reads={"text": ["a bore", "dull", "a joy", "a delight"]},
        notes="1 files without text are left out",
    ),
    Case(
        "texts: one with a NUL byte",
        in_folder({**REVIEWS, "pos/2_7.txt": "a\nb\0"}),
        {data("documents.check_no_nul"): nothing},
        refused=r"pos/2_7\.txt: line 2 holds a NUL byte",
    ),
    Case(
        "texts: one in cp1252",
        in_folder({**REVIEWS, "pos/2_7.txt": "caf\xe9".encode("cp1252")}),
        {data("documents._notes"): no_notes},
        reads={"text": ["a bore", "dull", "a joy", "a delight", "café"]},
        notes=r"2_7\.txt: the text is not UTF-8",
    ),
    Case(
        "texts: a file for each class, by lines, with blank ones",
        in_folder({"pos.txt": "good\n\nfine\n", "neg.txt": "bad\r\npoor", "README.txt": "about"}),
        {data("documents._notes"): no_notes},
        reads={"text": ["bad", "poor", "good", "fine"], "label": ["neg", "neg", "pos", "pos"]},
        notes="1 lines without text are left out",
        options={"lines": True},
    ),
    Case(
        "texts: one name and two endings that are no languages",
        in_folder({"rt-polarity.pos": "good\nfine\n", "rt-polarity.neg": "bad\npoor\n"}),
        {data("documents.LANGUAGE"): re.compile(".*")},
        reads={"text": ["bad", "poor", "good", "fine"], "label": ["neg", "neg", "pos", "pos"]},
        options={"lines": True},
    ),
]

DIALOGUES = [
    Case(
        "dialogues: turns ended by __eou__, the last one not",
        in_file("d.txt", "Hi . __eou__ Hello ! __eou__ Bye\nOnly one . __eou__\n"),
        {data("text.holds_dialogues"): never},
        reads={"context": ["Hi .", "Hi .\nHello !"], "reply": ["Hello !", "Bye"], "dialogue": ["d:1", "d:1"]},
        notes="1 dialogues without a reply are left out",
    ),
    Case(
        "dialogues: an act too few",
        in_file("d.txt", "Hi . __eou__ Hello ! __eou__\t1\t2 1\t0 0\nHi . __eou__ Yes . __eou__\t1\t2\t0 0\n"),
        {data("dialogues._of_turns"): lambda cell, turns, where, name: ["1"] * len(turns)},
        refused=r"d\.txt: line 2 holds 2 turns, and 1 words of act where each has one",
    ),
    Case(
        "dialogues: a tab missing",
        in_file("d.txt", "Hi . __eou__ Hello ! __eou__\t1\t2 1\t0 0\nHi . __eou__ Yes . __eou__ 1\t2 1\t0 0\n"),
        {data("dialogues._turns"): lambda cells, width, where: cells[0].split("__eou__")},
        refused=r"d\.txt: line 2 has 3 cells divided by tabs, the first line 4 \(turns, topic, acts, emotions\)",
    ),
    Case(
        "dialogues: a line without an end of a turn",
        in_file("d.txt", "Hi . __eou__ Hello ! __eou__\nHi . __eou__ Yes . __eou__\nno dialogue\n"),
        {data("dialogues.TURN_END"): " "},
        refused=r"d\.txt: line 3 holds no __eou__",
    ),
    Case(
        "messages: a system's words are context, and what has no words is left out",
        in_file(
            "c.jsonl",
            json.dumps(
                {
                    "n": 1,
                    "messages": [
                        {"role": "system", "content": "Be kind."},
                        {"role": "user", "content": "Hi"},
                        {"role": "assistant", "content": None},
                        {"role": "assistant", "content": "Hello"},
                    ],
                }
            )
            + "\n"
            + json.dumps({"n": 2, "messages": [{"role": "user", "content": "Hi"}]}),
        ),
        {data("columnar.replies_in_messages"): lambda table, place: None},
        reads={"context": ["Be kind.\nHi"], "reply": ["Hello"], "dialogue": ["c:1"], "n": [1]},
        notes="1 dialogues without a reply are left out",
    ),
    Case(
        "messages: from and value, and nobody who answers",
        in_file("c.json", '[{"conversations": [{"from": "a", "value": "x"}, {"from": "b", "value": "y"}]}, {}]'),
        {data("dialogues.MESSAGE_FIELDS"): (("role", "content"),)},
        reads={"context": ["x"], "reply": ["y"]},
    ),
    Case(
        "messages: none is a reply",
        in_file("c.jsonl", '{"messages": [{"role": "assistant", "content": "Hi"}]}\n'),
        {data("dialogues._check_any"): nothing},
        refused=r"c\.jsonl: the messages in 'messages' hold no reply",
    ),
    Case(
        "messages: a torn line",
        in_file("c.jsonl", '{"messages": [{"role": "user", "content": "Hi"}]}\n{"messages": [{"role": "us\n'),
        {data("json_objects._loaded"): lambda text, where, place: {}},
        refused=r"c\.jsonl: line 2 is no JSON, or is cut short",
    ),
]

QUESTIONS = [
    Case(
        "questions: one without an answer, and one with several",
        in_file(
            "q.json",
            squad(paragraph(GRAZ, {"text": "in Graz", "answer_start": 6}, GRAZ), paragraph(is_impossible=True)),
        ),
        {data("json_lines.may_hold_questions"): never},
        reads={
            "answer": ["Graz", ""],
            "answer_start": [9, None],
            "answers": [["Graz", "in Graz"], None],
            "article": ["q:0", "q:0"],
        },
        notes="1 question has no answer",
    ),
    Case(
        "questions: an answer that stands elsewhere",
        in_file("q.json", squad(paragraph({"text": "Graz", "answer_start": 8}), title="Ada")),
        {data("questions._notes"): no_notes},
        reads={"article": ["q:Ada"]},
        notes="1 answers do not stand where answer_start says",
    ),
    Case(
        "questions: cut short",
        in_file("q.json", squad(paragraph(GRAZ))[:-9]),
        {data("json_lines.may_hold_questions"): never, data("json_objects._loaded"): lambda *_: {"a": 1}},
        refused=r"q\.json: is no JSON, or is cut short",
    ),
    Case(
        "questions: a paragraph without its context",
        in_file("q.json", squad({"qas": paragraph(GRAZ)["qas"]})),
        {data("questions._held"): lambda found, key, sort, where: found.get(key, "")},
        refused=r"q\.json: data\[0\]\.paragraphs\[0\] lacks 'context', words",
    ),
    Case(
        "questions: an answer without its place",
        in_file("q.json", squad(paragraph({"text": "Graz"}))),
        {data("questions._held"): lambda found, key, sort, where: found.get(key, 0)},
        refused=r"paragraphs\[0\]\.qas\[0\]\.answers\[0\] lacks 'answer_start', a whole number",
    ),
    Case(
        "questions: an object a line that speaks of paragraphs",
        in_file("q.jsonl", '{"a": "x", "paragraphs": "y", "qas": "z"}\n' * 2),
        {data("json_lines.questions_in_json"): lambda found, place, notes: json.loads(found)},
        reads={"a": ["x", "x"]},
    ),
]

NER = "-DOCSTART- O\n\nAda B-PER\nLovelace I-PER\ncame O\n\n\nto O\nGraz B-LOC\n"

TAGGED = [
    Case(
        "tagged: found by what a text holds",
        in_file("n.txt", NER),
        {data("text.holds_tags"): never},
        reads={
            "tokens": [["Ada", "Lovelace", "came"], ["to", "Graz"]],
            "tags": [["B-PER", "I-PER", "O"], ["O", "B-LOC"]],
        },
    ),
    Case(
        "tagged: in a .tsv, whose blank lines mean something",
        in_file("n.tsv", NER.replace(" ", "\t")),
        {data("delimited.is_tagged"): never},
        reads={"tokens": [["Ada", "Lovelace", "came"], ["to", "Graz"]]},
    ),
    Case(
        "tagged: a .tsv of words and labels is a table",
        in_file("n.tsv", "word\tlabel\n\na joy\tO\na bore\tB-\n"),
        {data("tagged.IOB"): re.compile(".*")},
        reads={"word": ["a joy", "a bore"]},
    ),
    Case(
        "tagged: a tab missing",
        in_file("n.conll", "Ada\tB-PER\nLovelace I-PER\n\nto\tO\n"),
        {data("tagged._rows"): lambda text, place: iter([["a", "b"], None])},
        refused=r"n\.conll: line 2 has 1 cells, the first line 2: 'Lovelace I-PER'",
    ),
    Case(
        "tagged: tokens alone",
        in_file("n.iob", "Ada\nLovelace\n\nto\n"),
        {data("tagged._rows"): lambda text, place: iter([["a", "b"], None])},
        refused=r"n\.iob: line 1 has 1 cells, a token and its tag are expected",
    ),
    Case(
        "tagged: nothing but blank lines and beginnings of documents",
        in_file("n.conll", "-DOCSTART- -X- O\n\n\n"),
        {data("tagged._check_any"): nothing},
        refused=r"n\.conll: holds no token",
    ),
    Case(
        "tagged: cells between, and line ends of Windows",
        in_file("n.conll", "Ada\tNNP\tB-PER\r\ncame\tVBD\tO\r\n\r\nto\tTO\tO\r\n"),
        {data("tagged._names"): lambda width: ["tokens", "tags", "rest"][:width]},
        reads={
            "tokens": [["Ada", "came"], ["to"]],
            "column_2": [["NNP", "VBD"], ["TO"]],
            "tags": [["B-PER", "O"], ["O"]],
        },
    ),
]

NAMES = [
    Case(
        "rows for testing without a header take training's names",
        in_file("train.csv", "label,x\n" + "".join(f"{k % 2},{k}.5\n" for k in range(20))),
        {"fathom.api.examining._named_as": lambda test, train, say: test},
        target="label",
        test=lambda folder: in_file("test.csv", "".join(f"{k % 2},{k}.7\n" for k in range(20)))(folder),
        notes="have no names; they are taken to be label, x",
    ),
    Case(
        "rows for testing without a header, and with another number of columns",
        in_file("train.csv", "label,x\n" + "".join(f"{k % 2},{k}.5\n" for k in range(20))),
        {"fathom.api.examining._named_as": lambda test, train, say: test.rename_columns(["label", "z", "x"])},
        target="label",
        test=lambda folder: in_file("test.csv", "".join(f"{k % 2},title {k},{k}.7\n" for k in range(20)))(folder),
        refused=r"the rows for testing have 3 columns and no names, those for training 2 \(label, x\)",
    ),
]

CASES = [*PARALLEL, *DOCUMENTS, *DIALOGUES, *QUESTIONS, *TAGGED, *NAMES]
