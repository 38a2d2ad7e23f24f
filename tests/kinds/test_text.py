"""Texts become tokens and texts again, and nothing that a user writes is more than text."""

from __future__ import annotations

import copy
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fathom.column import kind_of
from fathom.errors import InputError, MissingExtra, ModelError, SchemaError
from fathom.kinds import KINDS, tokenizing
from fathom.kinds.text import CUT, Text
from fathom.kinds.tokenizing import SPECIALS, TOKENIZERS
from fathom.schema import Schema
from fathom.signals import Ragged, Role

WRITTEN = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind at all.",
    "Über den Wolken muß die Freiheit wohl grenzenlos sein, sagte er.",
    "It's 12,345.67 dollars (or less) for a dozen of the quick brown foxes.",
    "Nobody knows how many lazy dogs there are in the whole wide world today.",
]
STRANGE = [
    "",
    " ",
    "\n\n",
    "\0",
    "😀👩‍👩‍👧",
    "שלום עולם",
    "[END] [PAD][MASK]",
    "e\u0301",
    "\ufeff",
    "a" * 10_000,
    "\t tab ",
]


def column(texts: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def text(written: list[str | None] | None = None, **options) -> Text:
    statistics = Text.count(column(written or WRITTEN))
    return Text(Text.fit(statistics), **options)


def back(kind: Text, texts: list[str]) -> list[str]:
    return list(kind.truth(kind.encode(column(texts))[""]))


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_every_text_comes_back_from_its_bytes(written):
    import unicodedata

    assert back(BYTES, [written]) == [unicodedata.normalize("NFC", written)]


BYTES = text(length=100_000)


def test_strange_texts_come_back_from_their_bytes():
    assert back(BYTES, STRANGE) == [*STRANGE[:7], "é", *STRANGE[8:]]


def test_characters_come_back_where_they_are_known():
    assert back(text(tokenizer="char"), WRITTEN) == WRITTEN


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_text_that_spells_a_special_token_has_none(tokenizer):
    kind = text(tokenizer=tokenizer)
    ids = kind.encode(column([" ".join(SPECIALS)]))[""].values[1:-1].tolist()
    spec = kind.spec
    assert not {spec.pad, spec.begin, spec.end, spec.mask} & set(ids)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_vocabulary_is_no_larger_than_asked_for(tokenizer):
    assert text(tokenizer=tokenizer, vocabulary=270).spec.size <= 270


def test_every_row_begins_and_ends_and_a_missing_one_is_empty():
    kind = text()
    rows = kind.encode(column(["a fox", None, ""]))[""]
    assert rows.lengths[1] == 0
    assert rows.lengths[2] == 2
    for row in (0, 2):
        ids = rows.values[rows.offsets[row] : rows.offsets[row + 1]]
        assert (ids[0], ids[-1]) == (kind.spec.begin, kind.spec.end)


def test_what_is_cut_off_is_counted_and_the_rest_ends():
    kind = text(length=6)
    encoded = kind.encode(column([*WRITTEN, "fox", None]))
    whole = text(length=1000).encode(column([*WRITTEN, "fox", None]))[""].lengths
    assert torch.equal(encoded[CUT], (whole - 6).clamp(min=0))
    assert int(encoded[""].lengths.max()) == 6
    last = encoded[""].values[encoded[""].offsets[1:5] - 1]
    assert (last == kind.spec.end).all()


def test_long_texts_are_told_in_windows_of_which_each_token_is_asked_for_once():
    kind = text(length=8, long="windows")
    encoded = kind.encode(column(["a b c d e f g h i j k l m n o p q r s t u v", "x"]))[""]
    samples = kind.samples(encoded)
    windows = encoded.windows(samples.rows, samples.starts, samples.lengths)
    asked = [windows.values[a + 1 : b] for a, b in zip(windows.offsets, windows.offsets[1:], strict=False)]
    first = int((samples.rows == 0).sum())
    assert torch.equal(torch.cat(asked[:first]), encoded.values[1 : encoded.offsets[1]])
    assert max(map(len, asked)) == 8


def test_one_long_text_is_cut_in_three_that_are_it_again():
    pieces = Text.cut(column(["".join(WRITTEN)]), (0.7, 0.15, 0.15))
    assert "".join(piece[0].as_py() for piece in pieces) == "".join(WRITTEN)
    with pytest.raises(SchemaError, match="too few"):
        Text.cut(column(["ab"]), (0.7, 0.15, 0.15))


def test_small_letters_are_asked_for():
    assert back(text(lowercase=True), ["The FOX"]) == ["the fox"]


def test_tokens_of_training_rows_are_counted():
    kind = text()
    encoded = kind.encode(column(WRITTEN))[""]
    expected = np.bincount(encoded.values.numpy(), minlength=kind.spec.size)
    np.testing.assert_array_equal(kind.spec.counts, expected)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_the_longest_text_has_room_and_is_not_far_from_it(tokenizer):
    kind = text(tokenizer=tokenizer)
    longest = int(kind.encode(column(WRITTEN))[""].lengths.max())
    assert longest <= kind.spec.longest <= 2 * longest


def test_columns_with_the_same_options_share_a_tokenizer_and_others_do_not():
    table = pa.table({"en": WRITTEN, "de": WRITTEN[::-1], "other": [f"word {w}" for w in WRITTEN]})
    kinds = {"en": "text", "de": "text", "other": {"name": "text", "vocabulary": 300}}
    schema = Schema.infer(table, ["en"], kinds=kinds).fit(table)
    specs = {name: spec for name, (_, spec) in schema.targets().items()}
    specs |= {name: spec for name, (_, spec) in schema.inputs().items()}
    assert specs["en"].tokenizer == specs["input/de"].tokenizer != specs["input/other"].tokenizer


@pytest.mark.parametrize(
    ("targets", "expected"), [(["en"], "BPE"), ([], "BPE"), (["x"], "WordPiece")], ids=["told", "rebuilt", "read"]
)
def test_texts_that_are_only_read_are_tokens_of_words(targets, expected):
    table = pa.table({"en": WRITTEN, "de": WRITTEN[::-1], "x": [1.0, 2.0, 3.0, 4.0]})
    schema = Schema.infer(table, targets, kinds={"en": "text", "de": "text"}).fit(table)
    texts = [column for column in schema.columns if column.kind.name == "text"]
    assert [kind_of(column).state["tokenizer"]["model"]["type"] for column in texts] == [expected] * 2


def test_texts_in_which_answers_stand_are_read_exactly():
    table = pa.table({"en": WRITTEN, "answer": [written[4:9] for written in WRITTEN]})
    schema = Schema.infer(table, ["answer"], kinds={"en": "text", "answer": "span"}).fit(table)
    assert kind_of(schema.of_role(Role.INPUT)[0]).state["tokenizer"]["model"]["type"] == "BPE"


def test_a_word_is_the_same_token_wherever_it_stands_and_signs_leave_it_whole():
    kind = text(["fox dog fox dog", "犬 dog", "犬 fox"], tokenizer="wordpiece")
    for written, expected in (("fox", ["fox"]), ("a fox", ["[UNK]", "fox"]), ("犬fox犬", ["犬", "fox", "犬"])):
        tokens = kind.encode(column([written]))[""].values[1:-1].tolist()
        assert [kind.tokenizer.id_to_token(token) for token in tokens] == expected
    assert kind.encode(column(["-fox😀"]))[""].values.tolist().count(kind.tokenizer.token_to_id("fox")) == 1


def test_a_text_that_nothing_comes_in_for_is_told_in_windows():
    table = pa.table({"text": WRITTEN})
    alone = Schema.infer(table, ["text"], kinds={"text": "text"})
    assert alone.columns[0].kind.options == {"long": "windows"}
    beside = Schema.infer(table.append_column("x", pa.array([1.0, 2, 3, 4])), ["text"], kinds={"text": "text"})
    assert beside.of_role(Role.TARGET)[0].kind.options == {}


CLAIMED = [
    (WRITTEN * 10, False, False),
    ([f"{text} {k}" for k, text in enumerate(WRITTEN * 10)], False, True),
    (["male", "female"] * 20, False, False),
    ([f"Braund, Mr. Owen {k}" for k in range(40)], False, False),
    ([f"meeting on day {k}" for k in range(40)], True, True),
    (["yes", "no"] * 20, True, False),
    ([f"这是一个关于机器学习的句子{k}" for k in range(40)], False, True),
]


@pytest.mark.parametrize(("cells", "target", "expected"), CLAIMED)
def test_sentences_are_claimed_and_names_and_words_are_not(cells, target, expected):
    assert (Text.claim(column(cells), target=target) is not None) is expected


def tampered(change) -> dict:
    state = copy.deepcopy(BYTES.state)
    change(state)
    return json.loads(json.dumps(state))


TAMPERED = {
    "no tokenizer": lambda state: state.update(tokenizer={}),
    "another model": lambda state: state["tokenizer"]["model"].update(type="Python"),
    "no special tokens": lambda state: state.update(special=["[A]", "[B]", "[C]", "[D]", "[E]"]),
    "a token of a number that is too large": lambda state: state["tokenizer"]["model"]["vocab"].update(a=4_000_000),
    "a vocabulary of holes": lambda state: state["tokenizer"]["model"].update(vocab={"a": 5}),
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_tokenizer_that_was_tampered_with_is_refused_in_one_line(change):
    with pytest.raises((ModelError, InputError)) as caught:
        KINDS.build("text", tampered(change)).spec  # noqa: B018
    assert "\n" not in str(caught.value)


def test_the_same_rows_are_chosen_whatever_stands_beside_them():
    kind = text()
    together = kind.encode(column([*WRITTEN, *STRANGE]))[""]
    alone = kind.encode(column(STRANGE))[""]
    assert isinstance(alone, Ragged)
    assert torch.equal(together.select(torch.arange(len(WRITTEN), len(WRITTEN) + len(STRANGE))).values, alone.values)


@pytest.mark.parametrize("tokenizer", ["bpe", "wordpiece"])
def test_a_word_as_long_as_a_file_does_not_halt_the_making_of_tokens(tokenizer):
    blob = "".join(chr(97 + k * k % 23) for k in range(200_000))  # in whole it takes a minute
    kind = text([blob, *["the cat sat"] * 9], tokenizer=tokenizer, length=8)
    assert kind.encode(column([blob]))[CUT].item() >= 0
    assert kind.decode({"ids": kind.encode(column(["the cat"]))[""].values.unsqueeze(0).numpy()})[""][0].as_py()


def test_a_word_that_is_missing_leaves_the_others():
    words = pa.chunked_array([[["the", None, "cat"], None]])
    kind = text(["the  cat sat on a mat"])
    assert kind.truth(kind.encode(words)[""]).tolist() == ["the  cat", None]


def test_without_the_library_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(tokenizing, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"'tokenizers': pip install 'fathom-nn\[text\]'"):
        text(["words that no tokenizer has seen before now"])
    with pytest.raises(MissingExtra):
        tokenizing.opened("{}")
