"""The report of a run: gathered from its directory and, where they are at hand, its rows, and written there."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.api.comparing import rows_again
from fathom.api.directory import CONFIG, COST, FOLDS, MODEL, REPORT
from fathom.api.rows import Rows, rows_fingerprint
from fathom.api.run import Run, load, plain_scores
from fathom.errors import ConfigError, InputError, ModelError
from fathom.heads import METRICS
from fathom.manifest import MANIFEST, WEIGHTS
from fathom.model import SKILL
from fathom.report.cost import Cost
from fathom.report.flow import Flow, flow_of
from fathom.report.page import Repeat, Told, written
from fathom.runtime import available_threads, default_device, threads, write_atomic
from fathom.training.diagnostics import read_depths
from fathom.training.symptoms import symptoms
from fathom.trust.evaluation import evaluated
from fathom.trust.filters import first_filters, strongest_patches
from fathom.trust.texts import texts_of

__all__ = ["keep_cost", "keep_report", "scored_rows", "write_report"]

MOST_TARGETS = 4  # in the name of a page
LOG, TIMES, PLAN = "log.jsonl", "times.jsonl", "plan.json"
Record = Mapping[str, Any]


def write_report(run: str | Path, out: str | Path | None = None, *, private: bool = False) -> Path:
    """Write the report of a run that was trained before.

    Its data is read again where it was, if it is still what the run learned from; else the page leaves out what needs
    rows, and says so.

    Args:
        run: a directory that ``fit`` wrote.
        out: where the page goes; None takes ``report.html`` in that directory.
        private: keep rows and pictures out.

    Returns:
        The place of the page.

    Raises:
        ModelError: it is no run's directory, or a file in it is missing or altered.
        ConfigError: there is no directory for the page.
    """
    if out is not None and not Path(out).parent.is_dir():
        raise ConfigError(f"--out {str(out)!r}: there is no directory {Path(out).parent}")
    loaded = load(run)
    if loaded.directory is None:
        raise ModelError(f"{run} is a model alone; a report tells of a run's whole directory")
    place = loaded.directory / REPORT if out is None else Path(out)
    rows = _rows_of(_recorded(loaded.directory))
    _write(loaded, loaded.directory, rows, place, private=private)
    return place


def keep_report(run: Run, directory: Path, rows: Rows, *, private: bool = False) -> None:
    """Write the report of a run into its directory.

    Args:
        run: is finished.
        directory: holds all of it.
        rows: those that it learned from and was scored on.
        private: keep rows and pictures out.
    """
    _write(run, directory, rows, directory / REPORT, private=private)


def keep_cost(directory: Path, cost: Cost, *, resumed: bool) -> None:
    """Write ``cost.json``; a finished run that was taken up once more keeps what it had.

    Args:
        directory: of the run.
        cost: of this session.
        resumed: whether there was an earlier one.
    """
    place = directory / COST
    if place.exists():
        return
    times = _lines(directory / TIMES)
    device = default_device()
    plain = {
        **asdict(cost),
        "training_seconds": times[-1]["elapsed_s"] if times else None,
        "device": _device_words(),
        "threads": _setting(directory).get("threads") if device.type == "cpu" else None,
        "resumed": resumed,
    }
    write_atomic(place, (json.dumps(plain, indent=1) + "\n").encode())


def _write(run: Run, directory: Path, rows: Rows | None, place: Path, *, private: bool) -> None:
    # As many threads as training found best: where others work on the machine, more wait for one another.
    with threads(_setting(directory).get("threads", available_threads())):
        told = _told(run, directory, rows, private=private)
    write_atomic(place, written(told).encode())


def scored_rows(run: Run, rows: Rows | None, record: Record) -> pa.Table | None:
    """The rows that the final score is of; None where they are not at hand, or where the folds alone were scored."""
    if rows is None or rows.test is not None:
        return None if rows is None else rows.test
    return rows.valid if run.folds is None and record.get("test") else None


def _told(run: Run, directory: Path, rows: Rows | None, *, private: bool) -> Told:
    """All that the page tells."""
    record, flow = _recorded(directory), flow_of(run.model)
    scored = scored_rows(run, rows, record)
    count = scored.num_rows if scored is not None else run.folds.rows if run.folds is not None else run.rows
    monitor = str(record.get("monitor", SKILL))
    depths, filters = read_depths(directory), first_filters(run.model)
    return Told(
        name=_name(record, run.model.targets),
        asked=_asked(record, flow),
        rows={} if rows is None else _counts(rows, record),
        columns=run.model.schema.rows(),
        findings=None if rows is None else rows.findings,
        flow=flow,
        logs=_logs(directory),
        watched=(monitor, monitor == SKILL or bool(METRICS.get(monitor).facts["higher"])),
        scores=plain_scores(run.metrics),
        scored=count,
        folds=_plain_folds(run),
        evaluation=_evaluation(run, scored, record, rows, private=private),
        depths=depths,
        symptoms=[symptom.words for symptom in symptoms(depths)],
        filters=filters,
        patches=strongest_patches(run.model, scored) if filters and scored is not None and not private else (),
        texts=None if scored is None else texts_of(run.model, scored, private=private),
        cost=_read_json(directory / COST),
        repeat=_repeat(directory, record),
        private=private,
    )


def _evaluation(
    run: Run, scored: pa.Table | None, record: Record, rows: Rows | None, *, private: bool
) -> Record | None:
    if scored is None or rows is None or not scored.num_rows:
        return None
    numbers = rows.numbers.get("valid" if rows.test is None else "test")
    seed = int(record.get("seed", 0))
    return evaluated(
        run.model, scored, linear=run.linear, seed=seed, private=private, numbers=numbers, answers=run.answers
    ).plain()


def _recorded(directory: Path) -> Record:
    """A run's ``config.toml``.

    Raises:
        ModelError: it is missing, or no TOML.
    """
    try:
        return {"source": {}, **tomllib.loads((directory / CONFIG).read_text())}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{directory / CONFIG} cannot be read: {error}") from error


def _rows_of(record: Record) -> Rows | None:
    """The rows of a run, read again; None where they are gone or changed."""
    try:
        rows = rows_again(record)
    except InputError:
        return None
    about = record["source"]
    if rows.test is not None and "scored" in about:
        return rows if rows_fingerprint(rows.test) == about["scored"] else None
    return rows if rows.source.fingerprint == about.get("fingerprint") else None


def _name(record: Record, targets: Sequence[str]) -> str:
    others = f" and {len(targets) - MOST_TARGETS} more" if len(targets) > MOST_TARGETS else ""
    return f"{record['source'].get('name', 'run')} → {', '.join(targets[:MOST_TARGETS]) or 'itself'}{others}"


def _asked(record: Record, flow: Flow) -> list[tuple[str, str]]:
    about, targets = record["source"], [str(name) for name in record["target"]]
    nets = dict.fromkeys(stage.name for branch in flow.branches for stage in branch.stages)
    nets |= {} if flow.body is None else {flow.body.name: None}
    said = {
        "data": about.get("place") or about.get("name", ""),
        "test data": about.get("test_place", ""),
        "target": "none: it rebuilds its inputs" if targets == ["none"] else ", ".join(targets),
        "budget": record.get("budget", "until validation stops improving"),
        "nets": ", ".join(nets),
        "heads": ", ".join(dict.fromkeys(stage.name for stage in flow.heads)),
        "members": f"{flow.members} networks whose answers are averaged" if flow.members > 1 else "",
        "folds": f"{record['folds']}, each held out once" if record.get("folds") else "",
        "roles": ", ".join(f"{name}: {role}" for name, role in record.get("roles", {}).items() if role != "input"),
    }
    return [(name, str(value)) for name, value in said.items() if value]


def _counts(rows: Rows, record: Record) -> dict[str, int]:
    """How many rows each part holds, by what it is for."""
    learned = rows.train.num_rows
    tables = {"to choose by": rows.valid, "for the final score": rows.test}
    first = f"in {record['folds']} folds, to learn from and to choose by" if record.get("folds") else "to learn from"
    return {first: learned} | {words: table.num_rows for words, table in tables.items() if table is not None}


def _logs(directory: Path) -> list[list[dict[str, Any]]]:
    """The log of the training, or of each fold that was trained by itself."""
    own = _lines(directory / LOG)
    places = sorted((directory / FOLDS).glob(f"*/{LOG}"), key=lambda path: (len(path.parent.name), path))
    logs = [own] if own else [_lines(place) for place in places]
    return [log for log in logs if log]


def _plain_folds(run: Run) -> dict[str, Any] | None:
    if run.folds is None:
        return None
    targets: dict[str, dict[str, Any]] = {}
    for target, metrics in plain_scores(run.folds.together).items():
        spreads = {name: run.folds.spread(target, name) for name in metrics}
        targets[target] = {
            name: {"mean": spreads[name][0], "deviation": spreads[name][1], **metric}
            for name, metric in metrics.items()
        }
    return {"count": len(run.folds.scores), "rows": run.folds.rows, "targets": targets}


def _repeat(directory: Path, record: Record) -> Repeat:
    about, again = record["source"], f"{directory}-again"
    source = about.get("place") or about.get("name", "DATA")
    test = ["--test", about["test_place"]] if about.get("test_place") else []
    plans = [name for name in (CONFIG, PLAN) if (directory / name).exists()]
    copied = shlex.join(["mkdir", again]) + " && " + shlex.join(["cp", *(str(directory / p) for p in plans), again])
    fit = ["fathom", "fit", source, *test, "--config", str(directory / CONFIG), "--out", again]
    commands = [
        (shlex.join(fit), "The same options on the same data; what depends on time is measured anew:"),
    ]
    if PLAN in plans:
        commands.append(
            (f"{copied}\n{shlex.join([*fit, '--resume'])}", "With the same plan too, which decides every step:")
        )
    manifest = _read_json(directory / MODEL / MANIFEST) or {}
    return Repeat(
        commands,
        (directory / CONFIG).read_text(),
        record.get("versions", {}),
        about.get("fingerprint", "unknown"),
        int(record.get("seed", 0)),
        manifest.get("sha256", {}).get(WEIGHTS, "unknown"),
    )


def _setting(directory: Path) -> Record:
    """What the plan decided, of the run or of its first fold."""
    plan = _read_json(directory / PLAN) or _read_json(directory / FOLDS / "0" / PLAN) or {}
    setting: Record = plan.get("setting", {})
    return setting


def _device_words() -> str:
    """The accelerator's or the processor's name."""
    import platform

    import torch

    device = default_device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _read_json(place: Path) -> dict[str, Any] | None:
    if not place.is_file():
        return None
    found = json.loads(place.read_text())
    return found if isinstance(found, dict) else None


def _lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text().splitlines()] if place.is_file() else []
