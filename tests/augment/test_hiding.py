"""Tokens hidden from a net: which, how many, and that they are drawn anew in each epoch."""

from __future__ import annotations

import torch

from fathom.augment.hiding import Hiding
from fathom.signals import NOT_HIDDEN, SAMPLE, Ragged, TextSpec, hidden_key

SIZE, LENGTH, ROWS = 500, 64, 400
SPEC = TextSpec(SIZE, 0, 1, 2, 3, 4, LENGTH)
KEY = "input/t"


def batch(rows: list[int] | None = None) -> dict:
    draw = torch.Generator().manual_seed(0)
    texts = []
    for length in torch.randint(0, LENGTH - 1, (ROWS,), generator=draw).tolist():
        words = torch.randint(5, SIZE, (length,), generator=draw)
        texts.append(torch.cat([torch.tensor([2]), words, torch.tensor([3])]) if length else words)
    text, sample = Ragged.of(texts), torch.arange(ROWS)
    if rows is None:
        return {KEY: text, SAMPLE: sample}
    return {KEY: text.select(torch.tensor(rows)), SAMPLE: sample[rows]}


def hidden(found: dict) -> tuple[torch.Tensor, torch.Tensor]:
    return found[KEY].values, found[hidden_key(KEY)].values


def test_what_is_told_are_the_true_tokens_at_their_places():
    given = batch()
    seen, told = hidden(Hiding({KEY: SPEC}, 0)(given, 0))
    true, asked = given[KEY].values, told != NOT_HIDDEN
    assert torch.equal(told[asked], true[asked])
    assert torch.equal(seen[~asked], true[~asked])


def test_fifteen_in_a_hundred_are_asked_for_as_berts_are():
    given = batch()
    seen, told = hidden(Hiding({KEY: SPEC}, 0)(given, 0))
    true, asked = given[KEY].values, told != NOT_HIDDEN
    words = true > 4
    assert abs(float(asked[words].float().mean()) - 0.15) < 0.01
    assert not asked[~words].any(), "neither begin nor end"
    behind = (seen[asked] == 4).float().mean()
    other = ((seen != true) & (seen != 4))[asked].float().mean()
    assert abs(float(behind) - 0.8) < 0.03
    assert abs(float(other) - 0.1) < 0.03


def test_draws_depend_on_seed_epoch_and_sample_alone():
    hiding, given = Hiding({KEY: SPEC}, 0), batch()
    seen, _ = hidden(hiding(given, 3))
    assert torch.equal(seen, hidden(Hiding({KEY: SPEC}, 0)(batch(), 3))[0])
    assert not torch.equal(seen, hidden(hiding(given, 4))[0])
    assert not torch.equal(seen, hidden(Hiding({KEY: SPEC}, 1)(given, 3))[0])
    few = [7, 391, 20]
    apart = hiding(batch(few), 3)[KEY]
    assert torch.equal(apart.values, hiding(given, 3)[KEY].select(torch.tensor(few)).values)
