"""What a network that answers in texts has to beat."""

from __future__ import annotations

import pytest

from fathom.heads.trivial_texts import copied, lead, usual


def test_the_usual_text_is_the_most_frequent_one_for_every_row():
    assert usual(["no", "yes", None, ["yes", "sure"], "no", "yes"], 3)["text"].tolist() == ["yes"] * 3
    assert usual(["b", "a"], 1)["text"].tolist() == ["b"]
    assert usual([None], 2)["text"].tolist() == ["", ""]


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
