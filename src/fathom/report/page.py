"""The page of a run: all that is told of it, and the one HTML file that tells it.

The file needs no network and holds no address. A policy in its head lets it run one script, its own, named by its
sha256; text that came from data is escaped by the templates, all of which escape by default.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fathom.checks import Finding
from fathom.report import words
from fathom.report.figures import Figures
from fathom.report.flow import Flow
from fathom.report.heat import heats, lines_of
from fathom.report.worth import rows_of, sentence, verdict
from fathom.trust.texts import Texts

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Repeat", "Told", "written"]

TEMPLATES = Path(__file__).parent / "templates"
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What no page may hold, and what turns the direction of what stands beside it."""
PICTURES_BYTES = 1_000_000  # of all that is embedded; what comes after them is left out, and the page says so

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Repeat:
    """What it takes to come to the same network again.

    Attributes:
        commands: to be typed one after another, each with what it does.
        config: the text of ``config.toml``.
        versions: of fathom and of what it stands on.
        fingerprint: of the data.
        seed: decides all that is random.
        weights: sha256 of the weights.
    """

    commands: Sequence[tuple[str, str]]
    config: str
    versions: Mapping[str, str]
    fingerprint: str
    seed: int
    weights: str


@dataclass(frozen=True)
class Told:
    """All that a page tells; what is None or empty is left out of it, and where that would puzzle, it says so.

    Attributes:
        name: of the run.
        asked: what was asked for, and what it came to.
        rows: how many rows each part holds.
        columns: name, role, kind and reason of each column.
        findings: what the checks found; None where the rows were not at hand.
        flow: the network.
        logs: the lines of ``log.jsonl``, of each network that was trained by itself.
        watched: what validation watched, and whether more of it is better.
        scores: by target and metric, as JSON holds them.
        scored: how many rows the scores are of.
        folds: of each target and metric the mean and the deviation over folds, with their count; None without folds.
        cost: what is in ``cost.json``; None where it was not measured.
        repeat: how to come to the same network.
        evaluation: as ``trust.evaluation`` tells it.
        depths: the lines of ``depths.jsonl``.
        symptoms: sentences on layers that learn badly.
        filters: (h, w, 3) uint8 each.
        patches: of each filter the pieces of pictures to which it answers most, (h, w, 3) uint8.
        texts: what happens to a few texts; None where no column holds any.
        private: whether rows and pictures are kept out.
    """

    name: str
    asked: Sequence[tuple[str, str]]
    rows: Mapping[str, int]
    columns: Sequence[tuple[str, str, str, str]]
    findings: Sequence[Finding] | None
    flow: Flow
    logs: Sequence[Sequence[Plain]]
    watched: tuple[str, bool]
    scores: Mapping[str, Mapping[str, Plain]]
    scored: int
    folds: Plain | None
    cost: Plain | None
    repeat: Repeat
    evaluation: Plain | None = None
    depths: Sequence[Plain] = ()
    symptoms: Sequence[str] = ()
    filters: Sequence[np.ndarray] = ()
    patches: Sequence[Sequence[np.ndarray]] = ()
    texts: Texts | None = None
    private: bool = False


def written(told: Told) -> str:
    """The page as one HTML file; what is told being the same, so is each byte."""
    if told.private:
        told = _without_rows(told)
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    targets = _targets(told)
    page = _environment().get_template("page.html")
    return page.render(
        told=told,
        targets=targets,
        mistaken=[target for target in targets if target["evaluation"].get("mistakes")],
        sentences=[
            (sentence(target, metrics, told.scored), verdict(metrics)) for target, metrics in told.scores.items()
        ],
        best=_best_step(told),
        figures=Figures(),
        heats=heats,
        lines=lines_of,
        pictures=_Pictures(),
        style=style,
        script=script,
        script_hash=base64.b64encode(sha256(script.encode()).digest()).decode(),
    )


def _in_private(finding: Any) -> Any:
    """What a check found, without its words, which may hold cells."""
    where = ", ".join(finding.columns) or "the table"
    rows = f" ({finding.count:,} rows)" if finding.count else ""
    return replace(finding, message=f"in {where}{rows}", remedy="fathom check tells what", rows=())


def _without_rows(told: Told) -> Told:
    """What is told without any row's cells or pictures; sums over rows stay."""
    evaluation = None
    if told.evaluation is not None:
        targets = {name: _without_points(target) for name, target in told.evaluation.get("targets", {}).items()}
        evaluation = {**told.evaluation, "targets": targets}
    findings = None if told.findings is None else list(map(_in_private, told.findings))
    texts = None if told.texts is None else told.texts.without_rows()
    return replace(told, evaluation=evaluation, findings=findings, patches=(), texts=texts)


def _without_points(target: Plain) -> dict[str, Any]:
    kept = {key: value for key, value in target.items() if key != "mistakes"}
    if "residuals" in kept:
        kept["residuals"] = {"quantiles": kept["residuals"].get("quantiles", {})}
    return kept


def _targets(told: Told) -> list[dict[str, Any]]:
    """Each target with its table of scores and what the evaluation tells of it."""
    evaluated = {} if told.evaluation is None else told.evaluation.get("targets", {})
    folds = {} if told.folds is None else told.folds["targets"]
    return [
        {
            "name": name,
            "title": words.titled(name),
            "scores": rows_of(told.scores.get(name, {})),
            "folds": folds.get(name, {}),
            "evaluation": evaluated.get(name, {}),
        }
        for name in dict.fromkeys([*told.scores, *folds, *evaluated])
    ]


def _best_step(told: Told) -> int | None:
    """The step at which validation was best, where one training was watched."""
    key, higher = told.watched
    looks = [record for record in told.logs[0] if record.get(key) is not None] if len(told.logs) == 1 else []
    if not looks:
        return None
    return int((max if higher else min)(looks, key=lambda record: record[key])["step"])


class _Pictures:
    """Gives pictures as addresses that hold them, as long as there is room in the page."""

    def __init__(self) -> None:
        self._left_bytes = PICTURES_BYTES
        self.left_out = 0

    def png(self, encoded: str) -> str | None:
        """The address of a PNG in base64, or None where there is no room left."""
        self._left_bytes -= len(encoded)
        if self._left_bytes < 0:
            self.left_out += 1
            return None
        return f"data:image/png;base64,{encoded}"

    def pixels(self, picture: np.ndarray) -> str | None:
        """The address of (h, w, 3) uint8."""
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(file, "png")
        return self.png(base64.b64encode(file.getvalue()).decode())


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("amount", "duration", "energy", "number", "score_words", "shortened", "size", "titled", "token")
    environment.filters |= {name: getattr(words, name) for name in names} | {"signed": "{:+.3g}".format}
    return environment


def _printable(value: Any) -> Any:
    """Text without what no page may hold; a type of its own, as safe text is, stays what it is."""
    return type(value)(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)) if isinstance(value, str) else value
