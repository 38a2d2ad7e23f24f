"""A GPT with nothing coming in, on one stream of characters: a kind, a net and a head in one file."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Annotated

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import nn

from fathom.heads import HEADS, Head
from fathom.kinds import KINDS, Kind
from fathom.nets import NETS
from fathom.registry import Choice
from fathom.signals import CategorySpec, Loss, Ragged, Samples, Signal, SignalSpec

WORDS = (("the", "a"), ("cat", "robin", "engineer"), ("sees", "follows"), ("every", "no"), ("shadow.", "dog."))


@KINDS.register("probe_characters", packed=False, head="probe_generate")
class Characters(Kind):
    def __init__(self, state, *, window: int = 48):
        super().__init__(state)
        self.window, self.alphabet = window, "".join(state)

    @classmethod
    def count(cls, column, weight=None):
        return dict(sorted(Counter("".join(column.to_pylist())).items()))

    @classmethod
    def merge(cls, first, second):
        return dict(sorted((Counter(first) + Counter(second)).items()))

    @property
    def spec(self):
        return CategorySpec(1, (len(self.alphabet),), (tuple(self.state.values()),))

    @classmethod
    def cut(cls, column, fractions):
        text = column[0].as_py()
        bounds = [0, *np.round(np.cumsum(fractions) * len(text)).astype(int)]
        return [pa.chunked_array([[text[start:end]]]) for start, end in pairwise(bounds)]

    def encode(self, column):
        return {"": Ragged.of([torch.tensor([self.alphabet.find(c) for c in row]) for row in column.to_pylist()])}

    def decode(self, prediction):
        return {"": pa.array(["".join(self.alphabet[i] for i in row) for row in prediction["ids"]])}

    def samples(self, encoded):
        return Samples.windowed(encoded.lengths, self.window + 1, self.window)


@NETS.register("probe_causal", takes="tokens", gives=("tokens",))
class Causal(nn.Module):
    def __init__(self, spec: SignalSpec, *, depth: int = 1, longest: int = 48):
        super().__init__()
        self.gives, self.place = spec, nn.Embedding(longest, spec.width)
        block = (spec.width, 4, 4 * spec.width, 0.0, "gelu", 1e-5, True, True)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(*block) for _ in range(depth))

    def forward(self, tokens, mask):
        length = tokens.shape[1]
        future, x = nn.Transformer.generate_square_subsequent_mask(length), tokens + self.place.weight[:length]
        for block in self.blocks:
            x = block(x, src_mask=future, is_causal=True)
        return Signal(tokens=x)


@HEADS.register("probe_generate", target="probe_characters", needs=None, metrics=())
class Generate(Head):
    def __init__(self, state, target, *, net: Annotated[Choice, NETS] = Choice("probe_causal"), width: int = 32):
        super().__init__()
        self.embed = nn.Embedding(target.sizes[0], width)
        self.net = NETS.build(net, SignalSpec(width, ("tokens",)))
        self.output = nn.Linear(width, target.sizes[0], bias=False)
        self.output.weight = self.embed.weight
        self.baseline_loss = torch.distributions.Categorical(torch.tensor(target.counts[0])).entropy().item()

    def loss(self, signal, target, weight):
        ids, there = target.padded()
        cost = F.cross_entropy(self.logits(ids[:, :-1]).mT, ids[:, 1:], reduction="none") * there[:, 1:]
        return Loss((cost.sum(1) * (1 if weight is None else weight)).sum(), self.weigh(target, weight))

    def weigh(self, target, weight):
        return ((target.lengths - 1) * (1 if weight is None else weight)).sum()

    def predict(self, signal):
        ids = torch.zeros(len(signal.vector), 1, dtype=torch.int64)
        for _ in range(40):
            ids = torch.cat([ids, self.logits(ids)[:, -1:].argmax(2)], dim=1)
        return {"ids": ids}

    def logits(self, ids):
        return self.output(self.net(self.embed(ids), None).tokens)


def test_a_gpt_learns_one_stream(fit, kept):
    draw = Random(0)
    text = "".join(" ".join(map(draw.choice, WORDS)) + " " for _ in range(900))[:20_000]
    run = fit({"text": [text]}, "text", kinds={"text": "probe_characters"}, net={"name": "probe_causal", "depth": 2})
    head = run.model.network.heads[0]
    assert len(head.net.blocks) == 2
    _, pairs = np.unique([text[i : i + 2] for i in range(len(text) - 1)], return_counts=True)
    surprise_of_bigrams = -(pairs / pairs.sum() @ np.log(pairs / pairs.sum())) - head.baseline_loss
    assert run.metrics["text"]["loss"].value * head.baseline_loss < 0.5 * surprise_of_bigrams
    written = run.predict({"text": [text[:9]] * 3})["text"].to_pylist()
    assert len(written) == 3
    assert set(written[0].split()[1:-1]) <= {word for words in WORDS for word in words}
    kept(run, {"text": [text[-3000:]]})
