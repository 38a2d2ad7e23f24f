"""``fathom pretrain``: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fathom.cli import completion, options
from fathom.cli.printing import printed, say

__all__ = ["pretrain"]

NOT_ASKED = ("target", "ensemble", "folds", "augment")


@click.command(short_help="Learn a language from texts, to start others from.")
@click.argument("data", shell_complete=completion.data)
@click.option("--column", metavar="COLUMN", help="The column of texts, where there are several.")
@click.option("--budget", metavar="BUDGET", help="2m, 20epochs or 5000steps; else until it stops improving.")
@click.option("--net", metavar="NAME", help="bert, transformer, gpt, lstm, ...", shell_complete=completion.names("net"))
@click.option("--head", metavar="NAME", help="masked or generate; else as the net is for.")
@click.option(
    "--from", "start", metavar="RUN", help="A run whose weights to start from.", shell_complete=completion.runs
)
@click.option("--log", multiple=True, metavar="NAME", help="A tracker; see fathom list trackers. *")
@click.option("--set", multiple=True, metavar="KEY=VALUE", help="An option, as in net.depth=4. *")
@options.columns
@click.option("--seed", type=int, metavar="N", help="Decides all that is random.")
@options.reading
@click.option("--config", metavar="FILE.toml", help="Options in a file; the command line goes before it.")
@click.option("--out", metavar="DIR", help="The run's directory, else runs/<data>-pretrained.")
@click.option("--resume", is_flag=True, help="Continue a run that was stopped.")
@click.option("--overwrite", is_flag=True, help="Delete the run that is there.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@click.option("--private", is_flag=True, help="Keep texts out of report.html.")
@options.as_json
def pretrain(
    data: str, column: str | None, out: str | None, *, resume: bool, overwrite: bool, as_json: bool, **said: Any
) -> None:
    """Learn a language from DATA, a .txt or a table with a column of texts.

    A net that reads both ways (bert, transformer) learns to tell hidden words from
    those around them, any other (gpt, lstm) each word from those before it.
    fathom fit DATA --from RUN starts from what was learned.
    Options marked * may be given several times.
    """
    from fathom.api import pretrain as pretrain_network
    from fathom.cli import text
    from fathom.cli.settings import config_from
    from fathom.config import Config
    from fathom.data import read

    report: bool | str = False if said["no_report"] else "private" if said["private"] else True
    config = config_from({**dict.fromkeys(NOT_ASKED), **said})
    source = read(data, **Config.of(config).reading)  # mistakes are told before any data is read
    kept: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "report": report, "say": say}
    place = out or f"runs/{Path(source.name).stem or 'texts'}-pretrained"
    run = pretrain_network(source, column=column, out=place, **kept, **config)
    printed(run.summary() if as_json else text.fitted(run))
