"""How fast texts are written at the shape of GPT-2's smallest model: with a cache, without, and by transformers.

All have the same weights, drawn at random, and write the same likeliest tokens. They take turns, round after round, in
one process; the first round warms up and does not count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from report import table, told_with, write_section
from torch import Tensor

from fathom.heads.writing import Teller, Voice, Writer
from fathom.nets.decoder import DecoderSpec
from fathom.nets.gpt import GPT, from_gpt2

SIZE, WIDTH, DEPTH, HEADS, LENGTH, END = 50_257, 768, 12, 12, 1024, 50_256
COMMAND = "python benchmarks/generation.py"
HEAD = ("GPT-2 small, one text", "tokens a second [min-max]", "times the uncached")


def main() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(GPT2Config(initializer_range=0.2)).eval()
    weights, state = from_gpt2(theirs.state_dict())
    net = GPT(DecoderSpec(LENGTH), width=WIDTH, depth=DEPTH, heads=HEADS).eval()
    net.load_state_dict(state)
    first = torch.randint(SIZE - 1, (1, 8))
    ways: dict[str, Callable[[], Tensor]] = {
        "fathom": lambda: _written(net, weights, first, asked.tokens),
        "fathom, nothing kept": lambda: _anew(net, weights, first, asked.tokens),
        "transformers.generate": lambda: _theirs(theirs, first, asked.tokens),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(asked.rounds + 1):
        written = {}
        for name, way in ways.items():
            started = time.perf_counter()
            with torch.inference_mode():
                written[name] = way()
            if number:
                speeds[name].append(asked.tokens / (time.perf_counter() - started))
        same = [int((text == written["fathom"]).sum()) for text in written.values()]
        print({name: round(found[-1], 2) for name, found in speeds.items() if found}, "same tokens:", same, flush=True)
    slowest = statistics.median(speeds["fathom, nothing kept"])
    rows = [_row(name, found, slowest) for name, found in speeds.items()]
    told = told_with(
        f"{COMMAND} --rounds {asked.rounds} --tokens {asked.tokens} --threads {asked.threads}",
        ("torch", "transformers", "fathom-nn"),
    )
    write_section("generation", "\n\n".join(["## Texts written token by token", told, table(HEAD, rows)]))


def _row(name: str, found: list[float], slowest: float) -> tuple[str, ...]:
    median = statistics.median(found)
    return name, f"{median:.1f} [{min(found):.1f}-{max(found):.1f}]", f"{median / slowest:.1f}"


def _written(net: GPT, weights: Tensor, first: Tensor, tokens: int) -> Tensor:
    voice = Voice(lambda ids: F.embedding(ids, weights), net, lambda state: F.linear(state, weights))
    writer = Writer(Teller(voice, 1, None, first.shape[1] + tokens), first, end=END, never=(END,))
    return torch.stack([writer.step() for _ in range(tokens)], dim=1)


def _anew(net: GPT, weights: Tensor, first: Tensor, tokens: int) -> Tensor:
    """All tokens computed again for each further one."""
    ids = first
    for _ in range(tokens):
        told = F.linear(net(F.embedding(ids, weights), None)[:, -1], weights)
        told[:, END] = -torch.inf
        ids = torch.cat([ids, told.argmax(1, keepdim=True)], dim=1)
    return ids[:, first.shape[1] :]


def _theirs(model: torch.nn.Module, first: Tensor, tokens: int) -> Tensor:
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "pad_token_id": END}
    written: Tensor = model.generate(first, attention_mask=torch.ones_like(first), **options)  # type: ignore[operator]
    return written[:, first.shape[1] :]


if __name__ == "__main__":
    main()
