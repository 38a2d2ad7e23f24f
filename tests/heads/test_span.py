"""The head that finds an answer in a text: its loss by hand, its best piece by brute force, a net that learns it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import fathom
from fathom.api.reporting import write_report
from fathom.errors import ConfigError, InputError
from fathom.heads.span import NEVER, Span
from fathom.signals import Signal, SignalSpec, SpanSpec
from fathom.trust.evaluation import evaluated

WIDTH, LONG, SHORT = 8, 7, 3
MASK = torch.tensor([[True] * LONG, [True] * 5 + [False] * 2, [False] * LONG])
TARGET = torch.tensor([[2, 4], [3, 3], [-1, -1]])


def head(unanswered: float = 0.25, **options) -> Span:
    torch.manual_seed(0)
    return Span(SignalSpec(WIDTH, ("tokens",)), SpanSpec("input/context", unanswered, 1.5), **options)


def state() -> Signal:
    """The states of a question's tokens, and behind them those of the text."""
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randn(3, SHORT + LONG, WIDTH, generator=draw)
    mask = torch.cat([torch.ones(3, SHORT, dtype=torch.bool), MASK], dim=1)
    return Signal(tokens=tokens, mask=mask, parts=(("input/question", SHORT), ("input/context", LONG)))


def test_the_loss_is_the_mean_of_both_ends_over_the_texts_own_tokens():
    one, signal = head(), state()
    scores = one.output(signal.tokens[:, SHORT:])
    first = scores[0, :6].log_softmax(0)  # without the end
    second = scores[1, :4].log_softmax(0)
    expected = -(first[2, 0] + first[4, 1]) / 2 - (second[3, 0] + second[3, 1]) / 2
    loss = one.loss(signal, TARGET, None)
    assert torch.allclose(loss.total, expected)
    assert float(loss.weight) == 2
    weighted = one.loss(signal, TARGET, torch.tensor([2.0, 0.0, 5.0]))
    assert torch.allclose(weighted.total, -(first[2, 0] + first[4, 1]))


def test_where_every_row_has_an_answer_none_begins_before_the_text():
    one, signal = head(unanswered=0.0), state()
    scores = one.output(signal.tokens[:, SHORT:])[0, 1:6].log_softmax(0)
    loss = one.loss(signal, torch.tensor([[2, 4], [-1, -1], [-1, -1]]), None)
    assert torch.allclose(loss.total, -(scores[1, 0] + scores[3, 1]) / 2)
    assert (one.predict(signal)["begin"][:2] > 0).all()


@pytest.mark.parametrize("longest", [1, 2, 30])
def test_the_answer_is_the_likeliest_piece_of_all(longest):
    one, signal = head(longest=longest, no_answer=-50.0), state()
    found = {name: value.detach() for name, value in one.predict(signal).items()}
    for row, length in enumerate((LONG, 5)):
        chances = one.output(signal.tokens[row, SHORT : SHORT + length - 1]).softmax(0).detach()
        pieces = {
            (i, j): float(chances[i, 0] * chances[j, 1])
            for i in range(1, length - 1)
            for j in range(i, min(length - 1, i + longest))
        }
        best = max(pieces, key=pieces.__getitem__)
        assert (int(found["begin"][row]), int(found["end"][row])) == best
        assert float(found["chance"][row]) == pytest.approx(pieces[best], rel=1e-4)


def test_no_answer_is_given_where_it_is_likelier():
    signal = state()
    never, always = head(no_answer=-50.0).predict(signal), head(no_answer=50.0).predict(signal)
    assert (never["begin"][:2] > 0).all()
    assert always["begin"].tolist() == always["end"].tolist() == [0, 0, 0]


def test_rows_and_batches_without_any_token_are_borne():
    one, signal = head(), state()
    assert torch.isfinite(one.predict(signal)["chance"]).all()
    nothing = Signal(tokens=torch.empty(2, 0, WIDTH), parts=(("input/context", 0),))
    loss = one.loss(nothing, torch.full((2, 2), -1), None)
    assert (float(loss.total.detach()), float(loss.weight)) == (0, 0)
    assert one.predict(nothing)["begin"].tolist() == [0, 0]


def test_a_net_that_gives_other_states_is_refused():
    signal = Signal(tokens=torch.randn(2, 4, WIDTH), parts=(("input/context", 3),))
    with pytest.raises(ConfigError, match="a state for each token"):
        head().loss(signal, torch.zeros(2, 2, dtype=torch.int64), None)


def test_of_several_networks_the_answer_that_is_trusted_most_counts():
    def said(begin: int, end: int, chance: float) -> dict:
        return {"begin": torch.tensor([begin]), "end": torch.tensor([end]), "chance": torch.tensor([chance])}

    found = head().combined([said(1, 2, 0.5), said(3, 4, 0.3), said(3, 4, 0.4)])
    assert (found["begin"].tolist(), found["end"].tolist()) == ([3], [4])
    assert float(found["chance"]) == pytest.approx(0.7 / 3)


def test_the_baseline_takes_any_word():
    assert head().baseline_loss == 1.5
    assert Span(SignalSpec(WIDTH, ("tokens",)), SpanSpec("x", 0.0, 0.0)).baseline_loss == math.log(2)
    assert NEVER < -1e6


NAMES = ("Anna", "Boris", "Clara", "Dmitri", "Elif", "Farid", "Greta", "Hiro")
THINGS = ("apple", "boat", "candle", "drum", "egg", "fiddle", "guitar", "hammer")
VERBS = ("holds", "paints", "sells")


def squad(place: Path, count: int, *, none: bool = False, seed: int = 0) -> Path:
    """Questions in the form of SQuAD: what somebody of three does; of some rows nobody is told who is asked for."""
    draw = random.Random(seed)
    articles = []
    for number in range(count):
        names, things = draw.sample(NAMES, 3), draw.sample(THINGS, 3)
        context = " ".join(f"{n} {draw.choice(VERBS)} the {t}." for n, t in zip(names, things, strict=True))
        chosen = draw.randrange(3)
        answers = [{"text": things[chosen], "answer_start": context.index(things[chosen])}]
        asked = f"what about {names[chosen]} is told in this text?"
        if none and number % 4 == 0:
            asked = f"what about {next(name for name in NAMES if name not in names)} is told in this text?"
            answers = []
        qas = [{"id": f"q{number}", "question": asked, "answers": answers, "is_impossible": not answers}]
        articles.append({"title": f"a{number}", "paragraphs": [{"context": context, "qas": qas}]})
    place.write_text(json.dumps({"version": "2", "data": articles}))
    return place


@pytest.mark.slow
def test_a_net_asks_the_question_and_finds_its_answer(tmp_path):
    made = squad(tmp_path / "made.json", 1200)
    run = fathom.fit(
        made,
        head="span",
        kinds={"context": "text", "question": "text"},
        budget="35epochs",
        baseline=False,
        measure=False,  # where it finds out is chance, but the same each time
    )
    score = run.metrics["answer"]["exact_match"]
    assert score.value > 0.8
    assert score.trivial < 0.4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("span")
    made = squad(folder / "made.json", 160, none=True)
    return fathom.fit(
        made,
        head="span",
        net="gru",
        out=folder / "run",
        budget="3epochs",
        kinds={"context": "text", "question": "text"},
    )


def test_a_run_is_told_loaded_and_evaluated_alike(trained, tmp_path):
    assert trained.model.layout.heads["answer"].name == "span"
    assert {column.name: column.kind.name for column in trained.model.schema.columns}["answer"] == "span"
    assert set(trained.metrics["answer"]) == {"answer_f1", "exact_match"}
    again = fathom.load(trained.directory)
    new = squad(tmp_path / "new.json", 40, none=True, seed=5)
    rows = fathom.read(new).parts["train"]
    first, second = (run.model.predict(rows.drop(["answer", "answer_start"])) for run in (trained, again))
    assert first.equals(second)
    texts = zip(first["answer"].to_pylist(), rows["context"].to_pylist(), strict=True)
    assert all(answer in context for answer, context in texts)
    scored = again.model.evaluate(rows)
    assert scored["answer"]["exact_match"].value == pytest.approx(
        np.mean([a == b for a, b in zip(first["answer"].to_pylist(), rows["answer"].to_pylist(), strict=True)])
    )


def test_the_report_shows_the_surest_of_the_wrong_answers(trained):
    page = write_report(trained.directory).read_text()
    assert "exact_match" in page
    rows = fathom.read(squad(trained.directory.parent / "new.json", 40, none=True, seed=5)).parts["train"]
    mistakes = evaluated(trained.model, rows).targets["answer"].mistakes
    right = trained.model.evaluate(rows)["answer"]["exact_match"].value
    assert len(mistakes) == min(12, round(40 * (1 - right)))
    assert all(mistake.truth != mistake.prediction for mistake in mistakes)
    assert evaluated(trained.model, rows, private=True).targets["answer"].mistakes == []


def test_an_ensemble_finds_answers_too(tmp_path):
    made = squad(tmp_path / "made.json", 60)
    run = fathom.fit(
        made, head="span", net="gru", ensemble=2, budget="4steps", kinds={"context": "text", "question": "text"}
    )
    assert run.metrics["answer"]["answer_f1"].value >= 0


def test_a_kind_that_was_named_otherwise_is_not_overruled(tmp_path):
    made = squad(tmp_path / "made.json", 60)
    with pytest.raises(InputError, match="'span' answers span, but 'answer' is of kind text"):
        fathom.fit(made, head="span", kinds={"answer": "text", "context": "text", "question": "text"})


def test_answers_in_one_text_alone_need_no_question():
    run = fathom.fit(
        called(300), target="answer", kinds={"answer": "span", "text": "text"}, net="gru", budget="12epochs"
    )
    assert run.metrics["answer"]["exact_match"].value > 0.9
    assert run.metrics["answer"]["exact_match"].trivial < 0.4
    assert set(run.model.predict(called(3)).column_names) == {"answer", "answer probability"}


def called(count: int) -> pa.Table:
    """Texts among whose names one is that of the ship, which is asked for."""
    draw = random.Random(count)
    rows = [draw.sample(NAMES, 3) for _ in range(count)]
    texts = [f"{a} and {b} sailed on a ship called {c} for years" for a, b, c in rows]
    turned = [f"on a ship called {c} sailed {a} with {b} for years" for a, b, c in rows]
    chosen = [pair[draw.randrange(2)] for pair in zip(texts, turned, strict=True)]
    return pa.table({"text": chosen, "answer": [c for _, _, c in rows]})
