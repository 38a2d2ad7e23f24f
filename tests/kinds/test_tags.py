"""Tags of words: at the first token of each, and one a word again."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from fathom.errors import SchemaError
from fathom.schema import Schema
from fathom.signals import target_key

SENTENCES = [
    (["Anna", "von", "Berg", "lives", "in", "Zürich", "😀"], ["B-PER", "I-PER", "I-PER", "O", "O", "B-LOC", "O"]),
    (["The", "unbelievably", "long-winded", "man", "sees", "ירושלים"], ["O", "O", "O", "O", "O", "B-LOC"]),
    (["Rome", "is", "far"], ["B-LOC", "O", "O"]),
]  # fmt: skip


def table(rows=SENTENCES, strings: bool = False) -> pa.Table:
    words, tags = ([row[k] for row in rows] for k in range(2))
    if strings:
        words, tags = ([None if cell is None else " ".join(cell) for cell in cells] for cells in (words, tags))
    return pa.table({"words": pa.array(words), "tags": pa.array(tags)})


def schema(rows: pa.Table, **options) -> Schema:
    return Schema.infer(rows, ["tags"], kinds={"tags": "tags", "words": {"name": "text", **options}}).fit(rows)


def kind(one: Schema):
    return next(column for column in one.columns if column.name == "tags").fitted


def back(one: Schema, rows: pa.Table) -> list:
    """The tags that the tokens of each word were given."""
    store = one.encode(rows)
    tag, _ = store.drawn(target_key("tags")).padded()
    return one.decode("tags", {"tag": tag.numpy(), "chance": np.ones(tag.shape)}, store)["tags"].to_pylist()


@pytest.mark.parametrize("tokenizer", ["bpe", "wordpiece", "char"])
@pytest.mark.parametrize("strings", [False, True])
def test_each_word_gets_its_tag_back(tokenizer, strings):
    rows = table(strings=strings)
    assert back(schema(rows, tokenizer=tokenizer), rows) == rows["tags"].to_pylist()


def test_whole_numbers_in_lists_are_tags_and_come_back_as_numbers():
    words = [words for words, _ in SENTENCES * 10]
    rows = pa.table({"words": words, "tags": [[len(word) % 3 for word in row] for row in words]})
    one = Schema.infer(rows, ["tags"], kinds={"words": "text"}).fit(rows)
    assert back(one, rows) == rows["tags"].to_pylist()


def test_only_the_first_token_of_a_word_is_asked_for():
    rows = table()
    labels = schema(rows, tokenizer="char").encode(rows).drawn(target_key("tags"))
    assert (labels.values > 0).sum() == sum(len(words) for words, _ in SENTENCES)
    first = labels.values[: labels.offsets[1]]
    text = " ".join(SENTENCES[0][0])
    expected = [1 + k for k in range(len(text)) if k == 0 or text[k - 1] == " "]
    assert first.nonzero().flatten().tolist() == expected


@pytest.mark.parametrize("strings", [False, True])
def test_rows_with_fewer_tags_than_words_are_refused_by_number(strings):
    rows = table([*SENTENCES, (["two", "words"], ["O"])], strings=strings)
    with pytest.raises(SchemaError, match=r"1 rows .* row 3, has 2 words \('two words'\) and 1 tags"):
        schema(rows)


@pytest.mark.parametrize(("words", "tags"), [(["two", "words"], []), ([], ["O"])])
def test_a_row_of_no_words_or_of_no_tags_is_refused_beside_some(words, tags):
    with pytest.raises(SchemaError, match=rf"row 3, has {len(words)} words .* and {len(tags)} tags"):
        schema(table([*SENTENCES, (words, tags)]))


def test_new_rows_are_checked_too():
    one = schema(table())
    with pytest.raises(SchemaError, match="row 0, has 1 words"):
        one.encode(table([(["one"], ["O", "O"])]))


def test_words_cut_off_are_counted_and_are_outside():
    rows = table()
    one = schema(rows, length=6, tokenizer="char")
    store = one.encode(rows)
    assert back(one, rows) == [["B-PER"] + ["O"] * 6, ["O"] * 6, ["B-LOC", "O", "O"]]
    (told,) = one.left_out(store)
    words = sum(len(words) for words, _ in SENTENCES) - 3
    assert told.startswith(f"tags: {words} words of 3 rows are cut off or empty")
    assert "answered by O" in told
    truth = one.answered("tags", store).truth(store.drawn(target_key("tags")))
    assert list(truth) == [" ".join(tags) for _, tags in SENTENCES]


def test_without_an_o_a_word_cut_off_has_no_tag():
    rows = table([(["one", "two"], ["NUM", "NUM"]), (["three", "dogs"], ["NUM", "NOUN"])])
    one = schema(rows, length=5, tokenizer="char")
    assert back(one, rows) == [["NUM", None], ["NUM", None]]


def test_missing_tags_and_tags_never_seen_count_nothing():
    one = schema(table())
    rows = table([(["a", "b"], None), (["a", "b"], ["NEVER", "O"]), (None, ["O"])])
    store = one.encode(rows)
    labels = store.drawn(target_key("tags"))
    assert [int((row > 0).sum()) for row in np.split(labels.values.numpy(), labels.offsets[1:-1])] == [0, 1, 0]
    assert list(one.answered("tags", store).truth(labels)) == [None, "NEVER O", "O"]


def test_lists_that_repeat_few_tags_are_tags_and_sets_are_not():
    rows = table(SENTENCES * 10)
    column = Schema.infer(rows, ["tags"], kinds={"words": "text"}).columns[1]
    assert (column.kind.name, column.kind.options["within"]) == ("tags", "words")
    sets = pa.table({"words": [["a", "b"], ["b", "c"]] * 20, "tags": [["x", "y"], ["z"]] * 20})
    assert Schema.infer(sets, ["tags"]).columns[1].kind.name == "multilabel"


def test_words_that_look_like_sets_are_a_text_where_tags_stand_beside():
    rows = pa.table({"words": [["go", "to", "a"], ["to", "b"]] * 20, "tags": [["V", "O", "O"], ["O", "O"]] * 20})
    alone = pa.table({"words": rows["words"], "tags": [1.0, 2.0] * 20})
    assert Schema.infer(alone, ["tags"]).columns[0].kind.name == "multilabel"
    assert Schema.infer(rows, ["tags"]).columns[0].kind.name == "text"
    with pytest.raises(SchemaError, match="--kind COLUMN=text"):
        Schema.infer(rows, ["tags"], kinds={"words": "multilabel"})


def test_the_words_are_found_by_their_number():
    rows = table().append_column("also", pa.array([["x", "y", "z"]] * 3))
    one = Schema.infer(rows, ["tags"], kinds={"tags": "tags", "words": "text", "also": "text"})
    assert one.columns[1].kind.options["within"] == "words"


def test_a_state_survives_json_and_new_rows_need_no_tags():
    rows = table()
    one = Schema.from_state(json.loads(json.dumps(schema(rows).state())))
    store = one.encode(rows.drop(["tags"]), targets=False)
    tag = np.full((3, 60), 1 + kind(one)._names.index("O"))
    decoded = one.decode("tags", {"tag": tag, "chance": np.full(tag.shape, 0.5)}, store)
    assert decoded["tags"].to_pylist() == [["O"] * len(words) for words, _ in SENTENCES]
    assert decoded["tags probability"].to_pylist() == [0.5] * 3
