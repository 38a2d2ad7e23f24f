"""Answers in a text: found by characters, kept as tokens, and cut out of the text again."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from fathom.data import read
from fathom.errors import SchemaError
from fathom.kinds import LEFT_OUT
from fathom.schema import Schema
from fathom.signals import Role, beside_key, target_key

PARIS = "The tower stands in Paris, and Paris stands on the Seine, a long way from here."
EMOJI = "Smile 😀👩‍👩‍👧 at the café in Zürich, the é of which is two signs: e\u0301, said Ångström."
HEBREW = "שלום עולם, אמר האיש הזקן בעיר הגדולה ירושלים והלך לביתו."
TEXTS = [PARIS, EMOJI, HEBREW]


def table(rows: list[tuple], starts: bool = False) -> pa.Table:
    """Rows of a text, an answer, and the character that it starts at."""
    columns = {
        "context": pa.array([row[0] for row in rows], pa.string()),
        "question": pa.array(["what is it that is asked for here?" for _ in rows], pa.string()),
        "answer": pa.array([row[1] for row in rows], pa.string()),
    }
    if starts:
        columns["place"] = pa.array([row[2] for row in rows], pa.int64())
    return pa.table(columns)


def schema(rows: pa.Table, **options) -> Schema:
    kinds = {
        "answer": {"name": "span", "within": "context"},
        "context": {"name": "text", **options},
        "question": "text",
    }
    return Schema.infer(rows, ["answer"], kinds=kinds).fit(rows)


def kind(one: Schema):
    return next(column for column in one.columns if column.name == "answer").fitted


def back(one: Schema, rows: pa.Table) -> list[str]:
    """The answers cut out of the texts by the tokens that encode them."""
    store = one.encode(rows)
    places = store.drawn(target_key("answer"))
    found = {"begin": places[:, 0].numpy(), "end": places[:, 1].numpy(), "chance": np.ones(len(places))}
    return one.decode("answer", found, store)["answer"].to_pylist()


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_answers_come_back_by_characters_in_any_script(tokenizer, lowercase):
    answers = [(PARIS, "Paris"), (EMOJI, "😀👩‍👩‍👧"), (EMOJI, "Zürich"), (EMOJI, "Ångström"), (HEBREW, "ירושלים")]
    rows = table(answers)
    assert back(schema(rows, tokenizer=tokenizer, lowercase=lowercase), rows) == [answer for _, answer in answers]


def test_an_answer_between_signs_is_not_given_them():
    rows = table([("of (Paris), the", "Paris"), ("[twenty-five] years", "five")])
    assert back(schema(rows, tokenizer="char"), rows) == ["Paris", "five"]


def test_the_begin_and_the_end_of_a_text_stand_for_no_character_even_where_it_is_cut():
    rows = table([(PARIS, "tower"), (None, "x")])
    places = schema(rows, tokenizer="char", length=12).encode(rows).cells["answer"].combine_chunks()
    assert places.field("begins").to_pylist() == [[-1, *range(10), -1], []]
    assert places.field("ends").to_pylist() == [[-1, *range(1, 11), -1], []]


def test_an_answer_that_stands_twice_is_the_one_that_starts_where_it_is_said():
    second = PARIS.rindex("Paris")
    rows = table([(PARIS, "Paris", second)] * 3, starts=True)
    one = schema(rows)
    assert kind(one).start == "place"
    first = schema(rows.drop(["place"])).encode(rows).drawn(target_key("answer"))
    assert (one.encode(rows).drawn(target_key("answer")) > first).all()
    assert back(one, rows) == ["Paris"] * 3


def test_the_column_that_tells_where_answers_start_does_not_come_in():
    rows = table([(PARIS, word, PARIS.index(word)) for word in ("Paris", "Seine", "tower")], starts=True)
    place = next(column for column in schema(rows).columns if column.name == "place")
    assert place.role is Role.IGNORE
    assert "'answer'" in place.reason


def test_an_answer_starts_where_it_stands_if_the_number_is_wrong():
    rows = table([(PARIS, "Paris", PARIS.index("Paris"))] * 19 + [(PARIS, "Seine", 3)], starts=True)
    assert back(schema(rows), rows)[-1] == "Seine"


def test_an_empty_answer_is_none_and_a_missing_one_is_unknown():
    rows = table([(PARIS, ""), (PARIS, None), (PARIS, "Seine"), (None, "Seine"), ("", "Seine"), ("", "")])
    one = schema(rows)
    store = one.encode(rows)
    places = store.drawn(target_key("answer"))
    assert places[0].tolist() == [0, 0] == places[5].tolist()
    assert places[[1, 3, 4]].tolist() == [[-1, -1]] * 3
    assert store.drawn(beside_key(target_key("answer"), LEFT_OUT)).tolist() == [0, 0, 0, 1, 1, 0]
    assert kind(one).spec.unanswered == pytest.approx(2 / 5)
    assert back(one, rows) == ["", "", "Seine", "", "", ""]
    assert list(one.answered("answer", store).truth(places)) == ["", None, "Seine", "Seine", "Seine", ""]


def test_answers_elsewhere_and_cut_off_are_counted_apart():
    rows = table([(PARIS, "London"), (PARIS, "here"), (PARIS, "tower")])
    one = schema(rows, length=12)
    store = one.encode(rows)
    assert store.drawn(beside_key(target_key("answer"), LEFT_OUT)).tolist() == [1, 2, 0]
    elsewhere, cut = one.left_out(store)
    assert "1 answers do not stand in 'context'" in elsewhere
    assert "1 answers are cut off" in cut
    assert "kinds.context.length" in cut
    assert back(one, rows) == ["", "", "tower"]


def test_the_text_with_the_most_answers_is_found():
    rows = pa.table({"note": ["nothing of it is said here at all"] * 3, "body": [PARIS] * 3, "answer": ["Seine"] * 3})
    one = Schema.infer(rows, ["answer"], kinds={"answer": "span", "note": "text", "body": "text"})
    assert next(column for column in one.columns if column.name == "answer").kind.options["within"] == "body"


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ({"answer": {"name": "span", "within": "contxt"}}, "did you mean 'context'"),
        ({"answer": {"name": "span", "within": "answer"}}, "texts that come in"),
        ({"answer": "span", "context": "category", "question": "category"}, "none does"),
    ],
)
def test_a_text_that_does_not_come_in_is_refused(kinds, told):
    rows = table([(PARIS, "Paris")] * 3)
    with pytest.raises(SchemaError, match=told):
        Schema.infer(rows, ["answer"], kinds={"context": "text", "question": "text", **kinds})


def test_answers_none_of_which_stands_anywhere_are_refused():
    rows = table([(PARIS, "London")] * 3)
    with pytest.raises(SchemaError, match="no answer stands in any text"):
        Schema.infer(rows, ["answer"], kinds={"answer": "span", "context": "text", "question": "text"})


def test_a_long_text_that_is_read_whole_is_not_cut():
    rows = table([(PARIS, "here")])
    one = schema(rows, length=12, long="windows")
    assert back(one, rows) == ["here"]
    assert one.left_out(one.encode(rows)) == []


def test_new_rows_need_no_answers():
    rows = table([(PARIS, "Paris"), (EMOJI, "Zürich")])
    one = Schema.from_state(json.loads(json.dumps(schema(rows).state())))
    store = one.encode(rows.drop(["answer"]), targets=False)
    found = {"begin": np.array([1, 1]), "end": np.array([2, 99]), "chance": np.array([0.5, 0.25])}
    decoded = one.decode("answer", found, store)
    assert [PARIS.startswith(decoded["answer"][0].as_py()), decoded["answer"][1].as_py()] == [True, EMOJI]
    assert decoded["answer probability"].to_pylist() == [0.5, 0.25]


def test_questions_without_an_answer_are_read_as_such(tmp_path):
    asked = [
        {"id": "a", "question": "Where?", "answers": [{"text": "Paris", "answer_start": PARIS.index("Paris")}]},
        {"id": "b", "question": "When?", "answers": [], "is_impossible": True},
    ]
    file = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": PARIS, "qas": asked}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(file))
    source = read(tmp_path / "squad.json")
    assert source.parts["train"]["answer"].to_pylist() == ["Paris", ""]
    assert any("1 question has no answer" in note for note in source.notes)


def test_tokens_of_a_batch_are_those_of_its_rows():
    rows = table([(text, "") for text in TEXTS])
    store = schema(rows).encode(rows)
    lengths = store.drawn("input/context").lengths
    cells = store.cells["answer"]
    assert [len(begins) for begins in cells.combine_chunks().field("begins").to_pylist()] == lengths.tolist()
    assert torch.equal(lengths, store.batch(torch.arange(3))["input/context"].lengths)
