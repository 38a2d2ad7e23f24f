"""A translator as plain PyTorch trains it: torch.nn.Transformer, batches of like lengths, for so long.

It has the size of fathom's (width, blocks, heads, tokens), shares one table of tokens between both languages and the
output, and keeps the weights of the epoch with the lowest loss on the validation rows. It writes greedily.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

WIDTH, HEADS, ENCODER, DECODER, INSIDE, DROPOUT = 128, 4, 2, 4, 512, 0.1
VOCABULARY, LONGEST, TOKENS_A_BATCH, SMOOTHING = 8000, 100, 4096, 0.1
RATE, WARM_UP, BETAS, CLIP = 1e-3, 0.05, (0.9, 0.98), 1.0
PAD, BEGIN, END = 0, 1, 2

Pair = tuple[list[int], list[int]]


class Translator(nn.Module):
    """Tokens of one language to the logits of the next token of the other."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(size, WIDTH, padding_idx=PAD)
        nn.init.normal_(self.table.weight, std=WIDTH**-0.5)
        self.net = nn.Transformer(WIDTH, HEADS, ENCODER, DECODER, INSIDE, DROPOUT, batch_first=True, norm_first=True)
        self.dropout = nn.Dropout(DROPOUT)
        place = torch.arange(LONGEST + 2).unsqueeze(1)
        turn = place * torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10_000) / WIDTH))
        self.register_buffer("places", torch.stack([turn.sin(), turn.cos()], dim=2).flatten(1), persistent=False)

    def placed(self, tokens: Tensor) -> Tensor:
        return self.dropout(self.table(tokens) * math.sqrt(WIDTH) + self.places[: tokens.shape[1]])

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source (B, S), target (B, T) to logits (B, T, tokens)."""
        state = self.net.encoder(self.placed(source), src_key_padding_mask=source == PAD)
        return self.told(state, source, target)

    def told(self, state: Tensor, source: Tensor, target: Tensor) -> Tensor:
        later = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        given = self.net.decoder(
            self.placed(target), state, later, memory_key_padding_mask=source == PAD, tgt_is_causal=True
        )
        return F.linear(given, self.table.weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="with train, val and test as .de and .en")
    parser.add_argument("answers", type=Path, help="where the translations of the test rows go")
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    started = time.perf_counter()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    lines = {
        (part, tongue): (asked.folder / f"{part}.{tongue}").read_text("utf-8").splitlines()
        for part in ("train", "val", "test")
        for tongue in ("de", "en")
    }
    tokenizer = tokenizer_of(lines["train", "de"] + lines["train", "en"])
    train, valid, test = (
        list(zip(*(encoded(tokenizer, lines[part, tongue]) for tongue in ("de", "en")), strict=True))
        for part in ("train", "val", "test")
    )
    model = Translator(tokenizer.get_vocab_size())
    steps, loss = learned(model, train, valid, started + asked.seconds, random.Random(asked.seed))
    asked.answers.write_text("\n".join(translated(model, tokenizer, [source for source, _ in test])) + "\n", "utf-8")
    parameters = sum(weight.numel() for weight in model.parameters())
    print(json.dumps({"parameters": parameters, "steps": steps, "loss": loss}))


def tokenizer_of(lines: list[str]) -> Tokenizer:
    """Pairs of bytes, of both languages together."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<pad>", "<begin>", "<end>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def encoded(tokenizer: Tokenizer, lines: list[str]) -> list[list[int]]:
    return [[BEGIN, *one.ids[:LONGEST], END] for one in tokenizer.encode_batch(lines)]


def batches(pairs: list[Pair], drawn: random.Random | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of like lengths together, as many as fill so many tokens, in any order."""
    noise = drawn.random if drawn else (lambda: 0.0)
    rows, found = sorted(pairs, key=lambda pair: (len(pair[0]), len(pair[1]), noise())), []
    while rows:
        count = max(1, TOKENS_A_BATCH // max(len(rows[-1][0]), len(rows[-1][1])))
        found.append(rows[-count:])
        del rows[-count:]
    if drawn:
        drawn.shuffle(found)
    for some in found:
        yield padded([source for source, _ in some]), padded([target for _, target in some])


def padded(rows: list[list[int]]) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)


def loss_of(model: Translator, source: Tensor, target: Tensor, smoothing: float, reduction: str) -> Tensor:
    logits = model(source, target[:, :-1]).flatten(0, 1)
    labels = target[:, 1:].flatten()
    return F.cross_entropy(logits, labels, ignore_index=PAD, label_smoothing=smoothing, reduction=reduction)


def learned(
    model: Translator, train: list[Pair], valid: list[Pair], until: float, drawn: random.Random
) -> tuple[int, float]:
    """Train to the hour, and leave the weights of the best epoch; how many steps, and the loss by which it is best."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=BETAS)
    began, steps, best, lowest = time.perf_counter(), 0, copy.deepcopy(model.state_dict()), math.inf
    while time.perf_counter() < until:
        model.train()
        for source, target in batches(train, drawn):
            share = (time.perf_counter() - began) / (until - began)
            if share >= 1:
                break
            optimizer.param_groups[0]["lr"] = rate(share)
            loss_of(model, source, target, SMOOTHING, "mean").backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            steps += 1
        if (loss := loss_on_all(model, valid)) < lowest:
            best, lowest = copy.deepcopy(model.state_dict()), loss
    model.load_state_dict(best)
    return steps, lowest


def rate(share: float) -> float:
    """A warm-up, then half a cosine to nothing, by the share of the time."""
    return RATE * min(1.0, share / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))


@torch.no_grad()
def loss_on_all(model: Translator, pairs: list[Pair]) -> float:
    model.eval()
    total = sum(float(loss_of(model, source, target, 0.0, "sum")) for source, target in batches(pairs))
    return total / sum(len(target) - 1 for _, target in pairs)


@torch.no_grad()
def translated(model: Translator, tokenizer: Tokenizer, sources: list[list[int]]) -> list[str]:
    """The likeliest token each time."""
    model.eval()
    texts = []
    for first in range(0, len(sources), 100):
        source = padded(sources[first : first + 100])
        state = model.net.encoder(model.placed(source), src_key_padding_mask=source == PAD)
        written = torch.full((len(source), 1), BEGIN)
        while written.shape[1] <= LONGEST and not bool((written == END).any(1).all()):
            written = torch.cat([written, model.told(state, source, written)[:, -1].argmax(1, keepdim=True)], dim=1)
        rows = written[:, 1:].tolist()
        texts += tokenizer.decode_batch([row[: row.index(END)] if END in row else row for row in rows])
    return [" ".join(text.split()) for text in texts]


if __name__ == "__main__":
    main()
