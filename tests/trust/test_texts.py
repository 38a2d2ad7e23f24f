"""What a report shows of texts in a network: attention, gates, gradients, tokens that pull, samples, what is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import fathom
from fathom.model import Model
from fathom.nets.attention import SelfAttention
from fathom.trust.answered import Answered
from fathom.trust.attention import attention_of
from fathom.trust.evaluation import evaluated
from fathom.trust.gates import gates_of, reach, reaches_of
from fathom.trust.mistakes import worst_mistakes
from fathom.trust.pulls import pulls_of
from fathom.trust.sentences import sentences
from fathom.trust.texts import texts_of
from fathom.trust.walk import walked

pytest.importorskip("tokenizers")
sentence_chrf = pytest.importorskip("sacrebleu").sentence_chrf
QUICK: dict[str, Any] = {"budget": "40steps", "measure": False, "baseline": False, "folds": 0, "test": 0}
SMALL = {"width": 16}
WORDS = ("film", "story", "plot", "actor", "scene", "music", "with", "the", "some", "rather")


def reviews(rows: int = 160) -> pa.Table:
    """Texts of which one word alone decides the answer."""
    draw = np.random.default_rng(0)
    good = draw.random(rows) < 0.5
    texts = [
        " ".join([*draw.choice(WORDS, 4), "splendid" if one else "dreadful", *draw.choice(WORDS, 4)]) for one in good
    ]
    return pa.table({"text": texts, "y": np.where(good, "yes", "no")})


@pytest.fixture(scope="module")
def read() -> Model:
    """A classifier that reads token after token."""
    training = {"optimizer": {"name": "adamw", "lr": 0.02}}
    net = {"name": "lstm", "dropout": 0.0, **SMALL}
    options = QUICK | {"budget": "120steps", "training": training}
    return fathom.fit(reviews(), "y", kinds={"text": "text"}, net=net, **options).model


@pytest.fixture(scope="module")
def translated() -> Model:
    """A translator, of words to themselves."""
    table = reviews(80).drop_columns("y")
    pairs = table.append_column("told", table["text"])
    net = {"name": "transformer", "heads": 2, **SMALL}
    return fathom.fit(
        pairs, "told", kinds={"text": "text", "told": "text"}, net=net, **QUICK | {"budget": "3steps"}
    ).model


def test_the_word_that_decides_pulls_most(read: Model):
    table = reviews()
    found = pulls_of(read, table, sentences(read, table, 8), 4)
    assert len(found) == 4
    for pull in found:
        word = "splendid" if pull.truth == "yes" else "dreadful"
        # A word may be several pieces: what they do together counts.
        text, ends = "".join(pull.tokens), np.cumsum([len(piece) for piece in pull.tokens])
        start = text.index(word)
        own = [value for value, end in zip(pull.pulls, ends, strict=True) if start < end <= start + len(word)]
        assert pull.answer == pull.truth
        assert max(own) == max(pull.pulls) > 0


def test_gates_are_those_of_the_layer(read: Model):
    (sentence,) = sentences(read, reviews(), 1)
    found = gates_of(read, sentence)
    assert found is not None
    assert set(found.gates) == {"input_gate", "forget_gate", "output_gate"}
    assert found.tokens[0] == "[BEGIN]"
    assert len(found.tokens) == len(found.memory) == len(sentence.pieces["input/text"])
    assert all(0 < value < 1 for line in found.gates.values() for value in line)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_reach_is_the_norm_of_the_jacobian(kind):
    torch.manual_seed(0)
    layer, tokens = kind(3, 64, batch_first=True), torch.randn(1, 5, 3)
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0][0, -1], tokens)  # (H, 1, T, D)
    expected = jacobian.square().sum((0, 1, 3)).sqrt().flip(0)
    assert_close(reach(layer, tokens), expected.detach(), rtol=0.4, atol=0)


def test_a_classifiers_reach_falls_with_distance(read: Model):
    found = reaches_of(read, sentences(read, reviews(), 3, longest=True))
    assert len(found[0].norms) > 8
    assert found[0].norms[0] > found[0].norms[-1] > 0


def test_beside_a_classifiers_reach_stand_nets_as_they_start(read: Model):
    far = sentences(read, reviews(), 3, longest=True)
    own, *others = reaches_of(read, far)
    assert (own.net, own.learned) == ("lstm", True)
    assert [one.net for one in others if not one.learned] == ["rnn", "lstm", "gru"]
    assert {len(one.norms) for one in others} == {len(own.norms)}
    torch.rand(1)
    assert reaches_of(read, far) == [own, *others]  # whatever was drawn before
    assert len({one.norms for one in (own, *others)}) == 4


def test_shares_are_what_attention_takes():
    layer = SelfAttention(8, 2, causal=True).double()
    state = torch.randn(2, 5, 8, dtype=torch.float64)
    shares = layer.shares(state)
    value = layer.query_key_value(state).chunk(3, dim=2)[2].unflatten(2, (2, 4)).transpose(1, 2)
    assert_close(layer.out((shares @ value).transpose(1, 2).flatten(2)), layer(state))
    assert_close(shares.triu(1), torch.zeros_like(shares))


def test_a_translators_attentions_name_their_tokens(translated: Model):
    table = reviews(80)
    pairs = table.append_column("told", table["text"])
    (sentence,) = sentences(translated, pairs, 1)
    found = attention_of(translated, sentence)
    assert {one.part for one in found} == {"encoder", "decoder", "crossing"}
    for one in found:
        assert one.shares.shape[1:] == (len(one.asking), len(one.asked))
        assert_close(one.shares.sum(2), np.ones(one.shares.shape[:2], np.float32))
        if one.part != "decoder":
            assert one.asked == sentence.pieces["input/text"]
    crossing = [one for one in found if one.part == "crossing"]
    assert all(one.asking[0] != "[BEGIN]" for one in crossing)


def test_a_private_look_holds_no_row(translated: Model, read: Model):
    table = reviews(80)
    pairs = table.append_column("told", table["text"])
    shown, hidden = texts_of(translated, pairs), texts_of(translated, pairs, private=True)
    assert shown is not None
    assert hidden is not None
    assert shown.samples[0].truth == pairs["told"][0].as_py()
    assert hidden == shown.without_rows()
    assert not any((hidden.samples, hidden.pulls, hidden.attentions, hidden.gates))
    own = texts_of(read, table, private=True)
    assert own is not None
    assert own.reaches
    assert own.gates is None


def test_the_answers_furthest_from_the_truth_come_first_and_the_true_ones_not_at_all(translated: Model):
    table = reviews(4).drop_columns("y")
    table = table.append_column("told", table["text"])
    truth = np.array(table["told"].to_pylist(), object)
    texts = np.array([truth[0], "zzz", truth[2][:20], "<b>" * 200], object)
    answered = Answered("told", "texts", (), truth, {"text": texts}, None, np.arange(4), None)
    found = worst_mistakes(translated, answered, table)
    assert [(one.row, one.prediction[:20]) for one in found][-1] == (2, truth[2][:20])
    assert {one.row for one in found} == {1, 2, 3}
    assert [one.chrf for one in found] == sorted(one.chrf for one in found if one.chrf is not None)
    assert all(one.cells["text"] == one.truth == truth[one.row] for one in found)
    assert max(len(one.prediction) for one in found) == 200


def test_an_evaluation_shows_what_was_written_wrong_unless_it_is_private(translated: Model):
    table = reviews(20).drop_columns("y")
    table = table.append_column("told", table["text"])
    shown, kept = (evaluated(translated, table, private=private).targets["told"] for private in (False, True))
    answers = translated.predict(table)["told"].to_pylist()
    scores = [
        sentence_chrf(answer, [told]).score for answer, told in zip(answers, table["told"].to_pylist(), strict=True)
    ]
    assert shown.mistakes[0].chrf == pytest.approx(min(scores))
    assert shown.mistakes[0].prediction == answers[shown.mistakes[0].row][:200]
    assert next(iter(shown.metrics)) == "bleu"
    assert not kept.mistakes


def test_what_cutting_costs_is_counted():
    table = reviews(100)
    kinds = {"text": {"name": "text", "length": 8, "tokenizer": "word"}}
    model = fathom.fit(table, "y", kinds=kinds, net={"name": "gru", **SMALL}, **QUICK | {"budget": "3steps"}).model
    mixed = pa.concat_tables([table, pa.table({"text": ["a good film"] * 4, "y": ["yes"] * 4})])
    (found,) = evaluated(model, mixed).targets["y"].cut
    assert (found.rows, found.cut, found.length) == (104, 100, 8)
    assert found.lost == pytest.approx(300 / (100 * 11 + 4 * 5))  # begin, 9 words, end are 11
    assert found.value is not None
    assert found.elsewhere is not None


def test_a_walk_shows_the_tokens(read: Model):
    pieces = walked(read, reviews().slice(3, 1), []).tokens["text"]
    assert pieces[0] == "[BEGIN]"
    assert pieces[-1] == "[END]"
    assert "".join(pieces[1:-1]).strip() == reviews()["text"][3].as_py()
