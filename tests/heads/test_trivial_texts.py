"""What a network that answers in texts has to beat."""

from __future__ import annotations

import numpy as np
import pytest

from fathom.heads.over_texts import as_texts
from fathom.heads.trivial_texts import copied, lead, trivial_texts, usual


def test_the_usual_text_is_the_most_frequent_one_of_the_other_rows():
    cells = ["no", "yes", None, ["yes", "sure"], "no"]
    assert usual(cells)["text"].tolist() == ["yes", "no", "no", "no", "yes"]
    assert usual(["b", "a", "c"])["text"].tolist() == ["a", "b", "b"]
    assert usual([None])["text"].tolist() == usual(["only"])["text"].tolist() == [""]


def test_what_is_known_without_learning_depends_on_what_comes_in():
    truth, answer = as_texts(["a", "b"]), {"text": as_texts(["x", "y"])}
    assert list(trivial_texts(truth, {}, {})) == []
    assert list(trivial_texts(truth, answer, {})) == ["the usual text"]
    assert list(trivial_texts(truth, answer, {"de": as_texts(["One. Two.", None])})) == [
        *("the usual text", "de as it is", "de, a sentence", "de, 3 sentences"),
    ]
    told = {"nll": np.zeros(2), "share_nll": np.array([3.0, 5]), "tokens": np.array([1, 2])}
    (shares,) = trivial_texts(truth, told, {}).values()
    assert shares["nll"].tolist() == [3, 5]


def test_a_copy_is_the_input_and_empty_where_there_is_none():
    assert copied(["a b", None])["text"].tolist() == ["a b", ""]


@pytest.mark.parametrize(
    ("text", "sentences", "expected"),
    [
        ("One. Two! Three? Four.", 1, "One."),
        ("One. Two! Three? Four.", 3, "One. Two! Three?"),
        ("One. Two!", 3, "One. Two!"),
        ("It grew 3.5 percent. More.", 1, "It grew 3.5 percent."),
        ("“Go.” He went. Far.", 2, "“Go.” He went."),
        ("一。二！三。", 2, "一。二！"),
        ("  no mark at all ", 1, "no mark at all"),
        (None, 1, ""),
    ],
)
def test_the_lead_is_the_first_sentences(text, sentences, expected):
    assert lead([text], sentences)["text"].tolist() == [expected]
