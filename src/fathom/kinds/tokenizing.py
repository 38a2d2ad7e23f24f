"""Tokenizers of texts: made from the words of training rows, kept as JSON, run by the library ``tokenizers``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from fathom.errors import MissingExtra, ModelError, first_line

__all__ = ["SPECIALS", "TOKENIZERS", "made", "opened", "pieces_of"]

SPECIALS = ("[PAD]", "[UNK]", "[BEGIN]", "[END]", "[MASK]")
"""The first tokens of every tokenizer that is made here; a text that spells one of them gets others."""

TOKENIZERS = ("bpe", "wordpiece", "word", "char")
PIECES = r"'(?:[sdmtSDMT]|ll|ve|re)\b| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+"
"""What is never joined into one token: a word with the blank before it, a number, signs, blanks. Python and the library
read it alike."""

WORDS = r"[^\W\d_]+|\d+|[^\s\w]|_"
SCRIPTS = r"\p{Han}|[^\W\d_\p{Han}]+|\d+|[^\s\w]|_"
"""The same for the library alone, a sign of a script without blanks by itself."""

MOST_REPEATED = 1 << 12
LONGEST_LEARNED = 256
"""Characters of a piece that are learned from together: the library's time grows with their square, and what is longer,
as a file in base64, is no word."""


def pieces_of(texts: list[str]) -> Counter[str]:
    """How often each piece occurs in texts."""
    pattern, found = re.compile(PIECES), Counter[str]()
    for text in texts:
        found.update(pattern.findall(text))
    return found


def made(pieces: Mapping[str, float], kind: str, vocabulary: int, *, lowercase: bool) -> str:
    """A tokenizer, as the library's JSON.

    Args:
        pieces: what ``pieces_of`` found in the training rows.
        kind: "bpe" of bytes (Sennrich et al. 2016; Radford et al. 2019, section 2.2), which knows every text;
            "wordpiece" (Schuster and Nakajima 2012; Devlin et al. 2019), "word" and "char".
        vocabulary: the most tokens, SPECIALS among them.
        lowercase: whether large letters are made small.
    """
    return _made(tuple(pieces.items()), kind, vocabulary, lowercase)


@lru_cache(maxsize=8)  # columns that share their words share their tokenizer
def _made(pieces: tuple[tuple[str, float], ...], kind: str, vocabulary: int, lowercase: bool) -> str:
    _check_installed()
    from tokenizers import normalizers

    tokenizer = {"bpe": _bpe, "wordpiece": _wordpiece, "word": _words, "char": _characters}[kind]
    steps = [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
    counts: Counter[str] = Counter()
    for piece, count in pieces:
        counts[piece.lower() if lowercase else piece] += max(1, round(count))
    found = tokenizer(counts, vocabulary, normalizers.Sequence(steps))
    return str(found.to_str())


def opened(content: str) -> Any:
    """The library's tokenizer of its JSON.

    Raises:
        MissingExtra: the library is not installed.
        ModelError: it is no tokenizer.
    """
    _check_installed()
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing more exact
        raise ModelError(
            f"the tokenizer cannot be read ({first_line(error)}); copy the whole directory again"
        ) from error
    tokenizer.encode_special_tokens = True  # what a user writes is text, whatever it spells
    return tokenizer


def _check_installed() -> None:
    if find_spec("tokenizers") is None:
        raise MissingExtra("tokenizers", "text")


def _bpe(counts: Counter[str], vocabulary: int, normalizer: Any) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PIECES), "isolated"), bytes_of])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_repeated(counts), trainer)
    return tokenizer


def _wordpiece(counts: Counter[str], vocabulary: int, normalizer: Any) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIALS[1]))
    tokenizer.normalizer = normalizer
    blanks = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([blanks, pre_tokenizers.Split(Regex(SCRIPTS), "isolated")])
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, min_frequency=2, special_tokens=list(SPECIALS), show_progress=False
    )
    tokenizer.train_from_iterator(_repeated(counts), trainer)
    return tokenizer


def _words(counts: Counter[str], vocabulary: int, normalizer: Any) -> Any:
    from tokenizers import Regex, pre_tokenizers

    words: Counter[str] = Counter()
    for piece, count in counts.items():
        for word in re.findall(WORDS, piece):
            words[word] += count
    tokenizer = _known(words, vocabulary, normalizer)
    blanks = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([blanks, pre_tokenizers.Split(Regex(WORDS), "isolated")])
    return tokenizer


def _characters(counts: Counter[str], vocabulary: int, normalizer: Any) -> Any:
    from tokenizers import Regex, decoders, pre_tokenizers

    characters: Counter[str] = Counter()
    for piece, count in counts.items():
        for character in piece:
            characters[character] += count
    tokenizer = _known(characters, vocabulary, normalizer)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"(?m)."), "isolated")  # there, a dot that takes line ends too
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _known(counts: Counter[str], vocabulary: int, normalizer: Any) -> Any:
    """A tokenizer of the most frequent of some pieces as they are."""
    from tokenizers import AddedToken, Tokenizer, models

    frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))[: vocabulary - len(SPECIALS)]
    places = {piece: place for place, piece in enumerate((*SPECIALS, *frequent))}
    tokenizer = Tokenizer(models.WordLevel(places, unk_token=SPECIALS[1]))
    tokenizer.normalizer = normalizer
    tokenizer.add_special_tokens([AddedToken(special, normalized=False) for special in SPECIALS])
    return tokenizer


def _repeated(counts: Counter[str]) -> Iterator[str]:
    """Each piece as often as it occurs: many at once where the blank in front still divides them."""
    for piece, count in counts.items():
        if len(piece) > LONGEST_LEARNED:
            parts = [piece[at : at + LONGEST_LEARNED] for at in range(0, len(piece), LONGEST_LEARNED)]
            yield from (part for part in parts for _ in range(count))
        elif not piece.startswith(" ") or piece.isspace():
            yield from (piece for _ in range(count))
        else:
            for start in range(0, count, MOST_REPEATED):
                yield piece * min(MOST_REPEATED, count - start)
