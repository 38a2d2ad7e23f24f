"""The tokens of one text among all that come in, and answers on which several networks agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fathom.errors import ConfigError
from fathom.signals import Prediction, Signal

__all__ = ["most_trusted", "tokens_within"]


def tokens_within(signal: Signal, key: str) -> tuple[Tensor, Tensor]:
    """The states of one input's tokens (M·B, T, D), and where they stand (M·B, T) bool.

    Args:
        signal: the state; where it does not tell whose tokens it has, all are taken.
        key: the batch's name for the input.

    Raises:
        ConfigError: the net gives another number of states than tokens came in, or none for that input.
    """
    tokens = signal.tokens
    assert tokens is not None
    mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if signal.mask is None else signal.mask
    if not signal.parts:
        return tokens, mask
    start, counts = 0, dict(signal.parts)
    if sum(counts.values()) != tokens.shape[1] or key not in counts:
        raise ConfigError(f"an answer within {key!r} needs a net that gives a state for each token that comes in")
    for name, count in signal.parts:
        if name == key:
            break
        start += count
    return tokens[:, start : start + counts[key]], mask[:, start : start + counts[key]]


def most_trusted(predictions: Sequence[Prediction], names: Sequence[str]) -> Prediction:
    """Of the answers of several networks those whose chances add up to the most.

    Args:
        predictions: each with ``chance`` (B, ...), and the answer.
        names: of the tensors (B, ...) that together are an answer.
    """
    chances = torch.stack([prediction["chance"] for prediction in predictions])  # (M, B, ...)
    answers = [torch.stack([prediction[name] for prediction in predictions]) for name in names]
    alike = torch.stack([(answer.unsqueeze(0) == answer.unsqueeze(1)) for answer in answers]).all(0)  # (M, M, B, ...)
    together = (alike * chances.unsqueeze(0)).sum(1)
    best = together.argmax(0, keepdim=True)
    found = {name: answer.gather(0, best)[0] for name, answer in zip(names, answers, strict=True)}
    return {**found, "chance": together.gather(0, best)[0] / len(predictions)}
