"""How far back a net remembers: the first of many tokens, of eight, is asked for at the end.

Between the two stand N others that say nothing. Each net learns from rows with 1 to N of them, the same rows for each,
so that what can be learned from short ones helps with long ones; the score is of fresh rows with all N.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fathom.nets import NETS
from fathom.registry import Choice
from fathom.signals import SignalSpec

__all__ = ["NAMES", "Recaller", "learned", "remembered", "rows", "told_right"]

ASKED, OTHERS, WIDTH, BATCH, SCORED = 8, 8, 64, 32, 1000
RATE, CLIP = 2e-3, 1.0
# What reads from both ends, or the largest of all states, would have the first token beside the answer.
ONWARD = {"width": WIDTH, "both": False, "pool": "last", "dropout": 0.0}
NAMES = {
    "rnn": Choice("rnn", ONWARD),
    "lstm": Choice("lstm", ONWARD),
    "gru": Choice("gru", ONWARD),
    "transformer": Choice("transformer", {"width": WIDTH, "dropout": 0.0, "length": 1024}),
}


class Recaller(nn.Module):
    """A table of tokens, a net, and a matrix that tells the first token."""

    def __init__(self, net: Choice) -> None:
        super().__init__()
        self.table = nn.Embedding(ASKED + OTHERS, WIDTH)
        self.net = NETS.build(net, SignalSpec(WIDTH, ("tokens",)))
        self.out = nn.Linear(self.net.gives.width, ASKED)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) to logits (B, ASKED)."""
        return self.out(self.net(self.table(tokens), None).vector)


def remembered(name: str, distractors: int, steps: int, seed: int) -> float:
    """The share of rows whose first token a net tells behind so many others, after so many steps of Adam."""
    model, drawn = learned(name, distractors, steps, seed)
    return told_right(model, distractors, drawn)


def learned(name: str, distractors: int, steps: int, seed: int) -> tuple[Recaller, torch.Generator]:
    """A net after so many steps of Adam, and what draws further rows."""
    torch.manual_seed(seed)
    model = Recaller(NAMES[name])
    drawn = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for _ in range(steps):
        between = int(torch.randint(1, distractors + 1, (), generator=drawn))
        tokens = rows(BATCH, between, drawn)
        optimizer.zero_grad()
        F.cross_entropy(model(tokens), tokens[:, 0]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    return model.eval(), drawn


def told_right(model: Recaller, distractors: int, drawn: torch.Generator) -> float:
    """The share of fresh rows whose first token is told."""
    with torch.inference_mode():
        tokens = rows(SCORED, distractors, drawn)
        told = torch.cat([model(part).argmax(1) for part in tokens.split(100)])
    return float((told == tokens[:, 0]).float().mean())


def rows(count: int, between: int, drawn: torch.Generator) -> Tensor:
    """(count, 1 + between) int64: one of the tokens that are asked for, then others."""
    first = torch.randint(ASKED, (count, 1), generator=drawn)
    return torch.cat([first, ASKED + torch.randint(OTHERS, (count, between), generator=drawn)], dim=1)
