"""How far back recurrent nets learn: the norm of a gradient by how many tokens back it is taken, drawn for the guide.

Three nets, alike but for their cell, learn to tell the first of many tokens behind the last (see ``recall``). Of each,
the layer is looked at before and after, on the same rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import torch
from recall import Recaller, learned, rows, told_right

from fathom.trust.gates import reach

PLACE = Path(__file__).parents[1] / "docs" / "gradients.svg"
COLOURS = {"rnn": "#c0632f", "lstm": "#3f7fd0", "gru": "#7d8f32"}  # each told from white and from a dark page
GREY, DISTRACTORS, LOOKED_AT, SMALLEST, SEED = "#7d7d7d", 47, 32, 1e-10, 0

Shares = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=PLACE)
    asked = parser.parse_args()
    panels: dict[str, Shares] = {}
    for steps, title in ((0, "before learning"), (asked.steps, f"after {asked.steps} steps")):
        panels[title] = {}
        for name in COLOURS:
            model, drawn = learned(name, DISTRACTORS, steps, SEED)
            panels[title][name] = shares = _shares(model)
            right = told_right(model, DISTRACTORS, drawn)
            print(f"{title}, {name}: right {right:.2f}; {DISTRACTORS} tokens back {shares[-1]:.1g} of the last token's")
    _draw(panels, asked.out)


def _shares(model: Recaller) -> list[float]:
    """Of each token, the last first, the norm of its gradient as a share of the last one's; the mean of logarithms."""
    layer = model.net.layers[0]
    with torch.no_grad():
        texts = model.table(rows(LOOKED_AT, DISTRACTORS, torch.Generator().manual_seed(SEED)))
    norms = torch.stack([reach(layer, text.unsqueeze(0)) for text in texts]).clamp(min=1e-30).log().mean(0).exp()
    found: list[float] = (norms / norms[0]).tolist()
    return found


def _draw(panels: dict[str, Shares], place: Path) -> None:
    """One panel each; a figure of the same numbers has the same bytes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": "fathom", "font.family": "sans-serif", "font.size": 9}
    grey = dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"), GREY)
    with mpl.rc_context({**style, **grey, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure((7.2, 2.9), facecolor="none", layout="constrained")
        for axes, (title, nets) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
            for name, shares in nets.items():
                axes.plot(shares, color=COLOURS[name], linewidth=1.8, label=name)
            axes.set(title=title, xlabel="tokens back", yscale="log", ylim=(SMALLEST, 3), facecolor="none")
            axes.grid(color=GREY, linewidth=0.4, alpha=0.4)
        figure.axes[0].set_ylabel("gradient, of the last token's")
        figure.axes[1].legend(frameon=False, labelcolor="linecolor", loc="lower left")
        with place.open("wb") as file:
            metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            FigureCanvasSVG(figure).print_svg(file, metadata=metadata)


if __name__ == "__main__":
    main()
