"""pretrain: fit, on texts alone, so that other runs may start from what was learned of the language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.api.examining import Say
from fathom.api.fitting import fit
from fathom.api.run import Run
from fathom.config import Config
from fathom.data import Source, read
from fathom.data.columns import holds_text
from fathom.errors import ConfigError, SchemaError, listed, unknown_name
from fathom.kinds import KINDS
from fathom.nets import DECODERS
from fathom.registry import Choice
from fathom.signals import Role

__all__ = ["pretrain", "pretraining_of"]

TEXT, NO_TARGET = "text", "none"
MASKED, GENERATE = "masked", "generate"
READS_BOTH_WAYS = "transformer"  # as the net of texts that come in, where a decoder has the same name


def pretrain(
    source: Any,
    *,
    column: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    say: Say | None = None,
    report: bool | str = True,
    **config: Any,
) -> Run:
    """Learn a language from texts: to tell hidden words from those around them, or each word from those before it.

    Args:
        source: texts, as ``fit`` takes data: a .txt, of which each line is one with ``reading={"lines": True}``, or a
            table with a column of texts.
        column: of texts; where there is one, it need not be named.
        out: the run's directory; None keeps nothing on disk. ``fit(..., start=out)`` starts from it.
        resume: continue a run that was stopped.
        overwrite: delete what ``out`` holds first.
        say: called with each line that tells a person what was found and decided.
        report: whether ``out`` gets a page; "private" keeps texts out of it.
        config: as ``fit`` takes it; ``net`` is by default a transformer that reads both ways, and ``head`` is "masked",
            which hides words, or "generate", which tells each from those before it: a decoder's is that.

    Raises:
        InputError: what was handed in cannot be used; says what, where, what was allowed.
        Diverged: training produced NaN, infinity or an explosion.
        Interrupted: a signal stopped the run; a checkpoint is kept.
    """
    found = read(source, **Config.of(config).reading)
    asked = pretraining_of(found, column, config)
    return fit(found, out=out, resume=resume, overwrite=overwrite, say=say, report=report, **asked)


def pretraining_of(source: Source, column: str | None, config: dict[str, Any]) -> dict[str, Any]:
    """What ``fit`` is asked to do, to learn the language of a source.

    Args:
        source: what was read.
        column: of texts, where it was named.
        config: what else was asked.

    Raises:
        ConfigError: a target was named, or a head that learns no language.
        SchemaError: there is no such column, or none or several of texts.
    """
    if config.get("target"):
        raise ConfigError("pretrain asks for no target; it learns from a column of texts (column = ...)")
    table = source.parts["train"]
    name = _text_column(table) if column is None else column
    if name not in table.column_names:
        raise SchemaError(unknown_name("column", name, table.column_names))
    roles = {other: str(Role.IGNORE) for other in table.column_names if other != name}
    kinds = {name: TEXT, **config.get("kinds", {})}
    asked = {"baseline": False, **config, "roles": {**roles, **config.get("roles", {})}, "kinds": kinds}
    if _head(asked).name == GENERATE:  # which a text that is asked for has anyway
        return {key: value for key, value in asked.items() if key != "head"} | {"target": name}
    return {**asked, "target": NO_TARGET, "head": _head(asked)}


def _head(asked: dict[str, Any]) -> Choice:
    """The head that was named, else the one that the net is for."""
    net = asked.get("net")
    named = None if net is None else Choice.of({"name": READS_BOTH_WAYS, **net} if isinstance(net, dict) else net).name
    only_tells = named in DECODERS.names() and named != READS_BOTH_WAYS
    head = Choice.of(asked.get("head") or (GENERATE if only_tells else MASKED))
    if head.name not in (MASKED, GENERATE):
        raise ConfigError(unknown_name("head that learns a language", head.name, (MASKED, GENERATE)))
    return head


def _text_column(table: pa.Table) -> str:
    """The one column of texts.

    Raises:
        SchemaError: there is none, or several.
    """
    words = [field.name for field in table.schema if holds_text(field.type)]
    claims = [name for name in words if KINDS.get(TEXT).factory.claim(table[name], target=False) is not None]
    found = words if len(words) == 1 else claims
    if len(found) != 1:
        told = f"columns {listed(found)} hold texts" if found else "no column holds texts"
        raise SchemaError(f"{told}; name the one to learn from (column = one of: {listed(table.column_names, 20)})")
    return found[0]
