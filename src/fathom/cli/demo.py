"""The demo: handwritten digits, from the pictures to a network on disk, told in plain words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.api import fit, load
from fathom.cli.text import bold, scored
from fathom.data import read
from fathom.typeset import aligned

__all__ = ["demonstrate"]

KEPT_ASIDE = 4
BUDGET = "20epochs"  # well under a minute on two cores
INK = " .:*#"


def demonstrate(out: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Train on all digits but a few, score, predict those few, and load the model again.

    Args:
        out: the run's directory, overwritten.
        tell: is told the story, line by line.

    Returns:
        The run's summary, and whether the model that was loaded predicts the same.
    """
    started = time.perf_counter()
    source = read("digits")
    pictures = source.parts["train"]
    known, unseen = pictures.slice(0, len(pictures) - KEPT_ASIDE), pictures.slice(len(pictures) - KEPT_ASIDE)
    tell(bold("1. The data: small pictures of handwritten digits, and which digit each is."))
    tell(f"   {KEPT_ASIDE} of them are kept aside for later. What fathom finds out by itself:")
    aside = replace(source, parts={"train": known})
    run = fit(aside, out=out, overwrite=True, budget=BUDGET, say=lambda line: tell(_indented(line)))
    assert run.outcome is not None
    tell(bold("2. The training: shown the same pictures again and again."))
    tell(f"   {run.outcome.steps:,} steps, {run.outcome.epochs:.0f} times over all pictures.")
    tell(bold("3. The score, beside the linear model and the trivial answer."))
    tell(_indented(scored(run.metrics, f"on {run.rows:,} pictures that it did not learn from")))
    tell(bold(f"4. The {KEPT_ASIDE} pictures that were kept aside, and what the network reads in them."))
    tell(_indented(_read_aloud(unseen, run.predict(unseen))))
    tell(bold("5. The model is a directory; loaded again, it answers the same."))
    same = load(out).predict(pictures).equals(run.predict(pictures))
    tell(
        f"   {out}: {len(pictures):,} predictions, {'all identical' if same else 'NOT identical: please report this'}."
    )
    tell(bold(f"That took {time.perf_counter() - started:.0f} s. What to try next:"))
    tell(_indented(_next_steps(out)))
    return {**run.summary(), "reloaded_equal": same}


def _read_aloud(rows: pa.Table, predictions: pa.Table) -> str:
    """The pictures side by side, each with its truth, the answer and how sure it is."""
    drawings = [_drawn(np.array(picture)) for picture in rows["image"].combine_chunks().to_numpy_ndarray()]
    lines = ["   ".join(parts) for parts in zip(*drawings, strict=True)]
    sure = zip(
        *(predictions[name].to_pylist() for name in predictions.column_names if "probability" in name), strict=True
    )
    answers = zip(predictions["digit"].to_pylist(), rows["digit"].to_pylist(), sure, strict=True)
    words = [
        f"{guess} ({max(shares):.0%}), it is {truth}".ljust(len(drawings[0][0])) for guess, truth, shares in answers
    ]
    return "\n".join([*lines, "   ".join(words).rstrip()])


def _drawn(picture: np.ndarray) -> list[str]:
    """(H, W) in 0 to 255 as lines of text, each pixel two letters wide, as letters are half as wide as high."""
    level = (picture.squeeze().astype(int) * len(INK)) // 256
    return ["".join(INK[value] * 2 for value in row) for row in level]


def _indented(words: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in words.splitlines())


def _next_steps(out: str) -> str:
    commands = [
        (f"fathom inspect {out}", "the layers of this network"),
        (f"fathom predict {out} digits", "its answers, as CSV"),
        ("fathom fit iris", "a table: 150 flowers"),
        ("fathom fit YOUR.csv --target COLUMN", "your own data"),
        ("fathom list nets", "what else there is"),
    ]
    return aligned(commands)
