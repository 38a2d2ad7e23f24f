"""Folders of texts: a document a file or a line, whose class is the folder or the file that it stands in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from fathom.data.content import DOCUMENTS
from fathom.data.encoding import GZIP, LINE_END, check_no_nul, whole_text
from fathom.data.folders import check_part, check_several, class_notes, is_split
from fathom.data.parallel import LANGUAGE
from fathom.data.source import Source, short_name, split_note, with_base
from fathom.data.tables import ABOUT_TABLES, NUMBERING, files_to_read
from fathom.data.tree import Folder, in_order, part_of_words
from fathom.errors import SourceError, listed

__all__ = ["holds_documents", "read_documents"]

UNLABELLED = ("unsup", "unsupervised", "unlabeled", "unlabelled")
"""What folders of texts without a class are called beside those of classes, as in the film reviews of aclImdb."""


@dataclass
class _Found:
    """The texts of each part with their labels, and what is told of them."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    encodings: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    empty: int = 0


def holds_documents(folder: Folder) -> bool:
    """Whether a folder holds texts: by class in its folders, or in files that their names tell apart."""
    classes = _classes(folder)
    return bool(_classes_of_files(folder)) or (
        any(map(_holds_a_document, classes)) and not any(map(_holds_a_table, classes))
    )


def read_documents(folder: Folder, place: Path, *, lines: bool = False) -> Source:
    """Read a folder of texts into the columns ``text`` and ``label``.

    The label is the name of the sub-folder that a text stands in; without sub-folders each file is a text without a
    label, and with ``lines`` each line of it is a text, and the file's name is its label.

    Args:
        folder: what is read, by names.
        place: absolute path of the source.
        lines: each line of a file is a text; else the whole file is one. Lines without text are left out.

    Raises:
        SourceError: a class has no text, there is only one, or a file is no text.
    """
    found = _Found()
    by_files = _classes_of_files(folder)
    if by_files:
        _add_files(by_files, found, lines=lines)
    elif is_split(folder.folders):
        for inside in folder.folders:
            _add_classes(inside, check_part(inside, found.texts, folder), found, lines=lines)
    else:
        _add_classes(folder, "train", found, lines=lines)
    parts = {part: with_base(_table(texts, found.labels.get(part)), folder.path) for part, texts in found.texts.items()}
    ordered = in_order(parts)
    target = ("label",) if found.labels else ()
    notes = split_note(ordered) + class_notes(found.labels) if found.labels else split_note(ordered)
    return Source(ordered, target, short_name(place), str(place), notes + _notes(found, by_files, lines=lines))


def _classes(folder: Folder) -> Sequence[Folder]:
    """The folders of classes, in the part for training where the folder has parts."""
    if not is_split(folder.folders):
        return folder.folders
    return [inside for part in folder.folders for inside in part.folders]


def _holds_a_document(folder: Folder) -> bool:
    return any(map(_is_document, folder.files))


def _holds_a_table(folder: Folder) -> bool:
    return any(not path.name.lower().endswith(DOCUMENTS) for path in files_to_read(folder))


def _is_document(path: Path) -> bool:
    """Whether a file in the folder of a class is a text by its name: as .txt, or bare, as newsgroups have them."""
    about = path.name.split(".")[0].lower() in ABOUT_TABLES
    return not about and (path.name.lower().endswith(DOCUMENTS) or not path.suffix or path.suffix[1:].isdigit())


def _classes_of_files(folder: Folder) -> dict[str, Path]:
    """Texts side by side, each by what tells its name from the others'; none where they are parts, shards or tables.

    These are .txt files of any name, or files of one name and several endings, as rt-polarity.pos and rt-polarity.neg.
    """
    readable = files_to_read(folder)
    if folder.folders or (readable and not all(path.name.lower().endswith(DOCUMENTS) for path in readable)):
        return {}
    about = [path for path in folder.files if path.name.split(".")[0].lower() in ABOUT_TABLES]
    others = [path for path in folder.files if path not in about]
    named = {path.name[: path.name.index(".")]: path for path in readable}
    if readable:
        alike = len({NUMBERING.sub("#", name.lower()) for name in named}) < len(named)
        return {} if alike or len(named) < 2 or any(map(part_of_words, named)) else named
    ended = {path.suffix[1:]: path for path in others if path.suffix}
    is_one = len({path.stem for path in others}) == 1 and len(ended) == len(others) > 1
    return ended if is_one and not any(map(LANGUAGE.fullmatch, ended)) else {}


def _add_files(files: Mapping[str, Path], found: _Found, *, lines: bool) -> None:
    texts, labels = found.texts.setdefault("train", []), list[str]()
    for label, path in files.items():
        more = _texts(path, found, lines=lines)
        texts += more
        labels += [label] * len(more)
    if lines:
        found.labels["train"] = labels


def _add_classes(folder: Folder, part: str, found: _Found, *, lines: bool) -> None:
    """Add the texts of each class folder."""
    texts, labels = list[str](), list[str]()
    for inside in folder.folders:
        if inside.path.name.lower() in UNLABELLED:
            found.left_out.append(inside.path.name)
            continue
        below = [path for path in inside.files_below() if _is_document(path)]
        more = [text for path in below for text in _texts(path, found, lines=lines)]
        if not more:
            raise SourceError(f"{inside.path}: no texts for this class (allowed: {' '.join(DOCUMENTS)}, or no ending)")
        texts += more
        labels += [inside.path.name] * len(more)
    check_several(folder, labels)
    found.texts[part], found.labels[part] = texts, labels


def _texts(path: Path, found: _Found, *, lines: bool) -> list[str]:
    """The texts in a file that hold something."""
    text, notes = _decoded(path)
    check_no_nul(path, text)
    for note in notes:
        found.encodings.setdefault(note, []).append(path.name)
    texts = LINE_END.split(text) if lines else [text]
    kept = [each for each in texts if each.strip()]
    found.empty += len(texts) - len(kept) - (lines and text.endswith(("\n", "\r")))
    return kept


def _decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file; plain UTF-8, as most of many thousands are, without more ado."""
    data = path.read_bytes()
    if data[:1] < b"\x80" and b"\0" not in data and not data.startswith(GZIP):
        try:
            return data.decode(), ()
        except UnicodeDecodeError:
            pass
    return whole_text(path)


def _table(texts: Sequence[str], labels: Sequence[str] | None) -> pa.Table:
    size = sum(map(len, texts))
    columns = {"text": pa.array(texts, pa.string() if size < 2**29 else pa.large_string())}
    return pa.table(columns if labels is None else {**columns, "label": pa.array(labels, pa.string())})


def _notes(found: _Found, by_files: Mapping[str, Path], *, lines: bool) -> tuple[str, ...]:
    notes = [f"{listed(names, 2)}: {note}" for note, names in found.encodings.items()]
    if found.empty:
        notes.append(f"{found.empty:,} {'lines' if lines else 'files'} without text are left out")
    if found.left_out:
        notes.append(f"left out, being without a class: {listed(dict.fromkeys(found.left_out))}")
    if by_files:
        names = listed((path.name for path in by_files.values()), 2)
        told = "each line is a row, its file's name the label" if lines else "each is one text"
        more = "" if lines else "; --lines (lines=True) makes a row of each line, and a label of the file's name"
        notes.append(f"{len(by_files)} files are read, {names}: {told}{more}")
    return tuple(notes)
