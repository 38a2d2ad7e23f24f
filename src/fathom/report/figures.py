"""Figures drawn by matplotlib as SVG that takes its colours and its font from the page.

Nothing of the user's enters a figure: names and classes stand in the page around it, where they are escaped. A figure
of the same numbers has the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from fathom.trust.gates import Reach

__all__ = ["Figures"]

INCHES, AXES = (3.6, 2.4), (0.19, 0.18, 0.78, 0.77)
# Colours that no figure has by itself, and what the page calls them.
COLOURS = {"#010101": "--ink", "#020202": "--soft", "#030303": "--line", "#040404": "--accent", "#050505": "--second"}
INK, SOFT, LINE, ACCENT, SECOND = COLOURS
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fathom",
    "font.size": 8.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.formatter.limits": (-3, 4),
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "lines.linewidth": 1.3,
    "path.simplify": True,
}
STARTS: Mapping[str, dict[str, Any]] = {  # of nets that have not learned
    "rnn": {"color": SECOND, "linestyle": (0, (4, 2))},
    "lstm": {"color": ACCENT, "linestyle": (0, (4, 2))},
    "gru": {"color": SOFT, "linestyle": (0, (1, 1.5))},
}
Points = Sequence[Sequence[float | None]]


class Figures:
    """Draws the figures of one page; the names inside each begin with a letter and a number of its own."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def curve(
        self, records: Sequence[Sequence[Mapping[str, Any]]], key: str, name: str, *, best: int | None = None
    ) -> str:
        """A value over the steps of one training, or of several.

        Args:
            records: of each training the lines of its log.
            key: of the value.
            name: what the axis calls it.
            best: the step that was kept, marked by a line.
        """

        def draw(axes: Any) -> None:
            for one in records:
                steps = [record["step"] for record in one if _known(record.get(key))]
                alone = "o" if len(steps) == 1 else None  # of which no line can be drawn
                axes.plot(steps, [record[key] for record in one if _known(record.get(key))], color=ACCENT, marker=alone)
            if best is not None:
                axes.axvline(best, color=SECOND, linewidth=1, linestyle=(0, (3, 2)))
            axes.set(xlabel="step", ylabel=name)

        return self._drawn(draw)

    def rate(self, points: Points, x: str, y: str, *, diagonal: bool, stepped: bool = False) -> str:
        """Shares against shares, both from 0 to 1.

        Args:
            points: pairs (x, y), and what else they hold.
            x: what the one axis is called.
            y: what the other is called.
            diagonal: whether the line of equal shares is drawn.
            stepped: whether the points are marked.
        """

        def draw(axes: Any) -> None:
            if diagonal:
                axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (3, 2)))
            known = [point for point in points if _known(point[0]) and _known(point[1])]
            marks: dict[str, Any] = {"marker": "o", "markersize": 3.5} if stepped else {}
            axes.plot([point[0] for point in known], [point[1] for point in known], color=ACCENT, **marks)
            axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))

        return self._drawn(draw)

    def residuals(self, truth: Sequence[float | None], prediction: Sequence[float | None]) -> str:
        """Each row's prediction against its truth, and the line on which both are equal."""

        def draw(axes: Any) -> None:
            pairs = [pair for pair in zip(truth, prediction, strict=True) if _known(pair[0]) and _known(pair[1])]
            points = np.array(pairs, dtype=float).reshape(-1, 2)
            if len(points):
                ends = [points.min(), points.max()]
                axes.plot(ends, ends, color=SOFT, linewidth=0.8, linestyle=(0, (3, 2)))
            axes.plot(points[:, 0], points[:, 1], "o", color=ACCENT, alpha=0.45, markersize=2.2, markeredgewidth=0)
            axes.set(xlabel="truth", ylabel="prediction")

        return self._drawn(draw)

    def depths(self, records: Sequence[Mapping[str, Any]], key: str, name: str) -> str:
        """A value of each layer over the steps: the first layer palest, the last strongest."""

        def draw(axes: Any) -> None:
            layers = list(dict.fromkeys(layer for record in records for layer in record["layers"]))
            for place, layer in enumerate(layers):
                values = [(record["step"], record["layers"].get(layer, {}).get(key)) for record in records]
                known = [(step, value) for step, value in values if _known(value) and value > 0]
                strength = 0.25 + 0.75 * place / max(1, len(layers) - 1)
                axes.plot([step for step, _ in known], [value for _, value in known], color=ACCENT, alpha=strength)
            axes.set(xlabel="step", ylabel=name, yscale="log")
            axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, place: "")

        return self._drawn(draw)

    def reach(self, reaches: Sequence[Reach]) -> str:
        """The norm of a gradient by how many tokens back it is taken, of a net and of others at their start."""

        def draw(axes: Any) -> None:
            for one in reaches:
                known = [(place, norm) for place, norm in enumerate(one.norms) if _known(norm) and norm > 0]
                name = f"{one.net}, this run" if one.learned else f"{one.net}, at its start"
                style = {"color": ACCENT, "linewidth": 2} if one.learned else STARTS[one.net]
                axes.plot([place for place, _ in known], [norm for _, norm in known], label=name, **style)
            axes.set(xlabel="tokens back", ylabel="norm", yscale="log")
            axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, place: "")
            axes.legend(frameon=False, fontsize=7)

        return self._drawn(draw)

    def _drawn(self, draw: Callable[[Any], None]) -> str:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        with rc_context(STYLE):  # which matplotlib reads while it draws; handed back as it was
            figure = Figure(INCHES, facecolor="none")
            axes = figure.add_axes(AXES)
            draw(axes)
            axes.tick_params(length=2.5)
            content = io.BytesIO()
            metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            FigureCanvasSVG(figure).print_svg(content, metadata=metadata)
        return _fitted(content.getvalue().decode(), f"f{next(self._numbers)}-")


def _known(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _fitted(svg: str, prefix: str) -> str:
    """Matplotlib's file as a part of a page: no size, font or colour of its own, and no name that another has too."""
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', body)
    assert box is not None
    inner = body[body.index(">") + 1 : body.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="', f'id="{prefix}', inner)
    inner = re.sub(r'(url\(#|href="#)', rf"\1{prefix}", inner)
    inner = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", inner)
    for colour, name in COLOURS.items():
        inner = inner.replace(colour, f"var({name})")
    inner = re.sub(r"\n\s*", "\n", inner)
    return (
        f'<svg viewBox="{box[1]}" xmlns:xlink="http://www.w3.org/1999/xlink" aria-hidden="true">{inner.strip()}</svg>'
    )
