"""Dialogues: each reply is a row, with the turns before it, from DailyDialog's text or from lists of messages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fathom.data.columns import holds_text
from fathom.data.source import Source, short_name, source_of_file
from fathom.errors import SourceError

__all__ = ["DIALOGUE_ROLES", "REPLY", "dialogues_in_text", "holds_dialogues", "replies_in_messages"]

BETWEEN_TURNS = "\n"
TURN_END = "__eou__"
ANNOTATIONS = ("topic", "act", "emotion")
"""What DailyDialog tells after the turns: one topic, and an act and an emotion of each turn."""

HEAD_CHARACTERS = 1 << 16
MOST_LINES = 0.5

MESSAGE_FIELDS = (("role", "content"), ("from", "value"))
"""What the messages of a chat are made of, as OpenAI and ShareGPT write them."""

ANSWERING = ("assistant", "gpt", "model", "bot", "chatgpt")
"""The roles whose messages are replies; where a dialogue has none of them, every turn replies to those before it."""

CONTEXT, REPLY, DIALOGUE = "context", "reply", "dialogue"
DIALOGUE_ROLES = {DIALOGUE: "group"}


def holds_dialogues(text: str) -> bool:
    """Whether most lines of a text are dialogues as DailyDialog writes them."""
    lines = [line for line in text[:HEAD_CHARACTERS].split("\n") if line.strip()]
    return sum(TURN_END in line for line in lines) > MOST_LINES * len(lines)


def dialogues_in_text(text: str, place: Path, notes: tuple[str, ...]) -> Source:
    """Read a dialogue a line: turns that ``__eou__`` ends, and behind tabs a topic, and the turns' acts and emotions.

    Args:
        text: of the file.
        place: absolute path of the file.
        notes: on how it was read.

    Raises:
        SourceError: a line has other cells than the first, or as many acts as it has no turns.
    """
    columns: dict[str, list[Any]] = {DIALOGUE: [], CONTEXT: [], REPLY: []}
    width, short = 0, 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        width = width or len(cells)
        turns = _turns(cells, width, f"{place}: line {number}")
        short += len(turns) < 2
        columns[DIALOGUE] += [f"{short_name(place)}:{number}"] * (len(turns) - 1)
        columns[CONTEXT] += _told_before(turns)
        columns[REPLY] += turns[1:]
        for name, cell in zip(ANNOTATIONS, cells[1:], strict=False):
            columns.setdefault(name, []).extend(_of_turns(cell, turns, f"{place}: line {number}", name)[1:])
    table = pa.table({name: _numbers(found) if name in ANNOTATIONS else found for name, found in columns.items()})
    count = len(set(columns[DIALOGUE]))
    roles = DIALOGUE_ROLES | {name: "ignore" for name in ANNOTATIONS if name in columns}
    return source_of_file(table, place, (*notes, *_notes(count, table.num_rows, short)), (REPLY,), roles)


def _turns(cells: Sequence[str], width: int, where: str) -> list[str]:
    """The turns of a line.

    Raises:
        SourceError: it has other cells than the first, or no turn.
    """
    if len(cells) != width or width > 1 + len(ANNOTATIONS):
        told = f"the first line {width}" if len(cells) != width else f"{1 + len(ANNOTATIONS)} are known"
        raise SourceError(f"{where} has {len(cells)} cells divided by tabs, {told} (turns, topic, acts, emotions)")
    if TURN_END not in cells[0]:
        raise SourceError(f"{where} holds no {TURN_END}, which ends each turn of a dialogue")
    turns = [turn.strip() for turn in cells[0].split(TURN_END)]
    return turns if turns[-1] else turns[:-1]


def _of_turns(cell: str, turns: Sequence[str], where: str, name: str) -> list[str]:
    """What is told of each turn; a topic holds for all."""
    words = cell.split()
    if name == ANNOTATIONS[0] and len(words) == 1:
        return words * len(turns)
    if len(words) != len(turns):
        raise SourceError(f"{where} holds {len(turns)} turns, and {len(words)} words of {name} where each has one")
    return words


def _told_before(turns: Sequence[str]) -> list[str]:
    """What was said before each turn but the first."""
    return list(accumulate(turns[:-1], f"{{}}{BETWEEN_TURNS}{{}}".format))


def _numbers(words: list[str]) -> pa.Array:
    try:
        return pa.array(words, pa.string()).cast(pa.int64())
    except pa.ArrowInvalid:
        return pa.array(words, pa.string())


def _notes(dialogues: int, replies: int, short: int) -> tuple[str, ...]:
    told = f"{dialogues:,} dialogues: each of {replies:,} replies is a row, with the turns before it as its context"
    return (told, *((f"{short:,} dialogues without a reply are left out",) if short else ()))


# --- messages of a chat ---------------------------------------------------------------------------------------


def replies_in_messages(table: pa.Table, place: Path) -> tuple[pa.Table, tuple[str, ...]] | None:
    """The replies of a table that has a column of lists of messages, and notes; None where it has none, or several.

    A message is an object of a role and a content. The other columns stay, beside each reply of their row.

    Args:
        table: as it was read.
        place: absolute path of its file.
    """
    chats = [field.name for field in table.schema if _fields(field.type) is not None]
    others = [name for name in table.column_names if name not in chats]
    if len(chats) != 1 or {CONTEXT, REPLY, DIALOGUE} & set(others):
        return None
    rows, contexts, replies = _replies(table[chats[0]])
    _check_any(rows, chats[0], place)
    names = pc.binary_join_element_wise(short_name(place), (np.asarray(rows) + 1).astype(str), ":")
    columns = {DIALOGUE: names, CONTEXT: contexts, REPLY: replies}
    found = pa.table(columns | {name: table[name].take(pa.array(rows)) for name in others})
    count = len(set(rows))
    return found, _notes(count, len(rows), table.num_rows - count)


def _check_any(rows: Sequence[int], name: str, place: Path) -> None:
    if not rows:
        raise SourceError(f"{place}: the messages in {name!r} hold no reply, as a role of {ANSWERING[0]!r} gives one")


def _fields(kind: pa.DataType) -> tuple[str, str] | None:
    """The names of a message's role and content, where a type is that of lists of messages."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(kind.value_type):
        return None
    held = {field.name: field.type for field in kind.value_type}
    return next(
        (pair for pair in MESSAGE_FIELDS if all(name in held and holds_text(held[name]) for name in pair)), None
    )


def _replies(chats: pa.ChunkedArray) -> tuple[list[int], list[str], list[str]]:
    """The row of each reply, what was said before it, and the reply."""
    found = _fields(chats.type)
    assert found is not None
    role, content = found
    rows, contexts, replies = list[int](), list[str](), list[str]()
    for row, messages in enumerate(chats.to_pylist()):
        said = [(message[role], message[content].strip()) for message in messages or () if message and message[content]]
        turns = [words for _, words in said]
        answering = [speaker in ANSWERING for speaker, _ in said]
        for k, before in enumerate(_told_before(turns), start=1):
            if answering[k] or not any(answering):
                rows.append(row)
                contexts.append(before)
                replies.append(turns[k])
    return rows, contexts, replies
