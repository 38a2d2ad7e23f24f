"""A small GPT of characters as plain PyTorch trains it: the loop that fathom's language model is measured against.

The model and the settings are those that nanoGPT documents for a processor (block 64, batch 12, 4 layers, 4 heads,
width 128, 2,000 iterations, no dropout), its estimate of the loss every 250 iterations included; written as plainly.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK, BATCH, LAYERS, HEADS, WIDTH, STEPS = 64, 12, 4, 4, 128, 2000
RATE, LOWEST_RATE, WARM_UP, DECAY, BETAS, CLIP = 1e-3, 1e-4, 100, 0.1, (0.9, 0.99), 1.0
LOOK_EVERY, LOOKS = 250, 20
TRAINING_SHARE = 0.9


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm and beside the state."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.attend, self.join = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, state: Tensor) -> Tensor:
        """state (B, T, WIDTH)."""
        rows, length, _ = state.shape
        parts = self.attend(self.first(state)).split(WIDTH, dim=2)
        query, key, value = (part.view(rows, length, HEADS, -1).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        state = state + self.join(mixed.transpose(1, 2).reshape(rows, length, WIDTH))
        return state + self.narrow(F.gelu(self.widen(self.second(state))))


class GPT(nn.Module):
    """Characters to the logits of the next."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(size, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.last = nn.LayerNorm(WIDTH, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                close = name.endswith(("join.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * LAYERS) if close else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) to logits (B, T, characters)."""
        state = self.table(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            state = block(state)
        return F.linear(self.last(state), self.table.weight)


def rate(step: int) -> float:
    """The learning rate of a step: a warm-up, then half a cosine."""
    if step < WARM_UP:
        return RATE * (step + 1) / (WARM_UP + 1)
    return LOWEST_RATE + 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (STEPS - WARM_UP))) * (RATE - LOWEST_RATE)


def drawn(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Random windows, and what comes next at each place."""
    starts = torch.randint(len(tokens) - BLOCK, (BATCH,))
    windows = torch.stack([tokens[start : start + BLOCK + 1] for start in starts])
    return windows[:, :-1], windows[:, 1:]


def loss_of(model: GPT, inputs: Tensor, following: Tensor) -> Tensor:
    return F.cross_entropy(model(inputs).flatten(0, 1), following.flatten())


@torch.no_grad()
def estimated(model: GPT, parts: tuple[Tensor, Tensor]) -> list[float]:
    model.eval()
    found = [float(torch.stack([loss_of(model, *drawn(part)) for _ in range(LOOKS)]).mean()) for part in parts]
    model.train()
    return found


@torch.no_grad()
def loss_on_all(model: GPT, tokens: Tensor) -> float:
    """The mean loss of every character of a text, told in windows of BLOCK."""
    model.eval()
    total, count = 0.0, 0
    starts = list(range(0, len(tokens) - 1, BLOCK))
    for first in range(0, len(starts), 256):
        some = [tokens[start : start + BLOCK + 1] for start in starts[first : first + 256]]
        for length in {len(window) for window in some}:
            windows = torch.stack([window for window in some if len(window) == length])
            total += float(loss_of(model, windows[:, :-1], windows[:, 1:])) * windows[:, 1:].numel()
            count += windows[:, 1:].numel()
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--seed", type=int, default=1337)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    text = asked.text.read_text(encoding="utf-8")
    known = sorted(set(text))
    places = {character: place for place, character in enumerate(known)}
    tokens = torch.from_numpy(np.array([places[character] for character in text], np.int64))
    cut = int(TRAINING_SHARE * len(tokens))
    train, valid = tokens[:cut], tokens[cut:]
    model = GPT(len(known))
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    others = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    estimate = [math.nan, math.nan]
    for step in range(STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        if step % LOOK_EVERY == 0:
            estimate = estimated(model, (train, valid))
        loss_of(model, *drawn(train)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    parameters = sum(weight.numel() for weight in model.parameters())
    print(json.dumps({"loss": loss_on_all(model, valid), "estimate": estimate[1], "parameters": parameters}))


if __name__ == "__main__":
    main()
