"""The command line: parses, calls, prints. ``main`` turns whatever happens into an exit status."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import NoReturn

import click

from fathom.cli.printing import harmless
from fathom.errors import FathomError, InputError, Interrupted

__all__ = ["main"]

OUR_OWN_BUG = FathomError.exit_status
SIGNALLED = 128  # as the shell has it for a program that a signal ended, and the signal's number
BROKEN_PIPE = SIGNALLED + 13
AS_JSON = "--json"
# What the machine refuses: no mistake of ours, and no traceback helps.
REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command, and exit.

    Args:
        arguments: those after the program's name; None takes the process's own.

    Raises:
        SystemExit: always. 0 success; 2 a mistake in the input; 3 training diverged; 130 and 143 interrupted; 141 the
            reader of a pipe went away; 70 a mistake of fathom's own, whose traceback is in a file.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign must not end the run
    sys.exit(_status(sys.argv[1:] if arguments is None else arguments))


def _status(arguments: Sequence[str]) -> int:
    """Run one command; what went wrong is one line on stderr, with ``--json`` an object on stdout, and a status."""
    complain = partial(_complain, arguments)
    listens = threading.current_thread() is threading.main_thread()  # no other thread may set a handler
    before = signal.signal(signal.SIGTERM, _terminate) if listens else None
    try:
        return _run(arguments)
    except BrokenPipeError:
        return _close_quietly()
    except KeyboardInterrupt:
        return complain("stopped", SIGNALLED + signal.SIGINT)
    except Interrupted as stop:
        return complain(str(stop), stop.exit_status)
    except FathomError as error:
        return complain(str(error), error.exit_status)
    except click.ClickException as error:
        return complain(_usage_message(error), InputError.exit_status)
    except Exception as error:  # noqa: BLE001 - the outermost place, where anything must become a status
        if isinstance(error, OSError) and error.errno in REFUSED:
            return complain(f"{error.filename or 'output'}: {error.strerror}", InputError.exit_status)
        return complain(_own_bug_message(error), OUR_OWN_BUG)
    finally:
        if listens:
            signal.signal(signal.SIGTERM, before)


def _run(arguments: Sequence[str]) -> int:
    from fathom.cli import completion
    from fathom.cli.commands import fathom
    from fathom.progress import shown

    answered = completion.answer(fathom)
    if answered is not None:
        return answered
    status = 0
    try:
        with shown(), fathom.make_context("fathom", list(arguments) or ["--help"]) as context:
            fathom.invoke(context)
    except click.exceptions.Exit as asked:  # --help and --version end so
        status = asked.exit_code
    if sys.stdout is not None:  # closed by who started this
        sys.stdout.flush()
    return status


def _answers_in_json(arguments: Sequence[str]) -> bool:
    """Whether a command that prints an object was asked for it, though its other arguments may be mistaken."""
    from fathom.cli.commands import fathom

    command = fathom.commands.get(arguments[0]) if arguments else None
    options = {spelled for option in command.params for spelled in option.opts} if command is not None else ()
    said = list(arguments)
    return AS_JSON in options and AS_JSON in said[: said.index("--") if "--" in said else None]


def _complain(arguments: Sequence[str], message: str, status: int) -> int:
    """One line on stderr, whatever the message holds; an object on stdout where one was asked for."""
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    stopped = status > SIGNALLED
    click.echo(harmless(f"fathom: {line}" if stopped else f"fathom: error: {line}"), err=True)
    if not _answers_in_json(arguments):
        return status
    import json

    try:
        click.echo(harmless(json.dumps({"error": line, "status": status}, ensure_ascii=False)))
    except BrokenPipeError:
        _close_quietly()
    return status


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return message if context is None else f"{message} (see {context.command_path} --help)"


def _own_bug_message(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="fathom-", suffix=".txt", delete=False, encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return (
        f"a mistake in fathom, not in your input: {type(error).__name__}: {error} (please report it with {file.name})"
    )


def _close_quietly() -> int:
    """Leave Python nothing to say about a pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number, "stopped")
