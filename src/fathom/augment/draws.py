"""Random numbers by counting: a sample's draws are a pure function of a key and of the sample's number."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["uniforms"]

BITS = 24  # of a float32's mantissa: every draw is exact, and below 1


def uniforms(key: int, sample: Tensor, count: int) -> Tensor:
    """(B, count) float32, uniform in [0, 1): draw k of sample i is the hash of the key and the counter i·count + k.

    Source: SplitMix64 (Steele, Lea and Flood 2014, section 5), whose numbers may be computed in any order.

    Args:
        key: in [0, 2^63); another key gives other draws of the same samples.
        sample: (B,) int64, from 0.
        count: how many draws a sample gets.
    """
    counter = sample[:, None] * count + torch.arange(1, count + 1, device=sample.device)
    z = counter.mul_(_signed(0x9E3779B97F4A7C15)).add_(key)  # int64 wraps around, as the hash asks
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return _shifted(z ^ _shifted(z, 31), 64 - BITS).to(torch.float32) * 2.0**-BITS


def _shifted(z: Tensor, by: int) -> Tensor:
    """z shifted to the right, zeros coming in; int64 alone would bring its sign in."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _signed(constant: int) -> int:
    """64 bits as the int64 that holds them."""
    return constant - (1 << 64) if constant >> 63 else constant
