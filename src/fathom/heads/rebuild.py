"""Pictures rebuilt from a vector: the decoder half of an autoencoder."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from fathom.heads.head import HEADS, Head, for_members, over_members, row_weights
from fathom.nets.members import output_layer
from fathom.registry import Range
from fathom.signals import ImageSpec, Loss, Prediction, Ragged, Signal, SignalSpec

__all__ = ["RebuildImage"]

STRIDE = 4


@HEADS.register(
    "rebuild_image",
    target="image",
    needs="vector",
    metrics=("rmse",),
    exempt={
        "missing": "bytes have no value for missing: such a picture is black, and is rebuilt as black",
        "noise": "a picture is grown from a map of a quarter of its sides, which holds shapes but no noise",
    },
)
class RebuildImage(Head):
    """A small map grown from the vector, doubled twice by convolutions, to every pixel; squared error.

    Args:
        state: what the net gives.
        target: the pictures.
        channels: of the small map.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, state: SignalSpec, target: ImageSpec, *, channels: Annotated[int, Range(1, 1024, log=True)] = 32
    ) -> None:
        super().__init__()
        self.size = (target.height, target.width)
        small = (-(-target.height // STRIDE), -(-target.width // STRIDE))
        self.decoder = nn.Sequential(
            output_layer(state, channels * small[0] * small[1]),
            nn.ReLU(),
            nn.Unflatten(1, (channels, *small)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, target.channels, 3, padding=1),
        )
        self.register_buffer("mean", torch.tensor(target.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(target.deviation).view(-1, 1, 1), persistent=False)

    def loss(self, signal: Signal, target: Tensor | Ragged, weight: Tensor | None) -> Loss:
        """signal.vector (M·B, D); target (B, C, H, W) in 0 to 255."""
        assert isinstance(target, Tensor)
        truth = for_members((target.to(self.mean.dtype) - self.mean) / self.deviation, signal.members)
        rows = (self._decoded(signal) - truth).square().flatten(1).mean(1)  # (M·B,)
        row_weight = row_weights(weight, signal.members)
        total = (rows if row_weight is None else rows * row_weight).sum()
        return Loss(total, self.weigh_members(target, weight, signal.members))

    def weigh(self, target: Tensor | Ragged, weight: Tensor | None) -> Tensor:
        return self.mean.new_tensor(len(target)) if weight is None else weight.sum()

    def predict(self, signal: Signal) -> Prediction:
        """``value`` (B, C, H, W) in 0 to 255."""
        value = over_members(self._decoded(signal), signal.members) * self.deviation + self.mean
        return {"value": value.clamp(0, 255)}

    def trivial(self, rows: int) -> Prediction:
        return {"value": self.mean.expand(rows, -1, *self.size)}

    def _decoded(self, signal: Signal) -> Tensor:
        assert signal.vector is not None
        return self.decoder(signal.vector)[:, :, : self.size[0], : self.size[1]]
