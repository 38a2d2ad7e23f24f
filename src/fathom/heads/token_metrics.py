"""Metrics of the probability that is given to a text, token by token, each after the true ones before it.

A prediction has for each row ``nll``, the sum of -log probability of its tokens in nats, ``tokens``, how many those
are, ``right``, how many of them were the likeliest, and ``characters``, the text's length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fathom.heads.head import METRICS
from fathom.heads.weightings import share

__all__: list[str] = []

Values = Mapping[str, np.ndarray]


@METRICS.register("token_loss", higher=False)
def token_loss(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The mean over tokens of -log of the probability given to the true one, in nats."""
    return _ratio("nll", "tokens", prediction, weight)


@METRICS.register("perplexity", higher=False)
def perplexity(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Between how many tokens, all as likely, one would be as unsure: e to the token loss. It depends on the tokens."""
    with np.errstate(over="ignore"):
        return np.exp(_ratio("nll", "tokens", prediction, weight))


@METRICS.register("bits_per_character", higher=False)
def bits_per_character(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """Bits in which a character of the text could be written down; comparable between networks of other tokens."""
    return _ratio("nll", "characters", prediction, weight) / math.log(2)


@METRICS.register("token_accuracy", higher=True)
def token_accuracy(truth: np.ndarray, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """The share of tokens that were held to be the likeliest."""
    return _ratio("right", "tokens", prediction, weight)


def _ratio(part: str, whole: str, prediction: Values, weight: np.ndarray) -> np.ndarray:
    """(R,) the sum of one over that of the other; NaN where a prediction lacks one."""
    if part not in prediction or whole not in prediction:
        return np.full(len(weight), np.nan)
    return share(weight @ prediction[part].astype(float), weight @ prediction[whole].astype(float))
