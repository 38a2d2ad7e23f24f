"""Trains one run after another, each in a process of its own that signals reach at a moment asked for.

Starting Python and torch takes seconds, a fork milliseconds: this process imports everything once, computes nothing
(so that no pool of threads is lost in a fork), and forks a child for each request, a line of JSON on stdin:

    directory, resume, data, options   what is trained, as ``fathom.fit`` takes it
    signals     [[phase, entry, delay_s, number], ...]: each is sent ``delay_s`` after that entry into that phase,
                counted from the signal before; entry 0 is the moment of that signal itself
    dies        [phase, entry]: there the child kills itself, whatever the machine's speed
    faults      names of FAULTS, planted into the child

The answer, a line on stdout: status (as ``subprocess`` has it), phases (where the child was at its end, outermost
first), sent (how many signals), seconds, trace (what a child printed).
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PHASES = ("read", "plan", "step", "save", "evaluate", "finish", "linear", "model")
TIME_LIMIT_S = 120.0


def serve() -> None:
    preload(["fathom.api"])
    for line in sys.stdin:
        request = json.loads(line)
        answer = preload(request["modules"]) if "modules" in request else attempt(request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def preload(modules: list[str]) -> dict[str, Any]:
    for name in modules:
        importlib.import_module(name)
    return {}


def attempt(request: dict[str, Any]) -> dict[str, Any]:
    """Train in a child, signalled as asked. A child is reaped only when it will get no more signals."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+") as trace:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os.close(reading)
            run_child(request, writing, trace.fileno())
        os.close(writing)
        phases, sent = watch(child, reading, request.get("signals", []))
        os.close(reading)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        trace.seek(0)
        seconds = time.monotonic() - started
        return {"status": status, "phases": phases, "sent": sent, "seconds": seconds, "trace": trace.read()[-4000:]}


def watch(child: int, marks: int, signals: list[list[Any]]) -> tuple[list[str], int]:
    """Follow the child's marks and send the signals, until it is gone."""
    inside: list[str] = []
    waiting, entries, due, sent = list(signals), 0, None, 0
    deadline = time.monotonic() + TIME_LIMIT_S
    while True:
        now = time.monotonic()
        if due is not None and now >= due:
            os.kill(child, waiting.pop(0)[3])
            entries, sent = 0, sent + 1
            due = time.monotonic() + waiting[0][2] if waiting and waiting[0][1] == 0 else None
        if now > deadline:
            os.kill(child, signal.SIGKILL)
        readable, _, _ = select.select([marks], [], [], 1.0 if due is None else max(0.0, due - now))
        if not readable:
            continue
        received = os.read(marks, 1)
        if not received:
            return inside, sent
        code = received[0]
        if code >= len(PHASES):
            inside.remove(PHASES[code - len(PHASES)])
            continue
        inside.append(PHASES[code])
        if waiting and due is None and PHASES[code] == waiting[0][0]:
            entries += 1
            if entries == waiting[0][1]:
                due = time.monotonic() + waiting[0][2]


def run_child(request: dict[str, Any], marks: int, trace: int) -> None:
    """Train, and leave with the exit status that the command line would give."""
    os.dup2(trace, 1)
    os.dup2(trace, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    status = 70
    try:
        train(request, marks)
        status = 0
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:  # noqa: BLE001 - a child may not return into the server
        status = getattr(error, "exit_status", 70)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def train(request: dict[str, Any], marks: int) -> None:
    import fathom

    for name in request.get("faults", []):
        FAULTS[name]()
    mark_phases(marks, request.get("dies"))
    fathom.fit(
        request["data"], "y", out=request["directory"], resume=request.get("resume", False), **request["options"]
    )
    if "loaded" in request:
        ours = [name for name, module in sys.modules.items() if getattr(module, "__spec__", None) is not None]
        Path(request["loaded"]).write_text(json.dumps(ours))


def mark_phases(marks: int, dies: list[Any] | None) -> None:
    """Have the child say when it enters and leaves each phase, and kill itself where it is to die."""
    fit, engine, update, model = modules(
        "fathom.api.fitting", "fathom.training.engine", "fathom.training.update", "model"
    )
    places: list[tuple[Any, str, str]] = [
        (fit, "prepare", "read"),
        (engine.Trainer, "_planned", "plan"),
        (update.Update, "__call__", "step"),
        (engine, "write_checkpoint", "save"),
        (engine.Trainer, "_evaluate", "evaluate"),
        (fit, "linear_model", "linear"),
        (model.Model, "save", "model"),
    ]
    for owner, name, phase in places:
        fatal = dies[1] if dies and dies[0] == phase else 0
        setattr(owner, name, marked(getattr(owner, name), PHASES.index(phase), marks, fatal))
    tell = engine.Trainer._tell
    finish = marked(tell, PHASES.index("finish"), marks)
    engine.Trainer._tell = lambda self, what, *rest: (finish if what == "finished" else tell)(self, what, *rest)


def marked(function: Callable[..., Any], code: int, marks: int, fatal: int = 0) -> Callable[..., Any]:
    """Have calls of a function marked; its call of number ``fatal`` is the death of the process."""
    calls = itertools.count(1)

    def call(*arguments: Any, **named: Any) -> Any:
        os.write(marks, bytes([code]))
        if next(calls) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return function(*arguments, **named)
        finally:
            os.write(marks, bytes([code + len(PHASES)]))

    return call


def modules(*names: str) -> list[Any]:
    return [importlib.import_module(name if "." in name else f"fathom.{name}") for name in names]


# What may be planted into a child, so that each check is seen to fail, or that a signal finds its moment.


def dropout_by_process() -> None:
    """Dropout drawn from how many steps this process has made, not from the step."""
    (update,) = modules("fathom.training.update")
    calls = itertools.count()
    update.seed_from = lambda *parts: next(calls)


def checkpoint_in_place() -> None:
    """The checkpoint written over the old one, slowly, neither beside it nor renamed."""
    (checkpoint,) = modules("fathom.training.checkpoint")

    def write(path: Path, content: bytes) -> None:
        with open(path, "wb") as file:
            for start in range(0, len(content), 4096):
                file.write(content[start : start + 4096])
                file.flush()
                time.sleep(0.05)

    checkpoint.write_atomic = write


def checkpoint_left_beside() -> None:
    """Every checkpoint beside the last one, under a name of its own."""
    (checkpoint,) = modules("fathom.training.checkpoint")
    write = checkpoint.write_atomic
    numbers = itertools.count()

    def write_twice(path: Path, content: bytes) -> None:
        write(path, content)
        write(path.with_name(f"{next(numbers)}.safetensors"), content)

    checkpoint.write_atomic = write_twice


def optimizer_forgotten() -> None:
    (update,) = modules("fathom.training.update")
    update.Update.restore = lambda self, state: None


def order_forgotten() -> None:
    (store,) = modules("fathom.data.store")
    store.Batches.restore = lambda self, state: None


def log_kept() -> None:
    (log,) = modules("fathom.training.log")
    log.RunLog.rewind = lambda self, place: None


def best_weights_forgotten() -> None:
    after_resume(lambda trainer: setattr(trainer, "_best_weights", None))


def average_forgotten() -> None:
    after_resume(lambda trainer: trainer._average.forget())


def cooldown_forgotten() -> None:
    after_resume(lambda trainer: setattr(trainer._now, "cooldown", None))


def after_resume(change: Callable[[Any], None]) -> None:
    (engine,) = modules("fathom.training.engine")
    resume = engine.Trainer._resume

    def resume_and_change(self: Any, *arguments: Any) -> None:
        resume(self, *arguments)
        if self._task.directory is not None:
            change(self)

    engine.Trainer._resume = resume_and_change


def evaluation_hangs() -> None:
    (learning,) = modules("fathom.api.learning")
    learning._validate = lambda *arguments: time.sleep(10)


def finish_lingers() -> None:
    """The run takes its time between its last checkpoint and its end."""
    (engine,) = modules("fathom.training.engine")
    tell = engine.Trainer._tell

    def tell_slowly(self: Any, what: str, *rest: Any) -> None:
        tell(self, what, *rest)
        time.sleep(0.3 if what == "finished" else 0.0)

    engine.Trainer._tell = tell_slowly


FAULTS = {
    made.__name__: made
    for made in (
        dropout_by_process,
        checkpoint_in_place,
        checkpoint_left_beside,
        optimizer_forgotten,
        order_forgotten,
        log_kept,
        best_weights_forgotten,
        average_forgotten,
        cooldown_forgotten,
        evaluation_hangs,
        finish_lingers,
    )
}

if __name__ == "__main__":
    serve()
