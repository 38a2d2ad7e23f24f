"""The papers' formulas of each optimizer, in float64, and with which options they are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["OTHERS", "PAPERS", "Rule", "Vector", "height", "slope", "start"]

Vector = np.ndarray
Rule = Callable[[Vector, Callable[[Vector], Vector]], Iterator[Vector]]


def start() -> Vector:
    return np.random.default_rng(0).normal(size=(3, 4))


def slope(x: Vector) -> Vector:
    """The gradient of a bowl that is steeper along some axes, a little bent."""
    return np.linspace(0.2, 2.0, x.size).reshape(x.shape) * x + 0.3 * np.sin(3 * x)


def height(x: Vector) -> float:
    """The bowl of which ``slope`` is the gradient."""
    return float((np.linspace(0.2, 2.0, x.size).reshape(x.shape) * x**2 / 2 - 0.1 * np.cos(3 * x)).sum())


def gradient_descent(lr: float, momentum: float, *, nesterov: bool) -> Rule:
    """Sutskever et al. 2013, equations 3 and 4, with the velocity in units of the gradient."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        velocity = np.zeros_like(x)
        while True:
            g = gradient(x)
            velocity = momentum * velocity + g
            x = x - lr * (g + momentum * velocity if nesterov else velocity)
            yield x

    return run


def rmsprop(lr: float, smoothing: float, momentum: float) -> Rule:
    """Tieleman and Hinton 2012, lecture 6e."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        mean_square, velocity = np.zeros_like(x), np.zeros_like(x)
        while True:
            g = gradient(x)
            mean_square = smoothing * mean_square + (1 - smoothing) * g**2
            velocity = momentum * velocity + g / (np.sqrt(mean_square) + 1e-8)
            x = x - lr * velocity
            yield x

    return run


def adam(lr: float, beta1: float, beta2: float, decay: float = 0.0) -> Rule:
    """Kingma and Ba 2015, algorithm 1; with decay, Loshchilov and Hutter 2019, algorithm 2, line 12."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        mean, square, t = np.zeros_like(x), np.zeros_like(x), 0
        while True:
            g, t = gradient(x), t + 1
            mean = beta1 * mean + (1 - beta1) * g
            square = beta2 * square + (1 - beta2) * g**2
            unbiased, unbiased_square = mean / (1 - beta1**t), square / (1 - beta2**t)
            x = x - lr * unbiased / (np.sqrt(unbiased_square) + 1e-8) - lr * decay * x
            yield x

    return run


def nadam(lr: float, beta1: float, beta2: float, decay: float = 0.0) -> Rule:
    """Dozat 2016, algorithm 2 with the momentum's schedule of its section 4, beside decoupled decay."""

    def momentum(t: int) -> float:
        return beta1 * (1 - 0.5 * 0.96 ** (0.004 * t))

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        mean, square, product, t = np.zeros_like(x), np.zeros_like(x), 1.0, 0
        while True:
            g, t = gradient(x), t + 1
            product *= momentum(t)
            mean = beta1 * mean + (1 - beta1) * g
            square = beta2 * square + (1 - beta2) * g**2
            ahead = momentum(t + 1) * mean / (1 - product * momentum(t + 1))
            unbiased = ahead + (1 - momentum(t)) * g / (1 - product)
            x = x - lr * decay * x - lr * unbiased / (np.sqrt(square / (1 - beta2**t)) + 1e-8)
            yield x

    return run


def adagrad(lr: float) -> Rule:
    """Duchi et al. 2011, figure 1, with a diagonal matrix."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        squares = np.zeros_like(x)
        while True:
            g = gradient(x)
            squares = squares + g**2
            x = x - lr * g / (np.sqrt(squares) + 1e-10)
            yield x

    return run


def lion(lr: float, beta1: float, beta2: float, decay: float = 0.0) -> Rule:
    """Chen et al. 2023, algorithm 2."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        mean = np.zeros_like(x)
        while True:
            g = gradient(x)
            x = x - lr * (np.sign(beta1 * mean + (1 - beta1) * g) + decay * x)
            mean = beta2 * mean + (1 - beta2) * g
            yield x

    return run


def schedule_free(lr: float, beta1: float, beta2: float, decay: float = 0.0, power: float = 2.0) -> Rule:
    """Defazio et al. 2024, algorithm 1, the rate being the same in all steps; what is yielded is y."""

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        z, square, total, t = x, np.zeros_like(x), 0.0, 0
        while True:
            y, t = (1 - beta1) * z + beta1 * x, t + 1
            g = gradient(y)
            square = beta2 * square + (1 - beta2) * g**2
            z = z - lr * g / (np.sqrt(square / (1 - beta2**t)) + 1e-8) - lr * decay * y
            total += lr**power
            share = lr**power / total
            x = (1 - share) * x + share * z
            yield (1 - beta1) * z + beta1 * x

    return run


def muon(lr: float, momentum: float, decay: float = 0.0, iterations: int = 5) -> Rule:
    """Jordan et al. 2024, algorithm 2 with Nesterov's momentum; the step's size of Liu et al. 2025, equation 4."""

    def orthogonalized(matrix: Vector) -> Vector:
        x = matrix / np.linalg.norm(matrix)
        for _ in range(iterations):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        return x

    def run(x: Vector, gradient: Callable[[Vector], Vector]) -> Iterator[Vector]:
        mean = np.zeros_like(x)
        while True:
            g = gradient(x)
            mean = momentum * mean + (1 - momentum) * g
            step = orthogonalized(momentum * mean + (1 - momentum) * g)
            x = x - lr * decay * x - lr * 0.2 * np.sqrt(max(x.shape)) * step
            yield x

    return run


PAPERS: list[tuple[str, dict[str, Any], Rule]] = [
    ("sgd", {"lr": 0.1, "momentum": 0.0, "nesterov": False}, gradient_descent(0.1, 0.0, nesterov=False)),
    ("sgd", {"lr": 0.1, "momentum": 0.0}, gradient_descent(0.1, 0.0, nesterov=False)),
    ("sgd", {"lr": 0.05, "momentum": 0.8, "nesterov": False}, gradient_descent(0.05, 0.8, nesterov=False)),
    ("sgd", {"lr": 0.05, "momentum": 0.8}, gradient_descent(0.05, 0.8, nesterov=True)),
    ("rmsprop", {"lr": 0.02, "smoothing": 0.9}, rmsprop(0.02, 0.9, 0.0)),
    ("rmsprop", {"lr": 0.02, "smoothing": 0.9, "momentum": 0.5}, rmsprop(0.02, 0.9, 0.5)),
    ("adam", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95}, adam(0.05, 0.8, 0.95)),
    ("adamw", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3}, adam(0.05, 0.8, 0.95, 0.3)),
    ("adamw", {"lr": 0.05, "weight_decay": 0.0}, adam(0.05, 0.9, 0.999)),
    ("nadam", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3}, nadam(0.05, 0.8, 0.95, 0.3)),
    ("adagrad", {"lr": 0.2}, adagrad(0.2)),
    ("lion", {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3}, lion(0.02, 0.8, 0.95, 0.3)),
    (
        "schedule_free",
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.3},
        schedule_free(0.05, 0.8, 0.95, 0.3),
    ),
    ("muon", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.3}, muon(0.05, 0.8, 0.3)),
    ("muon", {"lr": 0.05, "weight_decay": 0.0, "iterations": 3}, muon(0.05, 0.95, iterations=3)),
]

OTHERS: list[tuple[str, dict[str, Any], Rule]] = [
    ("sgd", {"lr": 0.05, "momentum": 0.8}, gradient_descent(0.05, 0.8, nesterov=False)),
    ("rmsprop", {"lr": 0.02, "smoothing": 0.9}, rmsprop(0.02, 0.99, 0.0)),
    ("adam", {"lr": 0.05}, adam(0.05, 0.9, 0.99)),
    ("adamw", {"lr": 0.05, "weight_decay": 0.01}, adam(0.05, 0.9, 0.999)),
    ("nadam", {"lr": 0.05, "weight_decay": 0.0}, adam(0.05, 0.9, 0.999)),
    ("adagrad", {"lr": 0.2}, rmsprop(0.2, 0.9, 0.0)),
    ("lion", {"lr": 0.02, "beta1": 0.8, "beta2": 0.95}, lion(0.02, 0.95, 0.8, 0.05)),
    ("schedule_free", {"lr": 0.05, "weight_decay": 0.0}, adam(0.05, 0.9, 0.999)),
    ("muon", {"lr": 0.05, "weight_decay": 0.0}, muon(0.05, 0.95, iterations=4)),
]
"""Formulas that are not those of the optimizer with these options."""
