"""What a trained network is made of: columns, layers, parameters, scores."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from fathom.api import Run, plain_scores
from fathom.api.columns import columns_kept
from fathom.cli.text import bold, scored
from fathom.model import Model
from fathom.report.words import amount
from fathom.signals import Role
from fathom.training.diagnostics import read_depths
from fathom.training.symptoms import Symptom, symptoms
from fathom.trust.layers import Layer, layers_of
from fathom.typeset import aligned, one_line, shortened, width

__all__ = ["Inspection", "inspected"]

LONGEST_NAME = 24


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
        layers = [
            (_name(x.name), x.what, _shape_words(x), f"{x.parameters:>10,}", amount(x.operations or 0))
            for x in self.layers
        ]
        layers = [("layer", "what", "gives", "parameters", "FLOPs"), *layers]
        operations = sum(layer.operations or 0 for layer in self.layers)
        kept = columns_kept(self.model)
        if kept is not None and len(kept) < len(self.model.schema.of_role(Role.INPUT)):
            columns += [("kept", "", "", ", ".join(kept) or "none")]
        parts = [bold("columns"), aligned(columns, indent=2), "", bold("layers (B rows at a time; FLOPs of one row)")]
        parts += [aligned(layers, indent=2), f"  {self.total:,} parameters and {operations:,} FLOPs a row in all"]
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
    return Inspection(name, run.model, layers_of(run.model), total, symptoms(seen))


def _shape_words(layer: Layer) -> str:
    rows = "B" if layer.members == 1 else f"{layer.members}·B"
    return "" if layer.shape is None else f"({', '.join([rows, *map(str, layer.shape)])})"


def _name(name: str) -> str:
    return shortened(one_line(name), LONGEST_NAME)
