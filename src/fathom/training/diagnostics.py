"""Samples of what happens inside a network while it trains: gradients, updates, activations, layer by layer.

Some sixty updates of a run are looked on at, the more rarely the later; all others go on as if nobody did. What is seen
changes nothing, to the bit. ``symptoms`` puts into words what is ill.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fathom.errors import ModelError
from fathom.nets.stacked import Stacked
from fathom.signals import Signal
from fathom.training.log import DEPTHS

__all__ = ["Depths", "next_sample", "read_depths"]

FEWEST_STEPS_BETWEEN, SHARE_BETWEEN = 20, 1 / 8
NUMBERS_SEEN, FEWEST_ROWS_SEEN = 2**18, 16  # of what a layer gives: more tell no more, and take time
DIGITS = 5

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish)  # 0 for whatever is far below 0
SILENT = 1e-6
BOUNDED = {nn.Sigmoid: (0.5, 0.5), nn.Tanh: (0.0, 1.0)}  # the middle, and how far from it the bounds are
AT_A_BOUND = 0.98  # of that distance

Record = dict[str, Any]
Scalars = dict[str, Tensor]


def next_sample(step: int) -> int:
    """The first step from ``step`` on that is looked on at: known from its number alone, so that it is so on resume."""
    found = 0
    while found < step:
        found += max(FEWEST_STEPS_BETWEEN, int(SHARE_BETWEEN * found))
    return found


@dataclass(frozen=True)
class _Layer:
    """A module that holds weights itself.

    Attributes:
        name: where it is.
        module: it.
        weights: those that are trained and that no layer before it holds.
        members: how many members' weights stand in each.
    """

    name: str
    module: nn.Module
    weights: list[nn.Parameter]
    members: int


class Depths:
    """Looks on at updates of a module.

    Layers are the modules that hold weights themselves. Of a stack of members a layer is one: norms are those of all
    members' numbers together, shares those of all their units.

    Args:
        module: what is trained.
    """

    def __init__(self, module: nn.Module) -> None:
        self._layers = list(_layers(module))
        self._activations = [found for found in module.modules() if isinstance(found, (*RECTIFIERS, *BOUNDED))]

    def watched(self, step: int, update: Callable[[], float]) -> tuple[float, Record]:
        """Carry out an update, and look on.

        Args:
            step: its number.
            update: computes gradients and moves the weights.

        Returns:
            What ``update`` returns, and a line of ``depths.jsonl``: of each layer the norm of the loss's gradient,
            before penalties and clipping; the norm of its update over that of its weights before or after, whichever is
            larger; the shares of dead and of saturated units in the activation behind it; mean and deviation of what it
            gives. A dead unit is silent, a saturated one at a bound, in every row of the batch, or of its first part.
            What was not seen is None.
        """
        weights = [weight for layer in self._layers for weight in layer.weights]
        before = [weight.detach().clone() for weight in weights]
        seen = _Seen()
        with ExitStack() as hooks:
            for layer in self._layers:
                hooks.callback(layer.module.register_forward_hook(seen.layer(layer)).remove)
                for weight in (weight for weight in layer.weights if weight.requires_grad):
                    hooks.callback(weight.register_post_accumulate_grad_hook(seen.gradient).remove)
            for activation in self._activations:
                hooks.callback(activation.register_forward_hook(seen.activation).remove)
            value = update()
        figures = _plain({**seen.figures(self._layers), **_moves(self._layers, before)})
        return value, {"step": step, "layers": {layer.name: _line(layer, figures) for layer in self._layers}}


class _Seen:
    """What hooks saw in one update, still on the device. Of a layer that is called repeatedly the first call counts."""

    def __init__(self) -> None:
        self._norms: dict[Tensor, Tensor] = {}
        self._scalars: Scalars = {}
        self._last: _Layer | None = None

    def gradient(self, weight: Tensor) -> None:
        """Note the gradient that has been added up so far, which the last micro-batch completes."""
        assert weight.grad is not None
        self._norms[weight] = torch.linalg.vector_norm(weight.grad)

    def layer(self, layer: _Layer) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, given: Any, output: Any) -> None:
            self._last = layer
            values = _values(output)
            if values is not None and f"{layer.name} mean" not in self._scalars:
                deviation, mean = torch.std_mean(_few(values, layer.members), correction=0)
                self._scalars |= {f"{layer.name} mean": mean, f"{layer.name} deviation": deviation}

        return note

    def activation(self, module: nn.Module, given: Any, output: Any) -> None:
        """Note which units of the layer in front are of no use."""
        values = _values(output)
        if values is None or self._last is None:
            return
        bounds = BOUNDED.get(type(module))
        key = f"{self._last.name} {'dead' if bounds is None else 'saturated'}"
        if key not in self._scalars:
            rows = _few(values, self._last.members)
            useless = _silent(rows) if bounds is None else _at_a_bound(rows, *bounds)
            self._scalars[key] = useless.float().mean()

    def figures(self, layers: list[_Layer]) -> Scalars:
        """All that was seen, by layer and figure."""
        norms = {
            f"{layer.name} gradient": torch.linalg.vector_norm(torch.stack(found))
            for layer in layers
            if (found := [self._norms[weight] for weight in layer.weights if weight in self._norms])
        }
        return {**self._scalars, **norms}


def read_depths(directory: Path) -> list[Record]:
    """The lines of a run's ``depths.jsonl``; of folds that were trained one after another, those of the first.

    Raises:
        ModelError: the file is not as it was written.
    """
    places = [directory / DEPTHS, *sorted(directory.glob(f"folds/*/{DEPTHS}"))]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return []
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(record["step"], int) and isinstance(record["layers"], dict) for record in found):
            raise TypeError("no step or no layers")
    except (OSError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not as fathom writes it ({error!r:.200})") from error
    return found


def _layers(module: nn.Module) -> Iterator[_Layer]:
    counted: set[nn.Parameter] = set()
    for name, inner in module.named_modules():
        own = [weight for weight in inner.parameters(recurse=False) if weight.requires_grad and weight not in counted]
        counted |= set(own)
        if own:
            yield _Layer(name, inner, own, max(len(w) if isinstance(w, Stacked) else 1 for w in own))


def _moves(layers: list[_Layer], before: list[Tensor]) -> Scalars:
    """How far the weights of each layer went, as a share of what they are."""
    after = [weight.detach() for layer in layers for weight in layer.weights]
    lengths = [torch._foreach_norm(found) for found in (torch._foreach_sub(after, before), before, after)]
    found, start = {}, 0
    for layer in layers:
        stop = start + len(layer.weights)
        step, old, new = (torch.linalg.vector_norm(torch.stack(norms[start:stop])) for norms in lengths)
        found[f"{layer.name} update"] = torch.where(step > 0, step / torch.maximum(old, new), 0.0)
        start = stop
    return found


def _values(output: Any) -> Tensor | None:
    """What a layer gives, (M·B, ...), as plain numbers."""
    if isinstance(output, Signal):
        output = output.vector if output.tokens is None else output.tokens
    plain = isinstance(output, Tensor) and output.is_floating_point() and output.numel() > 0 and output.dim() > 1
    return output.detach() if plain else None


def _few(values: Tensor, members: int) -> Tensor:
    """(M·B, ...) as the first rows of each member, (M, rows, ...) float32."""
    rows = values.unflatten(0, (members if len(values) % members == 0 else 1, -1))
    most = NUMBERS_SEEN // max(1, rows[:, :1].numel())
    return rows[:, : max(FEWEST_ROWS_SEEN, most)].float()


def _silent(rows: Tensor) -> Tensor:
    """(M, units) bool, of what an activation gives to (M, rows, ...)."""
    return rows.abs().amax(_but_units(rows)) <= SILENT


def _at_a_bound(rows: Tensor, middle: float, reach: float) -> Tensor:
    """Likewise."""
    return (rows - middle).abs().amin(_but_units(rows)) >= AT_A_BOUND * reach


def _but_units(rows: Tensor) -> list[int]:
    """The dimensions but those of members and units: features, channels of maps, features of tokens."""
    units = 2 if rows.dim() in (3, 5) else rows.dim() - 1
    return [k for k in range(1, rows.dim()) if k != units]


def _plain(scalars: Scalars) -> dict[str, float]:
    """All figures in one transfer from the device; those that are not finite are left out."""
    values = torch.stack([value.float() for value in scalars.values()]).tolist() if scalars else []
    return {
        name: float(f"{value:.{DIGITS}g}") for name, value in zip(scalars, values, strict=True) if math.isfinite(value)
    }


def _line(layer: _Layer, figures: dict[str, float]) -> Record:
    always = {what: figures.get(f"{layer.name} {what}", 0.0) for what in ("gradient", "update")}
    return always | {what: figures.get(f"{layer.name} {what}") for what in ("dead", "saturated", "mean", "deviation")}
