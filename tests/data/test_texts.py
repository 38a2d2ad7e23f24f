"""Real corpora of texts are read with the rows, columns and roles that they have."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from fathom.api.rows import prepare
from fathom.config import Config
from fathom.data import Source, read
from fathom.schema import Schema
from fathom.signals import Role

TEXT = "text"
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def counts(source: Source) -> dict[str, int]:
    return {part: table.num_rows for part, table in source.parts.items()}


def test_the_parts_and_languages_of_a_corpus_of_translations_are_told_by_its_files(data_directory: Path) -> None:
    folder = data_directory / TEXT / "multi30k_en_de"
    source = read(folder)
    assert counts(source) == {"train": 29_000, "valid": 1_014, "test": 1_000}
    first = source.parts["train"].slice(0, 1).to_pylist()[0]
    assert first["en"] == "Two young, White males are outside near many bushes."
    assert first["de"].startswith("Zwei junge weiße Männer")
    joined = read(f"{folder / 'train.de.gz'}+{folder / 'train.en.gz'}", target="en")
    assert joined.target == ("en",)
    assert joined.parts["train"].equals(source.parts["train"])
    assert joined.place is not None
    assert read(joined.place).fingerprint == joined.fingerprint


def test_columns_of_parallel_files_stand_in_the_order_of_their_names(data_directory: Path) -> None:
    folder = data_directory / TEXT / "multi30k_en_de"
    assert read(f"{folder / 'val.en.gz'}+{folder / 'val.de.gz'}").parts["train"].column_names == ["en", "de"]


def test_a_translation_says_that_it_is_the_target(tmp_path: Path) -> None:
    for name in ("src", "tgt"):
        (tmp_path / f"train.{name}").write_text("a\nb\n")
    assert read(tmp_path).target == ("tgt",)


def test_the_two_files_of_rt_polarity_are_its_classes(data_directory: Path) -> None:
    source = read(data_directory / TEXT / "rt_polarity", lines=True)
    assert source.target == ("label",)
    assert source.parts["train"]["label"].value_counts().to_pylist() == [
        {"values": "neg", "counts": 5331},
        {"values": "pos", "counts": 5331},
    ]


def test_questions_of_xquad_stand_beside_their_contexts(data_directory: Path) -> None:
    source = read(data_directory / TEXT / "squad_xquad_en/xquad.en.json")
    rows = source.parts["train"].to_pylist()
    assert len(rows) == 1_190
    assert len({row["article"] for row in rows}) == 48
    assert all(row["context"][row["answer_start"] :].startswith(row["answer"]) for row in rows)
    assert source.target == ("answer",)
    assert source.notes == ()


def test_replies_of_dailydialog_stand_beside_all_turns_before_them(data_directory: Path) -> None:
    table = read(data_directory / TEXT / "dailydialog/en_dev_human.txt").parts["train"]
    rows = table.filter(pa.compute.equal(table["dialogue"], "en_dev_human:1")).to_pylist()
    assert len(rows) == 8
    for before, after in pairwise(rows):
        assert after["context"] == f"{before['context']}\n{before['reply']}"
    assert [row["act"] for row in rows] == [1, 2, 1, 2, 1, 1, 2, 1]


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_messages_are_replies_in_columnar_files_too(tmp_path: Path, ending: str) -> None:
    table, place = pa.table({"messages": [CHAT, None, CHAT], "n": [1, 2, 3]}), tmp_path / f"chat.{ending}"
    if ending == "parquet":
        pa.parquet.write_table(table, place)
    else:
        with pa.ipc.new_file(place, table.schema) as writer:
            writer.write_table(table)
    source = read(place)
    assert source.parts["train"].to_pydict() == {
        "dialogue": ["chat:1", "chat:3"],
        "context": ["Hi", "Hi"],
        "reply": ["Hello", "Hello"],
        "n": [1, 3],
    }
    assert source.roles == {"dialogue": "group"}


def test_a_table_that_has_a_context_of_its_own_keeps_its_messages(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"messages": [CHAT], "context": ["x"]}), tmp_path / "t.parquet")
    assert "reply" not in read(tmp_path / "t.parquet").parts["train"].column_names


def test_lines_are_asked_for_before_dialogues_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("Hi . __eou__ Hello ! __eou__\n" * 2)
    assert read(tmp_path / "d.txt", lines=True).parts["train"].column_names == ["text"]


def test_documents_side_by_side_are_texts_without_a_label(tmp_path: Path) -> None:
    for name in ("alice", "moby"):
        (tmp_path / f"{name}.txt").write_text(f"of {name}\n")
    source = read(tmp_path)
    assert source.parts["train"].to_pydict() == {"text": ["of alice\n", "of moby\n"]}
    assert source.target == ()


def test_texts_for_train_and_test_stay_parts_and_no_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"{part}.txt").write_text("a\nb\n")
    assert counts(read(tmp_path, lines=True)) == {"train": 2, "test": 2}


# --- roles that a source tells ------------------------------------------------------------------------------


def examined(source: Source, **asked: object) -> Schema:
    return prepare(source, None, Config.of({"valid": 0, "test": 0.2, **asked}), lambda line: None).schema


def roles(schema: Schema) -> dict[str, Role]:
    return {column.name: column.role for column in schema.columns}


@pytest.fixture
def grouped() -> Source:
    numbers = list(range(60))
    table = pa.table({"x": [float(n) for n in numbers], "g": [n % 6 for n in numbers], "y": [n % 2 for n in numbers]})
    return Source({"train": table}, ("y",), "t", None, (), {"g": "group", "x": "ignore"})


def test_what_a_source_says_of_its_columns_holds(grouped: Source) -> None:
    rows = prepare(grouped, None, Config.of({"valid": 0, "test": 0.2, "roles": {"x": "input"}}), lambda line: None)
    assert rows.test is not None
    assert isinstance(rows.train, pa.Table)
    assert not set(rows.train["g"].to_pylist()) & set(rows.test["g"].to_pylist())


def test_what_a_person_says_goes_before_the_source(grouped: Source) -> None:
    assert roles(examined(grouped, roles={"g": "input"})) == {"x": "ignore", "g": "input", "y": "target"}
    assert roles(examined(grouped, roles={"x": "input"}, target="g")) == {"x": "input", "g": "target", "y": "input"}


def test_another_group_takes_the_place_of_the_sources_own(grouped: Source) -> None:
    table = grouped.parts["train"]
    more = table.append_column("h", pa.array([n % 5 for n in range(60)]))
    source = Source({"train": more}, ("y",), "t", None, (), grouped.roles)
    found = roles(examined(source, roles={"h": "group", "x": "input"}))
    assert (found["g"], found["h"]) == (Role.IGNORE, Role.GROUP)
