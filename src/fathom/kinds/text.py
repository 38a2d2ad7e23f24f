"""Free text: sentences, reviews, documents, as tokens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from itertools import chain, pairwise
from math import ceil
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from fathom.data.columns import holds_text, holds_words
from fathom.errors import ModelError, SchemaError
from fathom.kinds.kind import KINDS, Claim, Kind, Statistics, objects
from fathom.kinds.tokenizing import SPECIALS, made, opened, pieces_of
from fathom.registry import Range
from fathom.signals import Ragged, Samples, TextSpec

__all__ = ["CUT", "Text"]

CUT = "cut"
"""What a text encodes beside its tokens: how many more it had."""

CUT_OFF, WINDOWS = "cut", "windows"
SAMPLED_CELLS = 2000
WORD = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|[^\s\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]+"
FEWEST_WORDS, FEWEST_WORDS_ASKED_FOR = 5.5, 2.5  # of a text on average: names and titles are shorter
FEWEST_DISTINCT, WORDS_OF_NO_LABEL = 0.5, 15.0  # names of classes repeat, and are short
FEW_CELLS = 20
ROOM = 1.5  # for the longest text, whose number of tokens is reckoned from that of its characters
SMALLEST_VOCABULARY = 256 + len(SPECIALS)  # every byte is a token


@KINDS.register(
    "text",
    packed=False,
    shared=True,
    padded=True,
    alone={"long": "windows"},
    made_by=("tokenizer", "vocabulary", "lowercase"),
    own=("longest",),
    entry="bag",
    net="transformer",
    head="generate",
    rebuild="generate",
    exempt={"weights": "words are counted alike whatever their rows weigh"},
)
class Text(Kind):
    """A text, as the tokens of a tokenizer that is made from training rows.

    Text columns with the same options share one tokenizer, and networks then share its embedding.

    Args:
        state: what ``fit`` returned, or the state of such a kind.
        tokenizer: how texts become tokens: "bpe" of bytes knows every text and gives it back as it was, "wordpiece"
            gives a word the same token wherever it stands, "word" and "char" are what they say; "auto" takes bpe for
            texts that are told or hold the answers, wordpiece for those that are only read.
        vocabulary: the most tokens that are told apart.
        length: the most tokens of a text.
        long: what becomes of a longer text: "cut" leaves off its end; "windows" learns and scores it piece by piece,
            which a text that nothing comes in for can be.
        lowercase: whether large letters are made small.
    """

    def __init__(
        self,
        state: Statistics,
        *,
        tokenizer: Literal["auto", "bpe", "wordpiece", "word", "char"] = "auto",
        vocabulary: Annotated[int, Range(SMALLEST_VOCABULARY, 1_000_000, log=True)] = 8000,
        length: Annotated[int, Range(4, 1_000_000, log=True)] = 256,
        long: Literal["cut", "windows"] = "cut",
        lowercase: bool = False,
    ) -> None:
        self.length, self.long = length, long
        if "tokenizer" not in state:
            usual = "bpe" if state.get("told", True) else "wordpiece"
            name = usual if tokenizer == "auto" else tokenizer
            content = made(state["shared"], name, vocabulary, lowercase=lowercase)
            state = {"tokenizer": json.loads(content), "special": list(SPECIALS), "tokens": state["pieces"], **state}
            state = {name: state[name] for name in ("tokenizer", "special", "rows", "missing", "tokens", "longest")}
            super().__init__(state)
            characters = sum(len(piece) * count for piece, count in state["tokens"].items())
            self.state["tokens"] = counts = self._counted(state["tokens"], state["rows"])
            each = (sum(counts) - 2 * state["rows"]) / max(1, characters)
            self.state["longest"] = 2 + ceil(ROOM * each * state["longest"])
        else:
            super().__init__(state)

    @classmethod
    def claim(cls, column: pa.ChunkedArray, *, target: bool) -> Claim | None:
        if holds_words(column.type):
            return None if target else _claim_of_words(column)
        if not holds_text(column.type):
            return None
        present = column.drop_null()
        few = present.slice(0, SAMPLED_CELLS)
        if not len(few):
            return None
        words = pc.mean(pc.count_substring_regex(few, WORD)).as_py()
        if words < (FEWEST_WORDS_ASKED_FOR if target else FEWEST_WORDS):
            return None
        distinct = pc.count_distinct(few).as_py()
        repeats = distinct < FEWEST_DISTINCT * len(few) and words < WORDS_OF_NO_LABEL
        if repeats or (len(few) < FEW_CELLS and words < FEWEST_WORDS):
            return None
        return Claim(0.8, f"texts of {words:.0f} words on average" if len(present) > 1 else "a text")

    @classmethod
    def count(cls, column: pa.ChunkedArray, weight: np.ndarray | None = None) -> Statistics:
        texts = _texts(column)
        present = [text for text in texts if text is not None]
        pieces, longest = dict(pieces_of(present)), max(map(len, present), default=0)
        return {"rows": len(present), "missing": len(texts) - len(present), "pieces": pieces, "longest": longest}

    @classmethod
    def merge(cls, first: Statistics, second: Statistics) -> Statistics:
        pieces = Counter[str](first["pieces"])
        pieces.update(second["pieces"])
        longest = max(first["longest"], second["longest"])
        sums = {name: first[name] + second[name] for name in ("rows", "missing")}
        return {**sums, "pieces": dict(pieces), "longest": longest}

    @classmethod
    def fit(cls, statistics: Statistics) -> Statistics:
        return {"shared": statistics["pieces"], **statistics}

    @classmethod
    def share(cls, own: Statistics, together: Statistics, *, told: bool) -> Statistics:
        return {**own, "shared": together["pieces"], "told": told}

    @classmethod
    def cut(cls, column: pa.ChunkedArray, fractions: tuple[float, ...]) -> list[pa.ChunkedArray]:
        text = _texts(column)[0] or ""
        places = np.rint(len(text) * np.cumsum((0.0, *fractions)) / sum(fractions)).astype(int)
        pieces = [text[start:stop] for start, stop in pairwise(places)]
        if not all(piece.strip() for piece in pieces):
            raise SchemaError(f"the text has {len(text):,} characters, too few to cut it into {len(fractions)} parts")
        return [pa.chunked_array([[piece]], pa.large_string()) for piece in pieces]

    @property
    def spec(self) -> TextSpec:
        return self._spec

    def encode(self, column: pa.ChunkedArray) -> dict[str, Tensor | Ragged]:
        """``""`` is N ragged rows of int64; CUT is (N,) int64: how many tokens were cut off."""
        texts = _texts(column)
        rows = self._tokens(["" if text is None else text for text in texts])
        present = np.array([text is not None for text in texts], bool)
        lengths = (np.diff(rows.offsets.numpy()) * present).astype(np.int64)
        most = self.length if self.long == CUT_OFF else max(self.length, int(lengths.max(initial=0)))
        kept = torch.from_numpy(np.minimum(lengths, most))
        first = torch.arange(len(texts))
        short = rows.windows(first, torch.zeros_like(first), kept)
        more = torch.from_numpy(lengths) - kept
        short.values[short.offsets[1:][more > 0] - 1] = self._spec.end
        return {"": short, CUT: more}

    def decode(self, prediction: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
        """``ids`` (N, T) int64, to the texts before their first end."""
        return {"": pa.array(self._spelled(prediction["ids"]), pa.string())}

    def truth(self, encoded: Tensor | Ragged) -> np.ndarray | None:
        """(N,) texts as they come back from their tokens, None where missing."""
        assert isinstance(encoded, Ragged)
        padded, _ = encoded.padded(self._spec.pad)
        texts = self._spelled(padded.numpy())
        present = (encoded.lengths > 0).tolist()
        return np.array([text if there else None for text, there in zip(texts, present, strict=True)], object)

    def values(self, prediction: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same, the answer's ids as ``text``, (N,) texts; of the true tokens told, their ``characters``."""
        found = {name: value for name, value in prediction.items() if name not in ("ids", "told")}
        if "ids" in prediction:
            found["text"] = objects(self._spelled(prediction["ids"]))
        if "told" in prediction:
            found["characters"] = np.array([len(text) for text in self._spelled(prediction["told"])])
        return found

    def samples(self, encoded: Tensor | Ragged) -> Samples:
        """Rows; of long texts windows of ``length`` tokens to be told, each with the one before."""
        assert isinstance(encoded, Ragged)
        if self.long == CUT_OFF:
            return Samples.whole(len(encoded))
        return Samples.windowed(encoded.lengths, self.length + 1, self.length)

    def places(self, column: pa.ChunkedArray) -> Ragged | None:
        """Of each token (T, 2) int64 the characters from and to which it goes, -1 of begin and end."""
        texts = _texts(column)
        distinct = {text: k for k, text in enumerate(dict.fromkeys(texts))}
        found = self.tokenizer.encode_batch(
            ["" if text is None else text for text in distinct], add_special_tokens=False
        )
        ends = [-1, -1]
        rows = [
            torch.tensor([] if text is None else [ends, *map(list, one.offsets), ends], dtype=torch.int64).view(-1, 2)
            for text, one in zip(distinct, found, strict=True)
        ]
        whole = Ragged.of(rows or [torch.empty(0, 2, dtype=torch.int64)])
        chosen = torch.tensor([distinct[text] for text in texts], dtype=torch.int64)
        most = self.length if self.long == CUT_OFF else int(whole.lengths.max())
        kept = whole.windows(chosen, torch.zeros_like(chosen), whole.lengths[chosen].clamp(max=most))
        kept.values[kept.offsets[1:][kept.lengths > 0] - 1] = -1
        return kept

    @cached_property
    def tokenizer(self) -> Any:
        """The library's tokenizer."""
        return opened(json.dumps(self.state["tokenizer"]))

    @cached_property
    def _spec(self) -> TextSpec:
        pad, unknown, begin, end, mask = (self.tokenizer.token_to_id(token) for token in self.state["special"])
        if None in (pad, unknown, begin, end, mask):
            raise ModelError(f"the tokenizer lacks one of its special tokens {', '.join(self.state['special'])}")
        size = self.tokenizer.get_vocab_size()
        if max(self.tokenizer.get_vocab().values()) >= size:
            raise ModelError(
                f"some of the tokenizer's tokens are not among its {size:,}; copy the whole directory again"
            )
        digest = sha256(json.dumps(self.state["tokenizer"], sort_keys=True).encode()).hexdigest()[:16]
        counts = tuple(map(float, self.state["tokens"]))
        longest = self.state.get("longest", 0)  # earlier versions kept none
        return TextSpec(size, pad, unknown, begin, end, mask, self.length, counts, digest, longest)

    def _tokens(self, texts: list[str]) -> Ragged:
        """The tokens of texts, each row with its begin and its end."""
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids)) + 2
        offsets = np.concatenate([[0], lengths.cumsum()])
        values = np.empty(offsets[-1], np.int64)
        inside = np.ones(len(values), bool)
        inside[offsets[:-1]] = inside[offsets[1:] - 1] = False
        values[inside] = np.fromiter(chain.from_iterable(ids), np.int64, len(values) - 2 * len(ids))
        values[offsets[:-1]], values[offsets[1:] - 1] = self._spec.begin, self._spec.end
        return Ragged(torch.from_numpy(values), torch.from_numpy(offsets))

    def _spelled(self, ids: np.ndarray) -> list[str]:
        ended = np.cumsum(ids == self._spec.end, axis=1) > 0
        rows = [row[~over].tolist() for row, over in zip(ids, ended, strict=True)]
        texts: list[str] = self.tokenizer.decode_batch(rows, skip_special_tokens=True)
        return texts

    def _counted(self, pieces: Mapping[str, float], rows: int) -> list[float]:
        """How often each token occurs in training rows."""
        counts = np.zeros(self.tokenizer.get_vocab_size())
        encodings = self.tokenizer.encode_batch_fast(list(pieces), add_special_tokens=False)
        for encoding, count in zip(encodings, pieces.values(), strict=True):
            np.add.at(counts, encoding.ids, count)
        for special in (SPECIALS[2], SPECIALS[3]):
            counts[self.tokenizer.token_to_id(special)] += rows
        return counts.tolist()


def _claim_of_words(column: pa.ChunkedArray) -> Claim | None:
    """A list of words that is no set of labels is a text, a blank between words."""
    words = pc.mean(pc.list_value_length(column)).as_py()
    return Claim(0.6, f"lists of {words:.0f} words on average") if words and words >= FEWEST_WORDS_ASKED_FOR else None


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    if holds_words(column.type):  # a word that is missing is one of no letters
        return [cell if cell is None else " ".join(word or "" for word in cell) for cell in column.to_pylist()]
    texts: Sequence[str | None] = pc.cast(column, pa.large_string()).to_pylist()
    return list(texts)
