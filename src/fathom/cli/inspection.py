"""What a trained network is made of: columns, layers, parameters, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fathom.api import Run, plain_scores
from fathom.api.columns import columns_kept
from fathom.cli.text import aligned, bold, scored
from fathom.model import Model
from fathom.signals import Role
from fathom.trust.layers import Layer, layers_of

__all__ = ["Inspection", "inspected"]


@dataclass(frozen=True)
class Inspection:
    """A run's model, taken apart."""

    name: str
    model: Model
    layers: tuple[Layer, ...]
    total: int

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
            "metrics": plain_scores(self.model.metrics),
        }

    def text(self) -> str:
        """As a person reads it."""
        columns = [(f"  {name}", role, kind, reason) for name, role, kind, reason in self.model.schema.rows()]
        layers = [
            (f"  {x.name}", x.what, _shape_words(x), f"{x.parameters:>11,}", f"{x.operations or 0:>13,}")
            for x in self.layers
        ]
        layers = [("  layer", "what", "gives", f"{'parameters':>11}", f"{'FLOPs a row':>13}"), *layers]
        operations = sum(layer.operations or 0 for layer in self.layers)
        lines = _table(layers) + f"\n  {self.total:,} parameters and {operations:,} FLOPs a row in all"
        kept = columns_kept(self.model)
        if kept is not None and len(kept) < len(self.model.schema.of_role(Role.INPUT)):
            columns += [("  kept", "", "", ", ".join(kept) or "none")]
        parts = [bold("columns"), aligned(columns), "", bold("layers (B rows at a time)"), lines]
        if self.model.metrics:
            parts += ["", scored(self.model.metrics, "on the rows held out when it was trained")]
        return "\n".join(parts)


def inspected(run: Run, name: str) -> Inspection:
    """Take a run's model apart."""
    total = sum(parameter.numel() for parameter in run.model.network.parameters())
    return Inspection(name, run.model, layers_of(run.model), total)


def _shape_words(layer: Layer) -> str:
    rows = "B" if layer.members == 1 else f"{layer.members}·B"
    return "" if layer.shape is None else f"({', '.join([rows, *map(str, layer.shape)])})"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, none of them wrapped."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
