"""Run: a trained model, and where and how it came to be."""

from __future__ import annotations

import math
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fathom.api.columns import columns_kept
from fathom.api.directory import CONFIG, LINEAR, MODEL
from fathom.api.folding import Folds, read_folds
from fathom.api.labels import matched, unpadded
from fathom.api.splitting import with_group
from fathom.api.unfamiliar import unfamiliar
from fathom.checks import Finding
from fathom.data import Source, read
from fathom.data.readers import accepted_options
from fathom.errors import ModelError, SchemaError
from fathom.manifest import MANIFEST
from fathom.model import Model, Scores
from fathom.signals import Role
from fathom.training.engine import Outcome
from fathom.trust.evaluation import Answers, Evaluation, evaluated

__all__ = ["Run", "load", "plain_scores"]


class Run:
    """A trained model, and where and how it came to be.

    Attributes:
        model: the model.
        linear: the linear model of the same columns, or None.
        directory: the run's directory, or None where nothing was kept.
        outcome: how the training ended, or None where the run was loaded.
        rows: how many rows the final score was measured on.
        seconds: how long the whole run took.
        reading: the options of the reader with which the training rows were read.
        findings: what the checks found in the data; none where the run was loaded.
        folds: what cross-validation told, or None where there was none.
        answers: to the rows of the final score, and the row of each, as ``Model.judged`` gave them; None once the
            report is written.
    """

    def __init__(
        self,
        model: Model,
        linear: Model | None,
        directory: Path | None,
        *,
        outcome: Outcome | None = None,
        rows: int = 0,
        seconds: float = math.nan,
        reading: Mapping[str, Any] | None = None,
        findings: tuple[Finding, ...] = (),
        folds: Folds | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.model, self.linear, self.directory = model, linear, directory
        self.outcome, self.rows, self.seconds = outcome, rows, seconds
        self.reading, self.findings, self.folds = dict(reading or {}), findings, folds
        self.answers = answers

    @property
    def metrics(self) -> Scores:
        """Scores on the rows held out for the final score, by target and metric."""
        return self.model.metrics

    @property
    def columns_kept(self) -> tuple[str, ...] | None:
        """The input columns that the network looks at: ``group_l1`` leaves others out; None where nets hide it."""
        return columns_kept(self.model)

    def read(self, source: Any, **reading: Any) -> Source:
        """Read rows as the training rows were read: words stay words, labels take the form that training had.

        The source's notes say, too, what its inputs hold that training never saw.

        Args:
            source: as ``fit`` takes it.
            reading: options of its reader; those of ``fit`` hold where none is given.

        Raises:
            InputError: the source cannot be read.
        """
        words, labels = self.model.schema.words(Role.INPUT), self.model.schema.words(Role.TARGET)
        options = {**accepted_options(source, {"text": list(words), **self.reading}), **reading}
        found = read(source, **options)
        tables = {part: matched(table, labels) for part, table in found.parts.items()}
        notes = [note for _, told in tables.values() for note in told]
        parts = {part: table for part, (table, _) in tables.items()}
        if "text" in options:  # as they stand: no code that training had as a word is read as a number
            parts = {part: unpadded(table, words, options.get("missing", ())) for part, table in parts.items()}
        notes += [note for table in parts.values() for note in unfamiliar(self.model.schema, table)]
        return replace(found, parts=parts, notes=tuple(dict.fromkeys((*found.notes, *notes))))

    def predict(self, source: Any, **reading: Any) -> pa.Table:
        """Predict each row of a source, with a warning for what training never saw; see ``read``, ``Model.predict``."""
        table = _one_table(self.read(source, **reading))
        for note in unfamiliar(self.model.schema, table):
            warnings.warn(note, stacklevel=2)
        return self.model.predict(table)

    def predictions(self, source: Any, **reading: Any) -> Iterator[pa.Table]:
        """What ``predict`` returns, some rows after another, so that neither rows nor predictions need fit into memory.

        The source is read, and can be refused, before the first of them.
        """
        return self.model.predictions(_one_table(self.read(source, **reading)))

    def evaluate(self, source: Any, **reading: Any) -> Scores:
        """Score the model on a source that has the targets; see ``read`` and ``Model.evaluate``."""
        return self.model.evaluate(self._grouped(source, **reading), linear=self.linear)

    def evaluation(self, source: Any, *, private: bool = False, **reading: Any) -> Evaluation:
        """Score the model, and find out where and by what it is wrong; see ``read`` and ``evaluated``.

        Args:
            source: rows that have the targets.
            private: whether to leave out what shows single rows.
            reading: options of the source's reader.
        """
        return evaluated(self.model, self._grouped(source, **reading), linear=self.linear, private=private)

    def generate(
        self, prompt: str | Sequence[str] = "", *, source: Any = None, number: int = 1, **manner: Any
    ) -> list[str]:
        """Write texts; see ``Manner`` for how.

        Args:
            prompt: of a language model the beginning of the text, else the text that comes in; or several.
            source: rows to write a text for, each, instead of a prompt; see ``read``.
            number: how many texts to write for each prompt.
            manner: tokens, temperature, top_k, top_p, beams, stop, seed.

        Returns:
            The texts, those of one prompt together, without the prompt.

        Raises:
            ModelError: no head writes text.
            ConfigError: a prompt that is no such input, or a manner that is not allowed.
        """
        from fathom.api.generating import Author, Manner

        author, asked = Author(self.model), Manner(**manner)
        if source is not None:
            return author.answered(_one_table(self.read(source)), asked)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        repeated = [one for one in prompts for _ in range(number)]
        return author.written(repeated, asked, numbers=list(range(number)) * len(prompts))

    def embed(self, source: Any, **reading: Any) -> np.ndarray:
        """The vectors on which the heads stand, (N, D); see ``read``."""
        return self.model.embed(_one_table(self.read(source, **reading)))

    def save(self, directory: str | Path) -> None:
        """Write the model into a directory of its own."""
        self.model.save(Path(directory))

    def _grouped(self, source: Any, **reading: Any) -> pa.Table:
        """The rows of a source, with their groups where the source has what tells them."""
        table = _one_table(self.read(source, **reading))
        for column in self.model.schema.of_role(Role.GROUP):
            with suppress(SchemaError):  # without its groups a row is scored as one by itself
                table = with_group(table, column.name)
        return table

    def summary(self) -> dict[str, Any]:
        """What ``fathom fit --json`` prints."""
        return {
            "run": None if self.directory is None else str(self.directory),
            "rows": self.rows,
            "metrics": plain_scores(self.metrics),
            **({} if self._looks_at_all else {"columns_kept": list(self.columns_kept or ())}),
            **({} if self.folds is None else {"folds": _plain_folds(self.folds)}),
            "seconds": round(self.seconds, 3),
        }

    @property
    def _looks_at_all(self) -> bool:
        kept = self.columns_kept
        return kept is None or len(kept) == len(self.model.schema.of_role(Role.INPUT))


def load(directory: str | Path) -> Run:
    """Load a run's directory, or a model's; no code is run from it.

    Raises:
        ModelError: it is neither, or a file is missing or altered.
    """
    place = Path(directory)
    if (place / MANIFEST).is_file():
        return Run(Model.load(place), None, None)
    if not (place / MODEL).is_dir():
        unfinished = (place / CONFIG).exists()
        hint = "its training has not finished; continue it with --resume" if unfinished else f"it holds no {MODEL}/"
        raise ModelError(f"{place} cannot be loaded: {hint if place.exists() else 'there is no such directory'}")
    linear = Model.load(place / LINEAR) if (place / LINEAR).is_dir() else None
    return Run(Model.load(place / MODEL), linear, place, reading=_recorded_reading(place), folds=read_folds(place))


def _recorded_reading(place: Path) -> dict[str, Any]:
    """The options of the reader that ``fit`` recorded; none where a run's config.toml is not there or not its own."""
    try:
        reading = tomllib.loads((place / CONFIG).read_text()).get("reading", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    return reading if isinstance(reading, dict) else {}


def plain_scores(scores: Scores) -> dict[str, dict[str, dict[str, float | None]]]:
    """Scores as JSON holds them; what is not a number is null."""
    return {target: {name: metric.plain() for name, metric in found.items()} for target, found in scores.items()}


def _plain_folds(folds: Folds) -> dict[str, Any]:
    each = [plain_scores(scores) for scores in folds.scores]
    return {"rows": folds.rows, "out_of_fold": plain_scores(folds.together), "each": each}


def _one_table(source: Source) -> pa.Table:
    """The rows of a source, all its parts one after another."""
    return pa.concat_tables(source.parts.values())
