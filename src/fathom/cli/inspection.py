"""What a trained network is made of: columns, layers, parameters, scores."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from fathom.api import Run, plain_scores
from fathom.api.columns import columns_kept
from fathom.cli.text import bold, scored
from fathom.model import Model
from fathom.signals import Role, Signal, to_device
from fathom.training.diagnostics import read_depths
from fathom.training.symptoms import Symptom, symptoms
from fathom.typeset import aligned, one_line, shortened, width

__all__ = ["Inspection", "Layer", "inspected"]

ROWS_SENT = 2
LONGEST_NAME = 32


@dataclass(frozen=True)
class Layer:
    """One module.

    Attributes:
        name: where it is in the network.
        what: its class.
        shape: what it gives for one row, or None where the forward pass does not call it as a module.
        members: for how many members it does so.
        parameters: how many it holds itself.
    """

    name: str
    what: str
    shape: tuple[int, ...] | None
    members: int
    parameters: int


@dataclass(frozen=True)
class Inspection:
    """A run's model, taken apart."""

    name: str
    model: Model
    layers: tuple[Layer, ...]
    total: int
    symptoms: tuple[Symptom, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        names = ("name", "role", "kind", "reason")
        return {
            "run": self.name,
            "parameters": self.total,
            "columns": [dict(zip(names, row, strict=True)) for row in self.model.schema.rows()],
            "columns_kept": columns_kept(self.model),
            "layout": self.model.layout.state(),
            "layers": [asdict(layer) for layer in self.layers],
            "symptoms": [asdict(symptom) for symptom in self.symptoms],
            "metrics": plain_scores(self.model.metrics),
        }

    def text(self) -> str:
        """As a person reads it."""
        columns = [(_name(row[0]), *row[1:]) for row in self.model.schema.rows()]
        layers = [(_name(x.name), x.what, _shape_words(x), f"{x.parameters:>11,}") for x in self.layers]
        layers = [("layer", "what", "gives", f"{'parameters':>11}"), *layers]
        kept = columns_kept(self.model)
        if kept is not None and len(kept) < len(self.model.schema.of_role(Role.INPUT)):
            columns += [("kept", "", "", ", ".join(kept) or "none")]
        parts = [bold("columns"), aligned(columns, indent=2), "", bold("layers (B rows at a time)")]
        parts += [aligned(layers, indent=2), f"  {self.total:,} parameters in all"]
        if self.symptoms:
            words = (f"  {line}" for symptom in self.symptoms for line in textwrap.wrap(symptom.words, width() - 2))
            parts += ["", bold("while it was trained"), *words]
        if self.model.metrics:
            parts += ["", scored(self.model.metrics, "on the rows held out when it was trained")]
        return "\n".join(parts)


def inspected(run: Run, name: str) -> Inspection:
    """Take a run's model apart."""
    total = sum(parameter.numel() for parameter in run.model.network.parameters())
    seen = [] if run.directory is None else read_depths(run.directory)
    return Inspection(name, run.model, tuple(_layers(run.model)), total, symptoms(seen))


def _layers(model: Model) -> Iterator[Layer]:
    """Modules that hold parameters themselves or no other module, each with the shape of what it gives."""
    shapes = _shapes(model)
    counted: set[nn.Parameter] = set()
    for name, module in model.network.named_modules():
        own = set(module.parameters(recurse=False)) - counted
        counted |= own
        if own or not any(True for _ in module.children()):
            members, shape = shapes.get(name, (1, None))
            yield Layer(name, type(module).__name__, shape, members, sum(parameter.numel() for parameter in own))


def _shapes(model: Model) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Members, and what a module gives for a row of each: seen by sending rows through that lack everything."""
    shapes: dict[str, tuple[int, tuple[int, ...]]] = {}
    blank = pa.table({column.name: pa.nulls(ROWS_SENT) for column in model.schema.of_role(Role.INPUT)})
    store = model.schema.encode(blank, targets=False)
    device = next((parameter.device for parameter in model.network.parameters()), torch.device("cpu"))
    with ExitStack() as stack, torch.inference_mode():
        for name, module in model.network.named_modules():
            stack.callback(module.register_forward_hook(_noting(shapes, name)).remove)
        model.network.predict(to_device(next(store.in_order(ROWS_SENT)), device))
    return shapes


def _noting(shapes: dict[str, tuple[int, tuple[int, ...]]], name: str) -> Any:
    def note(module: nn.Module, given: Any, output: Any) -> None:
        tensor = output.vector if isinstance(output, Signal) else output
        if isinstance(tensor, Tensor):
            shapes.setdefault(name, (max(1, len(tensor) // ROWS_SENT), tuple(tensor.shape[1:])))

    return note


def _shape_words(layer: Layer) -> str:
    rows = "B" if layer.members == 1 else f"{layer.members}·B"
    return "" if layer.shape is None else f"({', '.join([rows, *map(str, layer.shape)])})"


def _name(name: str) -> str:
    return shortened(one_line(name), LONGEST_NAME)
