"""The commands: each parses its arguments, calls what does the work, and prints what that returns."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from fathom import __version__
from fathom.cli import completion, generation, options
from fathom.cli.pretraining import pretrain
from fathom.cli.printing import printed as _print
from fathom.cli.printing import say as _say
from fathom.errors import InputError, unknown_name

__all__ = ["fathom"]

LONGEST_NAME = 80
NETS, HEADS = completion.names("net"), completion.names("head")


class _Commands(click.Group):
    """Commands in the order in which they are used; an unknown one is told what is near."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(unknown_name("command", args[0], self.commands))
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="""\b
First steps:
  fathom demo                             a network in under a minute
  fathom fit iris                         on a small set that needs no file
  fathom check my.csv --target COLUMN     what is wrong with your own data
  fathom fit my.csv --target COLUMN       a network on it
  fathom predict runs/my-COLUMN new.csv   use it""",
)
@click.version_option(__version__, prog_name="fathom", message="%(prog)s %(version)s")
def fathom() -> None:
    """From your data to a neural network that you can trust and ship."""


@fathom.command(short_help="Train a network on data.")
@click.argument("data", shell_complete=completion.data)
@click.option("--target", multiple=True, metavar="COLUMN", help="Column to predict; 'none' rebuilds the inputs. *")
@click.option("--test", metavar="DATA", help="Rows for the final score, instead of some held out.")
@click.option("--budget", metavar="BUDGET", help="2m, 20epochs or 5000steps; else until it stops improving.")
@click.option("--net", metavar="NAME", help="A network; see fathom list nets.", shell_complete=NETS)
@click.option("--head", metavar="NAME", help="A head; see fathom list heads.", shell_complete=HEADS)
@click.option(
    "--from", "start", metavar="RUN", help="A run whose weights to start from.", shell_complete=completion.runs
)
@click.option("--ensemble", type=int, metavar="N", help="Train N networks together and average their answers.")
@click.option("--folds", type=int, metavar="K", help="Cross-validate: K networks, one for each fold; 0 for none.")
@click.option(
    "--augment",
    metavar="A,B,C",
    help="auto, none, or names; see fathom list augmentations.",
    shell_complete=completion.names("augmentation"),
)
@click.option(
    "--log",
    multiple=True,
    metavar="NAME",
    help="A tracker; see fathom list trackers. *",
    shell_complete=completion.names("tracker"),
)
@click.option("--set", multiple=True, metavar="KEY=VALUE", help="An option, as in net.dropout=0.2. *")
@options.columns
@click.option("--seed", type=int, metavar="N", help="Decides all that is random.")
@options.reading
@click.option("--config", metavar="FILE.toml", help="Options in a file; the command line goes before it.")
@click.option("--out", metavar="DIR", help="The run's directory, else runs/<data>-<target>.")
@click.option("--resume", is_flag=True, help="Continue a run that was stopped.")
@click.option("--overwrite", is_flag=True, help="Delete the run that is there.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@click.option("--private", is_flag=True, help="Keep rows and pictures out of report.html.")
@options.as_json
def fit(
    data: str, test: str | None, out: str | None, *, resume: bool, overwrite: bool, as_json: bool, **said: Any
) -> None:
    """Train a network on DATA: a file, a folder, or the name of a public data set
    (iris, digits, adult, fashion-mnist, ...; see fathom list sets).

    What each column is, which network fits and how long to train are found out
    and shown. Options marked * may be given several times.
    """
    from fathom.api import fit as fit_network
    from fathom.api.directory import check_directory
    from fathom.cli import text
    from fathom.cli.settings import config_from
    from fathom.config import Config
    from fathom.data import read

    report: bool | str = False if said["no_report"] else "private" if said["private"] else True
    config = config_from(said)
    asked = Config.of(config)  # mistakes are told before any data is read
    if out is not None:
        check_directory(Path(out), resume=resume, overwrite=overwrite)
    source = read(data, **asked.reading)
    place = out or _default_place(source.name, asked.target or source.target)
    share = config.pop("test", None)  # of rows to hold out, where no test data is given
    held_out = share if test is None else test
    kept: dict[str, Any] = {"out": place, "resume": resume, "overwrite": overwrite, "report": report, "say": _say}
    run = fit_network(source, test=held_out, **kept, **config)
    _print(run.summary() if as_json else text.fitted(run))


fathom.add_command(pretrain)


@fathom.command(short_help="Try many nets and options, and keep the best.")
@click.argument("data", shell_complete=completion.data)
@click.option("--target", multiple=True, metavar="COLUMN", help="Column to predict; 'none' rebuilds the inputs. *")
@click.option("--test", metavar="DATA", help="Rows for the final score, instead of some held out.")
@click.option("--trials", type=int, metavar="N", help="How many in all; 50, or as many as the budget has time for.")
@click.option("--budget", metavar="TIME", help="How long all of it may take, as in 90s, 10m or 2h.")
@click.option("--trial-budget", metavar="BUDGET", help="How long each trial trains; as fit's --budget.")
@click.option("--space", multiple=True, metavar="A,B,C", help="What to vary, as in net.hidden,optimizer.lr. *")
@click.option("--workers", type=int, metavar="N", help="Processes that run trials at once; one unless said.")
@click.option("--storage", metavar="URL", help="A database that several machines share.")
@click.option("--study", metavar="NAME", help="The study's name in it.")
@click.option("--net", metavar="NAME", help="A network; else those that fit are tried.", shell_complete=NETS)
@click.option("--head", metavar="NAME", help="A head; see fathom list heads.", shell_complete=HEADS)
@click.option("--set", multiple=True, metavar="KEY=VALUE", help="An option that stays as it is said. *")
@options.columns
@click.option("--seed", type=int, metavar="N", help="Decides all that is random.")
@options.reading
@click.option("--config", metavar="FILE.toml", help="Options in a file; the command line goes before it.")
@click.option("--out", metavar="DIR", help="The study's directory, else runs/<data>-<target>-tune.")
@click.option("--resume", is_flag=True, help="Continue a study that was stopped, or add trials to it.")
@click.option("--overwrite", is_flag=True, help="Delete the study that is there.")
@options.as_json
def tune(
    data: str, test: str | None, out: str | None, *, resume: bool, overwrite: bool, as_json: bool, **said: Any
) -> None:
    """Train many networks on DATA, each with other options, on the same rows.

    The first is trained with the defaults. The best by the rows to choose by is
    kept as an ordinary run, in best/ below the study's directory, and scored on
    rows that no trial saw. Options marked * may be given several times.
    """
    from fathom.api import tune as tune_network
    from fathom.cli import tuning
    from fathom.config import Config
    from fathom.data import read

    config, study = tuning.asked_from(said)
    asked = Config.of(config)  # mistakes are told before any data is read
    source = read(data, **asked.reading)
    place = out or f"{_default_place(source.name, asked.target or source.target)}-tune"
    share = config.pop("test", None)
    held_out = share if test is None else test
    kept: dict[str, Any] = {"out": place, "resume": resume, "overwrite": overwrite, "say": _say}
    found = tune_network(source, test=held_out, **kept, **study, **config)
    _print(found.summary() if as_json else tuning.tuned(found))


@fathom.command(short_help="Look for what is wrong with data.")
@click.argument("data", shell_complete=completion.data)
@click.option("--target", multiple=True, metavar="COLUMN", help="Column to predict; 'none' for no target. *")
@click.option("--test", metavar="DATA", help="Rows on which the network would be scored.")
@click.option("--set", multiple=True, metavar="KEY=VALUE", help="An option, as in checks.labels=false. *")
@options.columns
@options.reading
@click.option("--config", metavar="FILE.toml", help="Options in a file; the command line goes before it.")
@options.as_json
def check(data: str, test: str | None, *, as_json: bool, **said: Any) -> None:
    """Look for what would mislead a network trained on DATA, or its scores.

    Columns that give the target away, labels that look wrong, copies of rows,
    numbers that stand for unknown, damaged pictures, ... (see fathom list checks),
    each with what settles it. Nothing is trained. Options marked * may be given
    several times.
    """
    from fathom.api import check as check_data
    from fathom.cli import checking
    from fathom.cli.settings import config_from

    unsaid = dict.fromkeys(("budget", "seed", "net", "head", "augment"))
    config = config_from({**unsaid, **said})
    config.pop("test", None)  # a share of rows to hold out, of which nothing is found
    report = check_data(data, test=test, **config)
    _print(report.plain() if as_json else checking.reported(report))
    if not report.trainable:
        raise click.exceptions.Exit(InputError.exit_status)


@fathom.command(short_help="Predict the target of new rows.")
@click.argument("run", shell_complete=completion.runs)
@click.argument("data", shell_complete=completion.data)
@click.option("--out", metavar="FILE", help="A .csv, .parquet or .jsonl; else CSV on stdout.")
@options.reading
@options.as_json
def predict(run: str, data: str, out: str | None, *, as_json: bool, **said: Any) -> None:
    """Predict each row of DATA with the network of RUN, a directory that fit wrote.

    Each row's number (from 0) stands first, then the prediction and, beside it,
    its probabilities or quantiles. Of a text such as new.de each line is a row.
    """
    from fathom.api import load
    from fathom.cli import rows
    from fathom.cli.settings import reading_from

    started = time.perf_counter()
    write = None if out is None else rows.writer_for(Path(out))
    trained = load(run)
    source = trained.read(rows.asked_of(trained, data), **reading_from(said))
    for note in source.notes:
        _say(f"note: {note}")
    pieces = rows.numbered(trained.predictions(source))
    # Rows on the way to a screen or into an object are answered all before the first is shown.
    tables = None if write is not None else list(pieces)
    count = write(pieces) if write is not None else sum(table.num_rows for table in tables or ())
    if out is not None:
        _say(f"{count:,} predictions are in {out}")
    if as_json:
        shown = {"out": out} if tables is None else {"predictions": [row for t in tables for row in rows.plain(t)]}
        _print({"run": run, "rows": count, **shown, "seconds": round(time.perf_counter() - started, 3)})
    elif tables is not None:
        rows.write_csv(tables, sys.stdout.buffer)


fathom.add_command(generation.generate)
fathom.add_command(generation.chat)


@fathom.command(short_help="Score a network on rows that have the target.")
@click.argument("run", shell_complete=completion.runs)
@click.argument("data", shell_complete=completion.data)
@click.option("--private", is_flag=True, help="Show no row of the data.")
@options.reading
@options.as_json
def evaluate(run: str, data: str, *, private: bool, as_json: bool, **said: Any) -> None:
    """Score the network of RUN on the rows of DATA, which must have the target, and
    show where and by what it is wrong."""
    from fathom.api import load, plain_scores
    from fathom.cli import evaluation, text
    from fathom.cli.settings import reading_from

    started = time.perf_counter()
    trained = load(run)
    source = trained.read(data, **reading_from(said))
    for note in source.notes:
        _say(f"note: {note}")
    if source.fingerprint == text.fingerprint_of(trained):
        _say("note: the network was trained on most of these rows, so the scores flatter it")
    found = trained.evaluation(source, private=private)
    seconds = round(time.perf_counter() - started, 3)
    answer = {"run": run, "rows": found.rows, "metrics": plain_scores(found.scores), "evaluation": found.plain()}
    shown = [text.scored(found.scores, f"on {found.rows:,} rows"), *evaluation.parts(found)]
    _print({**answer, "seconds": seconds} if as_json else "\n\n".join(shown))


@fathom.command(short_help="Test which of several networks is better.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN... [DATA]", shell_complete=completion.runs)
@options.reading
@options.as_json
def compare(runs: tuple[str, ...], *, as_json: bool, **said: Any) -> None:
    """Compare several RUNs on the same rows: the test rows that they have in
    common, or those of DATA, and say which differences are more than noise."""
    from fathom.api.comparing import compare as compare_runs
    from fathom.cli import comparison
    from fathom.cli.settings import reading_from

    started = time.perf_counter()
    directories, data = comparison.runs_and_data(runs)
    found = compare_runs(directories, data, **reading_from(said))
    seconds = round(time.perf_counter() - started, 3)
    _print({**found.plain(), "seconds": seconds} if as_json else comparison.told(found))


@fathom.command("list", short_help="List the nets, kinds, checks, data sets, ...")
@click.argument("what", required=False, shell_complete=completion.sorts)
@options.as_json
def list_(what: str | None, *, as_json: bool) -> None:
    """List what can be chosen by name: all of it, or one sort, such as nets, kinds,
    readers, checks or sets."""
    from fathom.cli import catalogue

    found = catalogue.sorts(what)
    _print(catalogue.plain(found) if as_json else catalogue.listed(found))


@fathom.command(short_help="Show the options of one of them.")
@click.argument("what", shell_complete=completion.sorts)
@click.argument("name", required=False, shell_complete=completion.one_of_sort)
@options.as_json
def show(what: str, name: str | None, *, as_json: bool) -> None:
    """Show one thing's options, as in fathom show net mlp or show reader csv.

    fathom show training shows the options of training itself.
    """
    from fathom.cli import catalogue

    found = catalogue.described(what, name)
    _print(found.plain() if as_json else found.text())


@fathom.command(short_help="Show what a trained network is made of.")
@click.argument("run", shell_complete=completion.runs)
@click.option("--row", type=int, metavar="N", help="Walk row N, from 0, through the network and back.")
@click.option("--rate", type=float, metavar="R", help="Learning rate of the plain step that --row shows.")
@click.option("--filters", metavar="FILE.png", help="Paint the filters of the first convolution.")
@click.option("--data", metavar="DATA", help="Rows for --row and --filters, else those RUN was trained on.")
@options.as_json
def inspect(
    run: str, row: int | None, rate: float | None, filters: str | None, data: str | None, *, as_json: bool
) -> None:
    """Show the columns, layers, parameters and scores of RUN.

    With --row: what forward pass, loss, gradients and an update do to one row,
    layer by layer. The model stays as it is.
    """
    from fathom.api import load
    from fathom.cli import inspection, walk
    from fathom.cli.painting import painted

    loaded = load(run)
    if filters is not None:
        _say(painted(loaded, Path(filters), data))
    if row is not None:
        from fathom.api.walking import PLAIN_RATE
        from fathom.api.walking import walk as walk_row

        way = walk_row(loaded, row, data, rate=PLAIN_RATE if rate is None else rate)
        _print(walk.plain(way, row) if as_json else walk.told(way, row))
    elif filters is None:
        found = inspection.inspected(loaded, run)
        _print(found.plain() if as_json else found.text())


@fathom.command(short_help="Write the page that tells all of a run.")
@click.argument("run")
@click.option("--out", metavar="FILE", help="Where it goes, else report.html in RUN.")
@click.option("--private", is_flag=True, help="Keep rows and pictures out of it.")
@options.as_json
def report(run: str, out: str | None, *, private: bool, as_json: bool) -> None:
    """Write report.html of RUN again: what was asked, the network, how it learned,
    its scores and mistakes, what it cost, and how to repeat it.

    The data is read again where it was; if it is gone or changed, the page leaves
    out what needs rows.
    """
    from fathom.api import write_report

    place = write_report(run, out, private=private)
    _print({"run": run, "report": str(place)} if as_json else f"The report is in {place}")


@fathom.command(short_help="See it all on handwritten digits, in under a minute.")
@click.option("--out", default="runs/demo", show_default=True, metavar="DIR", help="The run's directory; overwritten.")
@options.as_json
def demo(out: str, *, as_json: bool) -> None:
    """Train a network to read handwritten digits, and use it."""
    from fathom.cli.demo import demonstrate

    answer = demonstrate(out, _say if as_json else _print)
    if as_json:
        _print(answer)


@fathom.command("completion", short_help="Print what completes commands in a shell.")
@click.argument("shell", type=click.Choice(completion.SHELLS))
def completion_(shell: str) -> None:
    """Print the script that completes fathom's commands, options and names.

    \b
    bash: add to ~/.bashrc                        eval "$(fathom completion bash)"
    zsh:  add to ~/.zshrc                         eval "$(fathom completion zsh)"
    fish: fathom completion fish > ~/.config/fish/completions/fathom.fish
    """
    click.echo(completion.script(shell, fathom))


def _default_place(data: str, targets: Iterable[str]) -> str:
    name = f"{data}-{'+'.join(targets) or 'none'}"
    return f"runs/{re.sub(r'[^0-9A-Za-z_.+-]+', '-', name).strip('-.')[:LONGEST_NAME]}"
