"""fit refuses rows of which nothing can be learned, and chooses by none where none can be scored."""

from __future__ import annotations

import pytest

import fathom
from fathom.errors import SchemaError

pytest.importorskip("tokenizers")

QUICK = {"measure": False, "baseline": False, "report": False, "budget": "2steps"}
CLOSE = {"nets": {"text": {"name": "embedding", "width": 8}, "tokens": {"name": "gru", "width": 8}}}


def found_answers(told: list[str], *, standing: int, length: int, **asked: object) -> fathom.Run:
    """Learn from 40 texts, in so many of which the answer stands, and of which so many tokens are read."""
    texts = [f"far away in the north stands house {k} of them all" for k in range(40)]
    answers = [f"house {k}" if k < standing else "nowhere" for k in range(40)]
    kinds = {"text": {"name": "text", "length": length}, "answer": {"name": "span", "within": "text"}}
    rows = {"text": texts, "answer": answers}
    return fathom.fit(rows, "answer", kinds=kinds, say=told.append, **CLOSE, **QUICK, **asked)


def test_rows_whose_answers_are_all_cut_off_teach_nothing():
    with pytest.raises(SchemaError, match=r"nothing to learn: answer: 28 answers are cut off .*length=... reads furth"):
        found_answers([], standing=40, length=4)


def test_where_no_answer_to_choose_by_is_known_none_is_chosen_by():
    told: list[str] = []
    run = found_answers(told, standing=3, length=64, valid=0.1, test=0.0, seed=1)
    assert any("of no row to choose by is an answer known" in line for line in told), told
    assert not any("nan" in line.split() for line in told)
    assert run.model is not None
