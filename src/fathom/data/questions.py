"""Questions on texts, in the JSON of SQuAD: each question is a row, with its text and where its answer stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from fathom.data.encoding import half_sign
from fathom.data.source import Source, short_name, source_of_file
from fathom.errors import SourceError

__all__ = ["may_hold_questions", "questions_in_json"]

MARKS = (b'"paragraphs"', b'"qas"')
"""Keys that such a file has."""

COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "article", "context", "question", "answer")),
        ("answer_start", pa.int64()),
        ("answers", pa.list_(pa.string())),
    ]
)
TARGET = ("answer",)
ROLES = {"id": "ignore", "article": "group", "answer_start": "ignore", "answers": "ignore"}
"""Questions on one article stay in one part; where the answer stands, and other answers, would give it away."""

SORTS: dict[type, str] = {list: "a list", str: "words", int: "a whole number", bool: "true or false"}
INT64 = range(-(2**63), 2**63)


def may_hold_questions(data: bytes) -> bool:
    """Whether a file has the keys of SQuAD's format."""
    return all(mark in data for mark in MARKS)


def questions_in_json(data: bytes, place: Path, notes: tuple[str, ...]) -> Source | None:
    """Read a file in the format of SQuAD 1.1 or 2.0; None where it is another after all.

    Columns are the id, article, context, question, the first answer and the character of the context that it starts
    at, and all answers that differ. Of a question that has none the answer is "", and the others are missing.

    Args:
        data: the file's text as UTF-8.
        place: absolute path of the file.
        notes: on how it was read.

    Raises:
        SourceError: it is cut short, or a question lacks what all others have; says which.
    """
    try:
        found = json.loads(data)
    except ValueError as error:
        if "Extra data" in str(error):  # an object a line
            return None
        raise SourceError(f"{place}: is no JSON, or is cut short: {error}") from error
    if not (isinstance(found, dict) and isinstance(found.get("data"), list)):
        return None
    rows = list(_rows(found["data"], place))
    table = pa.Table.from_pylist(rows, COLUMNS)
    return source_of_file(table, place, (*notes, *_notes(rows, table)), TARGET, ROLES)


def _rows(articles: list[Any], place: Path) -> Iterator[dict[str, Any]]:
    for number, article in enumerate(articles):
        where = f"{place}: data[{number}]"
        title = f"{short_name(place)}:{article['title'] if _has_title(article) else number}"
        for k, paragraph in enumerate(_held(article, "paragraphs", list, where)):
            within = f"{where}.paragraphs[{k}]"
            context = _held(paragraph, "context", str, within)
            for j, question in enumerate(_held(paragraph, "qas", list, within)):
                yield {"article": title, "context": context, **_question(question, f"{within}.qas[{j}]")}


def _has_title(article: Any) -> bool:
    return isinstance(article, dict) and isinstance(article.get("title"), str)


def _question(found: Any, where: str) -> dict[str, Any]:
    row = {"question": _held(found, "question", str, where), "id": str(found["id"]) if "id" in found else None}
    answers = [] if _said(found, "is_impossible", bool, where) else _said(found, "answers", list, where) or []
    texts = [_held(answer, "text", str, f"{where}.answers[{k}]") for k, answer in enumerate(answers)]
    if not texts:
        return row | {"answer": ""}
    start = _held(answers[0], "answer_start", int, f"{where}.answers[0]")
    return row | {"answer": texts[0], "answer_start": start, "answers": list(dict.fromkeys(texts))}


def _said(found: Mapping[str, Any], key: str, sort: type, where: str) -> Any:
    """What may be left out, or be null."""
    return None if found.get(key) is None else _held(found, key, sort, where)


def _held(found: Any, key: str, sort: type, where: str) -> Any:
    value = found.get(key) if isinstance(found, Mapping) else None
    if type(value) is not sort or (sort is int and value not in INT64):  # true is no 1
        raise SourceError(f"{where} lacks {key!r}, {SORTS[sort]}, as the format of SQuAD has it")
    if isinstance(value, str) and (half := half_sign(value)):
        raise SourceError(f"{where}: {key!r} holds {half}; complete it")
    return value


def _notes(rows: list[dict[str, Any]], table: pa.Table) -> tuple[str, ...]:
    answered = [row for row in rows if row["answer"]]
    moved = sum(not row["context"].startswith(row["answer"], row["answer_start"]) for row in answered)
    unanswered = len(rows) - len(answered)
    words = "question has" if unanswered == 1 else "questions have"
    return (
        *((f"{unanswered:,} {words} no answer; it is an empty text",) if unanswered else ()),
        *((f"{moved:,} answers do not stand where answer_start says",) if moved else ()),
    )
