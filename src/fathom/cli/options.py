"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable

import click

__all__ = ["as_json", "columns", "reading"]

Command = Callable[..., None]


def as_json(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def reading(command: Command) -> Command:
    """The options that say how a source is to be read."""
    for option in (
        click.option(
            "--lines", is_flag=True, help="A .txt is a row a line, not one document; in a folder its name is the label."
        ),
        click.option("--text", multiple=True, metavar="COLUMN", help="Read it as text, as its cells stand. *"),
        click.option(
            "--missing", multiple=True, metavar="[COLUMN=]WORD", help="What a cell holds that is not known. *"
        ),
        click.option("--decimal", metavar="MARK", help="What begins a number's decimals: . or ,"),
        click.option("--skip-rows", type=int, metavar="N", help="Lines of a CSV above its header."),
        click.option("--header/--no-header", default=None, help="Whether a CSV's first row names the columns."),
        click.option("--columns", metavar="A,B,C", help="Name the columns of a CSV without a header."),
    ):
        command = option(command)
    return command


def columns(command: Command) -> Command:
    """The options that say what columns are and what they are for."""
    for option in (
        click.option("--time", metavar="COLUMN", help="Learn from earlier rows, score on later ones."),
        click.option(
            "--group",
            metavar="COLUMN",
            help="Rows of one group are never split up; 'file~PATTERN' groups by file names.",
        ),
        click.option("--weight", metavar="COLUMN", help="How much each row counts."),
        click.option("--role", multiple=True, metavar="COLUMN=ROLE", help="What a column is for, as in id=ignore. *"),
        click.option("--kind", multiple=True, metavar="COLUMN=KIND", help="What a column is; see fathom list kinds. *"),
    ):
        command = option(command)
    return command
