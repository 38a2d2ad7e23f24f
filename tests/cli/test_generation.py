"""fathom generate and fathom chat: texts on stdout, as asked, and a line where it cannot be."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import click.testing
import pytest

import fathom
from fathom.cli import generation
from fathom.cli.commands import fathom as command_line
from fathom.cli.text import fitted
from fathom.errors import ConfigError, ModelError, SourceError

pytest.importorskip("tokenizers")

QUICK = {"measure": False, "baseline": False, "report": False}
SMALL = {"depth": 1, "width": 32, "heads": 2}
WORDS = ("red", "green", "blue", "white", "black", "yellow")


def typed(*arguments: object, stdin: str | None = None) -> click.testing.Result:
    found = click.testing.CliRunner().invoke(command_line, [str(argument) for argument in arguments], input=stdin)
    if found.exception is not None:
        raise found.exception
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model, one that turns words round, and one that writes nothing."""
    folder = tmp_path_factory.mktemp("written")
    said = [f"the {a} cat sees the {b} dog and the {a} bird" for a in WORDS for b in WORDS]
    kinds = {"text": {"name": "text", "tokenizer": "char", "length": 16}}
    story = {"text": [". ".join(said * 3)]}
    fathom.fit(story, "text", kinds=kinds, net={"name": "gpt", **SMALL}, budget="60steps", out=folder / "lm", **QUICK)
    both = {name: {"name": "text", "tokenizer": "word", "length": 12} for name in ("question", "answer")}
    rows = {"question": said, "answer": [" ".join(reversed(one.split())) for one in said]}
    heads = {"answer": {"name": "generate", "net": {"name": "transformer", **SMALL}}}
    nets = {"text": {"name": "embedding", "width": 32}, "tokens": {"name": "transformer", **SMALL}}
    options = {"kinds": both, "heads": heads, "nets": nets, "budget": "40steps"}
    fathom.fit(rows, "answer", out=folder / "turned", **options, **QUICK)
    numbers = {"x": list(range(40)), "y": ["a", "b"] * 20}
    fathom.fit(numbers, "y", budget="2steps", out=folder / "table", **QUICK)
    return folder


@pytest.mark.parametrize(
    ("run", "verbs"),
    [
        ("lm", ["generate", "evaluate", "inspect"]),
        ("turned", ["generate", "predict", "evaluate", "inspect"]),
        ("table", ["predict", "evaluate", "inspect"]),
    ],
)
def test_a_run_ends_with_what_its_network_can_do_next(place, run, verbs):
    _, _, following = fitted(fathom.load(place / run)).partition("Next:\n")
    assert [line.split()[1] for line in following.splitlines() if line.strip().startswith("fathom")] == verbs


def test_a_language_model_goes_on_with_a_beginning(place):
    written = typed("generate", place / "lm", "--prompt", "the red", "--tokens", 30).stdout
    assert written.startswith("the red")
    assert len("the red") < len(written.rstrip("\n")) <= len("the red") + 30
    again = typed("generate", place / "lm", "--prompt", "the red", "--tokens", 30).stdout
    other = typed("generate", place / "lm", "--prompt", "the red", "--tokens", 30, "--seed", 1).stdout
    assert again == written
    assert other != written


def test_predict_takes_the_lines_that_generate_takes(place, tmp_path):
    asked = tmp_path / "asked.xx"
    asked.write_text("the red cat\n\nthe blue dog\n")
    written = typed("generate", place / "turned", "--input", asked).stdout.splitlines()
    found = json.loads(typed("predict", place / "turned", asked, "--json").stdout)
    assert [row["answer"] for row in found["predictions"]][::2] == written[::2]
    assert found["rows"] == len(written) == 3
    with pytest.raises(SourceError, match="no reader for such a file"):
        typed("predict", place / "table", asked)


def test_python_and_the_command_line_write_the_same(place):
    run = fathom.load(place / "lm")
    found = run.generate("the red", tokens=30, number=3)
    printed = typed("generate", place / "lm", "--prompt", "the red", "--tokens", 30, "--number", 3).stdout
    assert printed == "---\n".join(f"the red{text}\n" for text in found)
    assert len(set(found)) == 3
    beside = run.generate(["a", "the red", "the red cat sees"], tokens=30)
    assert beside[1] == run.generate(["the red", "the red"], tokens=30)[1]


def test_an_empty_prompt_is_the_beginning_and_a_long_one_is_told_of(place):
    assert typed("generate", place / "lm", "--tokens", 5).stdout.strip()
    found = typed("generate", place / "lm", "--prompt", "the red cat sees the blue dog", "--tokens", 5)
    assert "the last 16 are looked at" in found.stderr
    assert found.stdout.startswith("the red cat sees the blue dog")


def test_a_text_ends_before_what_stops_it(place):
    whole = fathom.load(place / "lm").generate("the red", tokens=40)[0]
    stop = whole[4:6]
    printed = typed("generate", place / "lm", "--prompt", "the red", "--tokens", 40, "--stop", stop).stdout
    assert printed == f"the red{whole[: whole.index(stop)]}\n"


def test_the_likeliest_text_knows_no_seed(place):
    run = fathom.load(place / "lm")
    assert run.generate("the", temperature=0.0, tokens=9) == run.generate("the", temperature=0.0, tokens=9, seed=5)


def test_each_line_of_a_file_is_answered_by_a_line(place):
    lines = ["the red cat sees the blue dog", "the white cat", "", "the black cat sees"]
    (place / "lines.en").write_text("\n".join(lines) + "\n")
    printed = typed("generate", place / "turned", "--input", place / "lines.en").stdout
    assert printed.count("\n") == 4
    answer = typed("generate", place / "turned", "--prompt", lines[1]).stdout
    assert printed.splitlines()[1] == answer.rstrip("\n")
    assert typed("generate", place / "turned", "--prompt", lines[1], "--beams", 3, "--tokens", 4).stdout.endswith("\n")


def test_each_row_of_a_table_is_answered_by_a_line(place):
    (place / "rows.csv").write_text("question\nthe red cat\nthe blue dog\n")
    printed = typed("generate", place / "turned", "--input", place / "rows.csv").stdout.splitlines()
    assert printed == fathom.load(place / "turned").generate(source=place / "rows.csv")
    found = json.loads(typed("generate", place / "turned", "--input", place / "rows.csv", "--json").stdout)
    assert found["texts"] == printed


@pytest.mark.parametrize("run", ["lm", "turned"])
def test_a_chat_in_a_pipe_answers_each_line_by_a_line(place, run):
    talk = "the red cat\nthe blue dog\n/reset\nthe red cat\n"
    replies = typed("chat", place / run, "--temperature", 0, "--tokens", 12, stdin=talk).stdout.split("\n")
    assert len(replies) == 4
    assert replies[0] == replies[2]  # what was said before is forgotten


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("generate", "table", "--prompt", "x"), ModelError, "writes no text"),
        (("chat", "table"), ModelError, "writes no text"),
        (("generate", "turned"), ConfigError, "--prompt TEXT or --input"),
        (("generate", "turned", "--prompt", "x", "--input", "y"), ConfigError, "exclude"),
        (("generate", "lm", "--top-p", "0"), ConfigError, "top_p"),
        (("generate", "lm", "--tokens", "99999999999999999999"), ConfigError, "allowed: 1 to 1,000,000"),
        (("generate", "turned", "--prompt", "x", "--beams", "65"), ConfigError, "allowed: 1 to 64"),
        (("generate", "lm", "--prompt", "a\udcff"), ConfigError, "holds .udcff at character 1"),
        (("generate", "turned", "--prompt", "\ud83d", "--json"), ConfigError, "holds .ud83d at character 0"),
        (("generate", "turned", "--prompt", "x", "--beams", "2", "--temperature", "1"), ConfigError, "beams"),
        (("generate", "lm", "--input", "nowhere.txt"), SourceError, "nowhere.txt"),
        (("generate", "lm", "--input", "rows.csv"), ConfigError, "rows.csv: a language model goes on with the lines"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_in_a_line(place, arguments, error, told):
    verb, run, *rest = arguments
    with pytest.raises(error, match=told):
        typed(verb, place / run, *rest)


def test_lines_with_a_mark_in_front_are_read_and_other_encodings_refused(place, tmp_path):
    plain, marked, wide = (tmp_path / name for name in ("plain.xx", "marked.xx", "wide.xx"))
    plain.write_text("the red cat\n", "utf-8")
    marked.write_text("the red cat\n", "utf-8-sig")
    wide.write_text("the red cat\n", "utf-16")
    told = [typed("generate", place / "lm", "--input", one).stdout for one in (plain, marked)]
    assert told[0] == told[1]
    with pytest.raises(SourceError, match="save it as UTF-8"):
        typed("generate", place / "lm", "--input", wide)


def test_a_beginning_that_is_refused_is_not_printed(place, capsys):
    with pytest.raises(ConfigError, match="a language model draws"):
        command_line(["generate", str(place / "lm"), "--prompt", "the red", "--beams", "2"], standalone_mode=False)
    assert capsys.readouterr().out == ""


def test_a_talk_bears_bytes_that_are_no_text_and_nobody_who_talks(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\nthe red\n"), "utf-8"))
    assert list(generation._typed()) == ["\ufffd\ufffd", "the red"]
    monkeypatch.setattr(sys, "stdin", None)
    assert list(generation._typed()) == []
