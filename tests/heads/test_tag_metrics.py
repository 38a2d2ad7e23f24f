"""Entities and tags beside seqeval's."""

from __future__ import annotations

import numpy as np
import pytest
from seqeval import metrics as theirs
from seqeval.metrics.sequence_labeling import get_entities

from fathom.heads import METRICS
from fathom.heads.over_texts import as_texts
from fathom.heads.tag_metrics import entities

TAGS = ("O", "O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-ORG")
MORE = ("E-PER", "S-LOC", "B-ORG")


def drawn(tags: tuple[str, ...], seed: int, rows: int = 200) -> list[list[str]]:
    draw = np.random.default_rng(seed)
    return [list(map(str, draw.choice(tags, draw.integers(1, 15)))) for _ in range(rows)]


def ours(name: str, truth: list[list[str]], answers: list[list[str]]) -> float:
    cells, given = (as_texts(map(" ".join, rows)) for rows in (truth, answers))
    return float(METRICS.get(name).factory(cells, {"text": given}, np.ones((1, len(truth))))[0])


@pytest.mark.parametrize("tags", [TAGS, TAGS + MORE], ids=["IOB", "IOBES"])
def test_entities_and_tags_are_seqevals(tags):
    truth, other = drawn(tags, 0), drawn(tags, 1)
    draw = np.random.default_rng(2)
    answers = [
        [one if draw.random() < 0.7 else two for one, two in zip(row, drawn_row * 15, strict=False)]
        for row, drawn_row in zip(truth, other, strict=True)
    ]
    assert 0.2 < theirs.f1_score(truth, answers) < 0.9
    assert ours("entity_f1", truth, answers) == pytest.approx(theirs.f1_score(truth, answers), abs=1e-12)
    assert ours("tag_accuracy", truth, answers) == pytest.approx(theirs.accuracy_score(truth, answers), abs=1e-12)
    for row in truth:
        assert entities(row) == {(kind, start, last + 1) for kind, start, last in get_entities(row)}


def test_an_entity_counts_if_all_of_its_words_and_its_kind_are_right():
    truth = [["B-PER", "I-PER", "O", "B-LOC"]]
    assert ours("entity_f1", truth, [["B-PER", "O", "O", "B-LOC"]]) == 0.5
    assert ours("entity_f1", truth, [["B-LOC", "I-LOC", "O", "B-LOC"]]) == 0.5
    assert ours("entity_f1", truth, truth) == 1


def test_tags_that_an_answer_lacks_are_wrong_and_those_too_many_do_not_count():
    truth = [["B-PER", "I-PER", "O", "O"]]
    assert ours("tag_accuracy", truth, [["B-PER", "I-PER"]]) == 0.5
    assert ours("tag_accuracy", truth, [[*truth[0], "O", "O"]]) == 1


def test_rows_without_any_entity_say_nothing_of_entities():
    assert np.isnan(ours("entity_f1", [["O", "O"]], [["O", "O"]]))


def test_parts_of_speech_are_no_entities():
    truth, found = (np.array(["NOUN VERB NOUN", None], object)[:1] for _ in range(2))
    with np.errstate(invalid="ignore"):
        assert np.isnan(METRICS.get("entity_f1").factory(truth, {"text": found}, np.ones((1, 1)))).all()
    assert METRICS.get("tag_accuracy").factory(truth, {"text": found}, np.ones((1, 1))).tolist() == [1.0]
