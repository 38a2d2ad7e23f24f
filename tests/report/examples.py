"""Pages to be tested: all that may be told of a run, written by hand, with names that the caller chooses."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
from PIL import Image

from fathom.checks import Finding
from fathom.report.flow import Branch, Flow, Stage
from fathom.report.page import Repeat, Told
from fathom.trust.attention import Attention
from fathom.trust.gates import Gates, Reach
from fathom.trust.layers import Layer
from fathom.trust.pulls import Pull
from fathom.trust.samples import Sample
from fathom.trust.texts import Texts

# Each tries to set the page's title or to add an element of the class "pwned", or to break out of where it stands.
TRY = "document.title='pwned'"
HOSTILE = (
    f"<script>{TRY}</script>",
    f"</script><script>{TRY}</script>",
    f"<SCRIPT>{TRY}</SCRIPT>",
    f"<scr<script>ipt>{TRY}</scr</script>ipt>",
    f'"><script>{TRY}</script>',
    f"'><script>{TRY}</script>",
    f"</title><script>{TRY}</script>",
    f"</style><script>{TRY}</script>",
    f"</textarea><script>{TRY}</script>",
    f"</noscript><script>{TRY}</script>",
    f"--><script>{TRY}</script><!--",
    f"]]><script>{TRY}</script>",
    f'<img src=x onerror="{TRY}">',
    f"<img src=x onerror={TRY}>",
    f'"><img src=x onerror="{TRY}">',
    f'" onerror="{TRY}" x="',
    f"' onmouseover='{TRY}' x='",
    f'" autofocus onfocus="{TRY}" x="',
    f'" style="x:expression({TRY})',
    f"<svg onload={TRY}>",
    f"<svg><script>{TRY}</script></svg>",
    f"<svg><animate onbegin={TRY} attributeName=x dur=1s>",
    f"</svg><script>{TRY}</script>",
    f"</text></svg><img src=x onerror={TRY}>",
    f"</title></g></svg><script>{TRY}</script>",
    f"<body onload={TRY}>",
    f"<iframe srcdoc='<script>parent.{TRY}</script>'></iframe>",
    f'<iframe src="javascript:parent.{TRY}"></iframe>',
    f'<a href="javascript:{TRY}" id=theme>x</a>',
    f"javascript:{TRY}",
    f"<details open ontoggle={TRY}>",
    f"<input autofocus onfocus={TRY}>",
    f"<video><source onerror={TRY}></video>",
    f'<object data="javascript:{TRY}"></object>',
    f'<embed src="javascript:{TRY}">',
    "<div class=pwned>x</div>",
    "</td></tr></table><div class=pwned>x</div>",
    "</code></pre><div class=pwned>x</div>",
    "<style>body{display:none}</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    f"<math><mtext></mtext><mglyph><style><img src=x onerror={TRY}></style></math>",
    f"{{{{ {TRY} }}}}",
    "{{ 7 * 7 }}{% raw %}",
    "{% for x in y %}",
    "{{ ''.__class__.__mro__ }}",
    "${7*7}`" + TRY + "`",
    "&lt;script&gt;",
    "&#60;script&#62;" + TRY,
    "\\u003cscript\\u003e" + TRY,
    "%3Cscript%3E" + TRY,
    "\x00<script>" + TRY + "</script>",
    "\u202e<script>" + TRY + "</script>",
    "\ud800<b class=pwned>",
    "<\n" + "script>" + TRY + "</script>",
    "$\\frac{1}{0}$ <b class=pwned>",
    "x" * 400 + "<b class=pwned>",
    "＜script＞" + TRY,
    "</",
)
COLOUR = np.zeros((3, 3, 3), dtype=np.uint8)
SECRET = "a-cell-of-somebody"


def png(size: int = 4) -> str:
    file = io.BytesIO()
    Image.fromarray(np.arange(size * size * 3, dtype=np.uint8).reshape(size, size, 3)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def _names(texts: tuple[str, ...]) -> Iterator[str]:
    return cycle(texts)


def told(*texts: str, **changes: Any) -> Told:
    """A page of everything, each name, word and cell of which is the next of ``texts``."""
    name = _names(texts or ("plain",))
    columns = [next(name) for _ in range(max(3, len(texts)))]
    target, other = next(name), "a number"
    whole = Told(
        name=next(name),
        asked=[("data", next(name)), ("target", next(name))],
        rows={"to learn from": 100, "for the final score": 20},
        columns=[(column, "input", "number", next(name)) for column in columns],
        findings=[Finding("leaks", "warning", next(name), next(name), (next(name),), (7, 8), 12)],
        flow=flow(name, columns),
        logs=[[{"step": k, "epoch": k / 5, "loss": 1 / k, "rate": 1.0, "skill": k / 20} for k in range(1, 9)]],
        watched=("skill", True),
        scores={target: {"accuracy": SCORE, "log_loss": SCORE}, other: {"r2": SCORE}},
        scored=20,
        folds={"count": 3, "rows": 90, "targets": {target: {"accuracy": {"mean": 0.8, "deviation": 0.1, **SCORE}}}},
        cost={
            "seconds": 12.5,
            "peak_bytes": 2**29,
            "joules": None,
            "training_seconds": 9.0,
            "device": next(name),
            "threads": 2,
            "resumed": False,
        },
        repeat=Repeat([(next(name), "Again:")], next(name), {"fathom": next(name)}, "ab" * 32, 3, "cd" * 32),
        evaluation=evaluation(name, target, other, columns),
        depths=[
            {"step": k, "layers": {layer: dict.fromkeys(DEPTHS, 0.1 * k) | {"dead": None} for layer in columns[:3]}}
            for k in range(1, 4)
        ],
        symptoms=[next(name)],
        filters=[COLOUR, COLOUR],
        patches=[[COLOUR], [COLOUR]],
        texts=looked_at(name),
    )
    return replace(whole, **changes)


def looked_at(name: Iterator[str]) -> Texts:
    """What is shown of texts, every token of which is the next name."""
    tokens = tuple(f"{next(name)} {SECRET}" for _ in range(3))
    shares = np.full((2, 3, 3), 1 / 3, np.float32)
    parts: tuple[Any, ...] = ("encoder", "decoder", "crossing")
    return Texts(
        [Sample(next(name), {next(name): tokens[0]}, tokens[1], {next(name): tokens[2]})],
        [Pull(next(name), next(name), next(name), next(name), 0.5, tokens, (0.1, -0.2, 0.0))],
        [[Attention("body", part, tokens, tokens, shares) for part in parts]],
        Gates(next(name), tokens, {"input_gate": (0.1, 0.2, 0.3), "forget_gate": (0.5, 0.6, 0.7)}, (1.0, 2.0, 3.0)),
        [Reach("lstm", True, (1.0, 0.1, 0.01)), Reach("rnn", False, (1.0, 0.01, 0.0001))],
    )


SCORE = {"value": 0.8, "low": 0.7, "high": 0.9, "linear": 0.75, "trivial": 0.6}
DEPTHS = ("gradient", "update", "dead", "saturated", "mean", "deviation")


def flow(name: Iterator[str], columns: list[str]) -> Flow:
    layer = Layer(next(name), next(name), (4, 5), 2, 20, 40)
    unseen = Layer(next(name), next(name), None, 1, 0, None)
    stage = Stage(next(name), "", next(name), next(name), (layer, layer), 20, 40)
    head = Stage(next(name), next(name), next(name), "", (layer,), 20, 40)
    return Flow(
        (Branch("number", tuple(columns), (stage,)), Branch("category", (next(name),), (stage,))),
        "vector (9)",
        stage,
        (head,),
        (layer, unseen),
        2,
        20,
        40,
    )


def evaluation(name: Iterator[str], target: str, other: str, columns: list[str]) -> dict[str, Any]:
    classes = [next(name) for _ in range(3)]
    cells = {column: f"{next(name)} {SECRET}" for column in columns[:20]}
    mistake = {"row": 4, "truth": next(name), "prediction": next(name), "cells": cells}
    share = [[0.0, 0.0], [0.5, 0.8], [1.0, None]]
    return {
        "rows": 20,
        "targets": {
            target: {
                "kind": "category",
                "metrics": {},
                "classes": [
                    {"class": one, "rows": 5, "precision": 0.5, "recall": None, "f1": 0.5, "auc": 0.5}
                    for one in classes
                ],
                "confusion": {"classes": classes, "counts": [[5, 0, 1], [1, 4, 0], [0, 0, 0]]},
                "operating_points": [
                    {"threshold": 0.5, "precision": 0.5, "recall": 0.5, "false_positive_rate": 0.1, "flagged": 0.2}
                ],
                "curves": {"roc": share, "precision_recall": share, "calibration": [[0.1, 0.2, 5], [0.9, 0.8, 15]]},
                "slices": [
                    {"where": next(name), "rows": 5, "metric": "accuracy", "value": 0.5, "low": 0.2, "high": 0.8}
                    | {"elsewhere": 0.9}
                ],
                "mistakes": [mistake | {"probability": 0.9, "error": None, "pictures": {next(name): png()}}],
            },
            other: {
                "kind": "number",
                "metrics": {},
                "residuals": {
                    "truth": [1.0, 12345.678, None],
                    "prediction": [1.5, 2.5, 3.5],
                    "quantiles": {"0.05": -1.0, "0.5": 0.0, "0.95": None},
                },
                "mistakes": [mistake | {"probability": None, "error": 2.5, "pictures": {}}],
            },
        },
        "importance": [
            {"column": column, "metric": "accuracy", "drop": 0.1, "low": 0.0, "high": 0.2} for column in columns
        ]
        + [{"column": next(name), "metric": "accuracy", "drop": None, "low": None, "high": None}],
    }
