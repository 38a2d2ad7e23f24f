"""Texts that a network writes: from a beginning, or from what comes in; all at once, or piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from fathom.data.encoding import half_sign
from fathom.ensemble import Apart
from fathom.errors import ConfigError, ModelError
from fathom.heads.generate import Generate
from fathom.heads.writing import Sampling, Writer
from fathom.kinds.text import CUT, Text
from fathom.model import Model
from fathom.network import Network
from fathom.runtime import seed_from
from fathom.signals import Role, Signal, TextSpec, to_device

__all__ = ["BETWEEN_TURNS", "Author", "Manner"]

Say = Callable[[str], None]

BETWEEN_TURNS = "\n"  # as the reader of dialogues joins what was said before a reply
ROWS_AT_ONCE = 64
FREELY = 0.8  # the temperature of a language model that goes on with a text; an answer is the likeliest one
MOST_TOKENS, MOST_BEAMS = 1_000_000, 64  # what is written, and what is followed, stands in memory at once
UNFINISHED = "\ufffd"  # what stands for a sign of which not all bytes are there yet


@dataclass(frozen=True)
class Manner:
    """How texts are written.

    Attributes:
        tokens: the most tokens of each; None is as many as the head says.
        temperature: what logits are divided by; 0 takes the likeliest token; None is 0 for an answer, 0.8 for a
            language model.
        top_k: only so many of the likeliest tokens are drawn from; 0 is all.
        top_p: only the fewest likeliest tokens that together have this chance; 1 is all.
        beams: how many texts are followed to find the likeliest; None is as the head says.
        stop: texts before which a text ends.
        seed: decides what is drawn, with the number of the text.

    Raises:
        ConfigError: a number that is out of range, or beams and a temperature.
    """

    tokens: int | None = None
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    beams: int | None = None
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        allowed = {
            "tokens": (self.tokens is None or 0 < self.tokens <= MOST_TOKENS, f"1 to {MOST_TOKENS:,}"),
            "temperature": (self.temperature is None or 0 <= self.temperature < np.inf, "0, or a number above it"),
            "top_k": (self.top_k >= 0, "0 for all, or how many"),
            "top_p": (0 < self.top_p <= 1, "above 0, to 1 for all"),
            "beams": (self.beams is None or 0 < self.beams <= MOST_BEAMS, f"1 to {MOST_BEAMS}"),
            "stop": (all(self.stop), "texts that hold something"),
        }
        for name, (holds, told) in allowed.items():
            if not holds:
                raise ConfigError(f"{name} = {getattr(self, name)!r} is out of range (allowed: {told})")
        if (self.beams or 1) > 1 and self.temperature:
            raise ConfigError("beams follow the likeliest texts: leave out the temperature, or the beams")


class Author:
    """Writes texts with the decoder of a trained network; of an ensemble with that of its first network.

    Args:
        model: one of whose heads writes.

    Attributes:
        inputs: the names of the columns that come in; with none it is a language model.

    Raises:
        ModelError: no head writes text.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        network = model.network
        self._network: Network = network.networks[0] if isinstance(network, Apart) else network  # type: ignore[assignment]
        heads = dict(zip(self._network.head_names, self._network.heads, strict=True))
        name = next((name for name, head in heads.items() if isinstance(head, Generate)), None)
        if name is None:
            answered = ", ".join(f"{name!r} by {choice.name}" for name, choice in model.layout.heads.items())
            raise ModelError(f"this network writes no text: it answers {answered} (use fathom predict)")
        self._head: Any = heads[name]
        self._kind: Any = model.schema.answered(name)
        self.inputs = [column.name for column in model.schema.of_role(Role.INPUT)]

    @property
    def spec(self) -> TextSpec:
        return self._head.spec

    def stream(self, prompt: str, manner: Manner, *, number: int = 0, say: Say | None = None) -> Iterator[str]:
        """Write one text, piece by piece as it comes.

        Args:
            prompt: of a language model the beginning, which is not told again; else the text that comes in.
            manner: how to write.
            number: which of several texts from one prompt this is.
            say: is told where a prompt is too long.

        Raises:
            ConfigError: a prompt that is no such input.
        """
        if not self._draws(manner):
            yield self.written([prompt], manner, say=say)[0]
            return
        _check_whole([prompt])
        told = 0
        for texts, over in self._texts([prompt], manner, [number], say, each=True):
            text = texts[0]
            safe = len(text) if over else _settled(text, manner.stop)
            if safe > told:
                yield text[told:safe]
                told = safe

    def written(
        self, prompts: Sequence[str], manner: Manner, *, numbers: Sequence[int] = (), say: Say | None = None
    ) -> list[str]:
        """Write a text for each prompt; see ``stream``. Without ``numbers`` each has that of its place."""
        numbers = numbers or range(len(prompts))
        _check_whole(prompts)
        if self.inputs:
            return self.answered(self._as_rows(prompts, say), manner, numbers=numbers)
        found = [""] * len(prompts)
        for places in self._of_like_length(prompts):
            steps = self._texts([prompts[k] for k in places], manner, [numbers[k] for k in places], say)
            for place, text in zip(places, _last(steps), strict=True):
                found[place] = text
        return found

    def answered(self, table: pa.Table, manner: Manner, *, numbers: Sequence[int] = ()) -> list[str]:
        """Write a text for each row of a table, which has every input column."""
        numbers, found = numbers or range(table.num_rows), list[str]()
        for start in range(0, table.num_rows, ROWS_AT_ONCE):
            rows = table.slice(start, ROWS_AT_ONCE)
            signal = self._signal(rows)
            if self._draws(manner):
                begun = self._head.begun(rows.num_rows)
                steps = self._written(signal, begun, manner, numbers[start : start + rows.num_rows])
                found += _last(steps)
            else:
                found += self._searched(signal, manner)
        return found

    def _draws(self, manner: Manner) -> bool:
        """Whether a text is written token by token, rather than found among several."""
        beams = manner.beams or (self._head.beams if self.inputs and not manner.temperature else 1)
        if beams > 1 and not self.inputs:
            raise ConfigError("beams are for networks that something comes in for; a language model draws")
        return bool(beams == 1)

    def _texts(
        self, prompts: Sequence[str], manner: Manner, numbers: Sequence[int], say: Say | None, *, each: bool = False
    ) -> Iterator[tuple[list[str], bool]]:
        """The texts of prompts of one length in the end, or after each token, and whether they are all over."""
        if self.inputs:
            signal = self._signal(self._as_rows(prompts, say))
            first = self._head.begun(len(prompts))
        else:
            weight = self._head.table.weight
            signal = Signal(vector=weight.new_zeros(len(prompts), 0))
            first = torch.tensor([self._ids(prompt, say) for prompt in prompts], device=weight.device)
        yield from self._written(signal, first, manner, numbers, each=each)

    def _written(
        self, signal: Signal, first: Tensor, manner: Manner, numbers: Sequence[int], *, each: bool = False
    ) -> Iterator[tuple[list[str], bool]]:
        most = manner.tokens or self._head.most_tokens
        temperature = manner.temperature if manner.temperature is not None else 0.0 if self.inputs else FREELY
        with torch.inference_mode():
            teller = self._head.teller(signal, len(first), first.shape[1] + most)
        writer = Writer(
            teller,
            first,
            end=self.spec.end,
            sampling=Sampling(temperature, manner.top_k, manner.top_p),
            seeds=[seed_from("text", manner.seed, number) for number in numbers],
            never=self._head.never,
        )
        ids = torch.full((len(first), most), self.spec.end)
        for place in range(most):
            with torch.inference_mode():
                ids[:, place] = writer.step()
            over = bool(writer.ended.all()) or place + 1 == most
            if not (over or each or manner.stop):
                continue
            texts = self._spelled(ids[:, : place + 1], manner)
            for row, (_, stopped) in enumerate(texts):
                if stopped:
                    writer.stop(row)
            over = over or bool(writer.ended.all())
            yield [text for text, _ in texts], over
            if over:
                return

    def _spelled(self, ids: Tensor, manner: Manner) -> list[tuple[str, bool]]:
        """Tokens (B, T) as texts, each before what stops it, and whether something did."""
        return [_before(text, manner.stop) for text in self._kind.values({"ids": ids.numpy()})["text"]]

    def _searched(self, signal: Signal, manner: Manner) -> list[str]:
        with torch.inference_mode():
            ids = self._head.searched(signal, manner.beams or self._head.beams, manner.tokens or self._head.most_tokens)
        return [text for text, _ in self._spelled(ids, manner)]

    def _signal(self, table: pa.Table) -> Signal:
        store = self._model.schema.encode(table, targets=False, whole=False)
        self._network.eval()
        with torch.inference_mode():
            batch = store.batch(torch.arange(len(store)))
            return self._network(to_device(batch, self._head.table.weight.device))

    def _ids(self, prompt: str, say: Say | None) -> list[int]:
        """The tokens of a beginning, the last that a decoder can look at."""
        ids = [self.spec.begin, *self._kind.tokenizer.encode(prompt, add_special_tokens=False).ids]
        window = self._head.net.window
        if window is None or len(ids) <= window:
            return ids
        if say is not None:
            say(f"note: the prompt has {len(ids) - 1:,} tokens, of which the last {window:,} are looked at")
        return ids[-window:]

    def _of_like_length(self, prompts: Sequence[str]) -> Iterator[list[int]]:
        """The places of prompts of one number of tokens, some at once: none is padded, so none sees padding."""
        places: dict[int, list[int]] = {}
        for place, prompt in enumerate(prompts):
            places.setdefault(len(self._ids(prompt, None)), []).append(place)
        for found in places.values():
            for start in range(0, len(found), ROWS_AT_ONCE):
                yield found[start : start + ROWS_AT_ONCE]

    def _as_rows(self, prompts: Sequence[str], say: Say | None) -> pa.Table:
        """Prompts as the one text that comes in.

        Raises:
            ConfigError: something else comes in.
        """
        kind = self._input_text()
        table = pa.table({self.inputs[0]: pa.array(list(prompts), pa.string())})
        more = int(torch.as_tensor(kind.encode(table[self.inputs[0]])[CUT]).max()) if prompts else 0
        if say is not None and more:
            say(f"note: the prompt has {more:,} tokens more than the {kind.length:,} that are looked at")
        return table

    def _input_text(self) -> Text:
        columns = self._model.schema.of_role(Role.INPUT)
        kind = columns[0].fitted if len(columns) == 1 else None
        if not isinstance(kind, Text):
            names = ", ".join(map(repr, self.inputs))
            raise ConfigError(f"this network takes {names}, not one text: give it rows that have them (--input DATA)")
        return kind

    def context(self, turns: Sequence[str]) -> str:
        """The turns of a dialogue as one prompt, the first ones left out where they are too many."""
        turns = list(turns)
        while len(turns) > 1 and self._too_long(BETWEEN_TURNS.join(turns)):
            del turns[0]
        return BETWEEN_TURNS.join(turns)

    def _too_long(self, prompt: str) -> bool:
        kind, room = (self._input_text(), 2) if self.inputs else (self._kind, 1 + (self._head.net.window or 0) // 2)
        tokens = len(kind.tokenizer.encode(prompt, add_special_tokens=False).ids)
        return bool(tokens + room > kind.length)


def _check_whole(prompts: Sequence[str]) -> None:
    """Refuse what is no text: half of a sign, or bytes of a command line that are no UTF-8, as Python hands them on.

    Raises:
        ConfigError: a prompt holds such.
    """
    for half in filter(None, map(half_sign, prompts)):
        raise ConfigError(f"the prompt holds {half}, or a byte that is not UTF-8; write it anew")


def _before(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """A text before the first of the texts that stop it, and whether there was one."""
    found = [place for word in stop if (place := text.find(word)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def _settled(text: str, stop: Sequence[str]) -> int:
    """How much of a text that is being written will stay: not what may become a sign, or begin what stops it."""
    end = len(text.rstrip(UNFINISHED))
    most = max((len(word) for word in stop), default=1) - 1
    held = (
        size for size in range(min(most, end), 0, -1) if any(word.startswith(text[end - size : end]) for word in stop)
    )
    return end - next(held, 0)


def _last(steps: Iterator[tuple[list[str], bool]]) -> list[str]:
    texts: list[str] = []
    for texts, _ in steps:  # noqa: B007 - only the last are asked for
        pass
    return texts
