"""The commands that write texts: ``fathom generate`` and ``fathom chat``."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fathom.cli import completion
from fathom.cli.printing import harmless
from fathom.errors import ConfigError, SourceError, first_line
from fathom.typeset import one_line, set_to_width

if TYPE_CHECKING:
    import pyarrow as pa

    from fathom.api.generating import Author, Manner
    from fathom.api.run import Run

__all__ = ["chat", "generate"]

Command = Callable[..., None]

BETWEEN_TEXTS = "---"
RESET = "/reset"
LINES_AT_ONCE = 256


def manner(command: Command) -> Command:
    """The options that say how texts are written."""
    for option in (
        click.option("--seed", type=int, default=0, metavar="N", help="Decides what is drawn."),
        click.option("--stop", multiple=True, metavar="TEXT", help="End before this text. *"),
        click.option("--beams", type=int, metavar="N", help="Follow N texts to find the likeliest."),
        click.option("--top-p", type=float, default=1.0, metavar="P", help="Draw from the likeliest of chance P."),
        click.option("--top-k", type=int, default=0, metavar="K", help="Draw from the K likeliest tokens."),
        click.option("--temperature", type=float, metavar="T", help="0 takes the likeliest token; 1 draws as learned."),
        click.option("--tokens", type=int, metavar="N", help="The most tokens of a text."),
    ):
        command = option(command)
    return command


@click.command(short_help="Write texts, or go on with one.")
@click.argument("run", shell_complete=completion.runs)
@click.option("--prompt", metavar="TEXT", help="The beginning of a text, or the text to answer.")
@click.option("--input", "source", metavar="FILE", help="A text for each line, or for each row of a table.")
@manner
@click.option("--number", type=click.IntRange(1), default=1, metavar="N", help="How many texts for the prompt.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def generate(
    run: str, prompt: str | None, source: str | None, number: int, *, as_json: bool, stop: tuple[str, ...], **said: Any
) -> None:
    """Write texts with the network of RUN, onto stdout as they come.

    A language model goes on from --prompt; a network that a text comes in for
    answers it. With --input each line of FILE, or each row of a table, becomes a
    line. Options marked * may be given several times.
    """
    from fathom.api import load
    from fathom.api.generating import Author, Manner

    how = Manner(stop=stop, **said)
    loaded = load(run)
    author = Author(loaded.model)
    if prompt is not None and source is not None:
        raise ConfigError("--prompt and --input exclude each other")
    if prompt is None and source is None and author.inputs:
        raise ConfigError(f"this network answers {', '.join(author.inputs)}: give --prompt TEXT or --input FILE")
    if source is not None:
        texts = _for_each(loaded, author, source, how)
        _print_all(run, texts) if as_json else _print_lines(texts)
    elif as_json:
        _print_all(run, author.written([prompt or ""] * number, how, say=_say))
    else:
        _stream(author, prompt or "", how, number)


@click.command(short_help="Talk with a network, turn by turn.")
@click.argument("run", shell_complete=completion.runs)
@manner
def chat(run: str, stop: tuple[str, ...], **said: Any) -> None:
    """Talk with the network of RUN: a line is a turn, to which it replies.

    It is told all turns so far, or the last that it can look at. /reset forgets
    them; Ctrl-D ends. In a pipe each line is answered by a line. Options marked *
    may be given several times.
    """
    from fathom.api import load
    from fathom.api.generating import BETWEEN_TURNS, Author, Manner

    author = Author(load(run).model)
    how = Manner(stop=stop if author.inputs else (*stop, BETWEEN_TURNS), **said)
    turns: list[str] = []
    for number, line in enumerate(_typed()):
        if line == RESET:
            turns = []
            continue
        turns.append(line)
        told = author.context(turns) + ("" if author.inputs else BETWEEN_TURNS)
        reply = ""
        for piece in author.stream(told, how, number=number):
            reply += piece
            click.echo(harmless(_in_a_line(piece)), nl=False)
        click.echo()
        turns.append(reply)


def _typed() -> Iterator[str]:
    """The lines of stdin that say something, asked for where a person sits there."""
    if sys.stdin is None:  # closed by who started this
        return
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # one bad byte must not end a talk
    asks = sys.stdin.isatty()
    while True:
        if asks:
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            if asks:
                click.echo(err=True)
            return
        if line.strip():
            yield line.strip()


def _stream(author: Author, prompt: str, how: Manner, number: int) -> None:
    """Write texts as they come, behind the beginning that a language model goes on from."""
    for place in range(number):
        if place:
            click.echo(BETWEEN_TEXTS)
        pieces = author.stream(prompt, how, number=place, say=None if place else _say)
        first = next(pieces, "")  # before the beginning is shown: it may be refused
        click.echo(harmless(first if author.inputs else prompt + first), nl=False)
        for piece in pieces:
            click.echo(harmless(piece), nl=False)
        click.echo()


def _for_each(run: Run, author: Author, source: str, how: Manner) -> Iterator[str]:
    """A text for each line of a file, or each row of a table, some of them after another."""
    first = 0
    for rows in _rows(run, author, source):
        count = len(rows) if isinstance(rows, list) else rows.num_rows
        numbers = range(first, first + count)
        lined = isinstance(rows, list)
        yield from author.written(rows, how, numbers=numbers) if lined else author.answered(rows, how, numbers=numbers)
        first += count


def _rows(run: Run, author: Author, source: str) -> Iterator[list[str] | pa.Table]:
    """Lines of a file that is no table, else the rows of the table."""
    from fathom.data.readers import READERS

    suffixes = [suffix for entry in READERS for suffix in entry.facts.get("suffixes", ()) if entry.name != "text"]
    place = Path(source)
    is_table = place.name.lower().endswith(tuple(suffixes))
    if author.inputs and (is_table or not place.is_file()):
        yield from run.read(source).parts.values()
        return
    if is_table:
        raise ConfigError(f"{source}: a language model goes on with the lines of a text; this is named like a table")
    try:
        with place.open(encoding="utf-8-sig") as lines:
            while some := [line.rstrip("\n") for line in islice(lines, LINES_AT_ONCE)]:
                yield some
    except UnicodeDecodeError as error:
        told = "its lines are read as UTF-8, which it is not; save it as UTF-8"
        raise SourceError(f"{source}: {told} ({first_line(error)})") from error
    except OSError as error:
        raise SourceError(f"{source}: it cannot be read line by line ({error.strerror})") from error


def _print_lines(texts: Iterable[str]) -> None:
    for text in texts:
        click.echo(harmless(_in_a_line(text)))


def _print_all(run: str, texts: Iterable[str]) -> None:
    answer = json.dumps({"run": run, "texts": list(texts)}, indent=2, ensure_ascii=False)
    click.echo(harmless(answer))


def _in_a_line(text: str) -> str:
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def _say(line: str) -> None:
    click.echo(set_to_width(harmless(one_line(line))), err=True)
