"""The networks of the workloads, written in Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers
from workloads import CHANNELS, CLASSES, DEPTH, HEADS, HIDDEN, TOKENS, WIDTH, Workload

__all__ = ["NETWORKS"]


def _perceptron(work: Workload) -> Any:
    inside = [layers.Dense(width, activation="relu") for width in HIDDEN]
    return keras.Sequential([keras.Input(work.rows.shape[1:]), *inside, layers.Dense(CLASSES)])


def _resnet(work: Workload) -> Any:
    def convolve(maps: Any, channels: int, size: int = 3, stride: int = 1) -> Any:
        return layers.Conv2D(channels, size, stride, padding="same", use_bias=False)(maps)

    def normalised(maps: Any) -> Any:
        return layers.BatchNormalization()(maps)

    sample = work.rows[:512].reshape(-1, work.rows.shape[-1])
    pixels = keras.Input(work.rows.shape[1:])
    maps = layers.Normalization(mean=sample.mean(0), variance=sample.var(0))(pixels)
    maps = layers.ReLU()(normalised(convolve(maps, CHANNELS[0])))
    for k, channels in enumerate(CHANNELS):
        stride = 1 if k == 0 else 2
        inner = layers.ReLU()(normalised(convolve(maps, channels, stride=stride)))
        shortcut = maps if k == 0 else convolve(maps, channels, 1, stride)
        maps = layers.ReLU()(layers.Add()([normalised(convolve(inner, channels)), shortcut]))
    return keras.Model(pixels, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(maps)))


class Placed(layers.Layer):
    """Adds to each token a vector that is learned for its place."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.places = self.add_weight(shape=shape[1:], initializer="zeros")

    def call(self, tokens: Any) -> Any:
        return tokens + self.places


def _lstm(work: Workload) -> Any:
    reads = layers.Bidirectional(layers.LSTM(WIDTH, return_sequences=True))
    inside = [layers.Embedding(TOKENS, WIDTH), reads, layers.GlobalAveragePooling1D()]
    return keras.Sequential([keras.Input(work.rows.shape[1:], dtype="int64"), *inside, layers.Dense(CLASSES)])


def _transformer(work: Workload) -> Any:
    tokens = keras.Input(work.rows.shape[1:], dtype="int64")
    state = Placed()(layers.Embedding(TOKENS, WIDTH)(tokens))
    for _ in range(DEPTH):
        normed = layers.LayerNormalization()(state)
        state = state + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(normed, normed)
        inside = layers.Dense(4 * WIDTH, activation="gelu")(layers.LayerNormalization()(state))
        state = state + layers.Dense(WIDTH)(inside)
    vector = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(state))
    return keras.Model(tokens, layers.Dense(CLASSES)(vector))


NETWORKS: dict[str, Callable[[Workload], Any]] = {
    "mlp": _perceptron,
    "convnet": _resnet,
    "lstm": _lstm,
    "transformer": _transformer,
}
