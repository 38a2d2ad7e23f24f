"""What a file holds, whatever its name says: a page, a workbook or a packed archive is no table of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fathom.data.encoding import GZIP, encodings_of, first_bytes
from fathom.errors import SourceError

__all__ = ["DOCUMENTS", "TABLES", "check_content"]

HEAD_BYTES = 1 << 12

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".data", ".data.gz")
""".data is what UCI calls its tables."""
DOCUMENTS = (".txt", ".txt.gz")
"""How the names of files end that are tables of text, and texts."""

UNPACKED_BY_READER = (*TABLES, *DOCUMENTS)


@dataclass(frozen=True)
class Content:
    """Something that a file may hold.

    Attributes:
        what: as the message calls it.
        start: what its first bytes match.
        endings: of the names that it may have.
        ways: what to do where it has another name.
    """

    what: str
    start: re.Pattern[bytes]
    endings: tuple[str, ...]
    ways: str


def _binary(what: str, start: bytes, ways: str, *endings: str) -> Content:
    return Content(what, re.compile(start, re.DOTALL), endings, ways)


SAVE = "save the table as CSV"
UNPACK = "unpack it, and name the file in it"
PICTURES = "put pictures into a folder, and name that"
ZIPPED = (".zip", ".npz")

BINARY = (
    _binary("an Excel workbook", rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|_rels/|xl/|docProps/)", SAVE),
    _binary("an OpenDocument file", rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis", SAVE),
    _binary("an old Excel workbook or another Office file", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", SAVE),
    _binary("a ZIP archive", rb"PK(\x03\x04|\x05\x06)", UNPACK, *ZIPPED),
    _binary("a Parquet file", rb"PAR1", "rename it to end in .parquet", ".parquet"),
    _binary("an Arrow file", rb"ARROW1", "rename it to end in .arrow", ".arrow", ".feather"),
    _binary("an Arrow file", rb"\xff\xff\xff\xff.{3}\x00", "rename it to end in .arrow", ".arrow", ".feather"),
    _binary("a Feather file of version 1", rb"FEA1", SAVE, ".arrow", ".feather"),
    _binary("a PDF document", rb"%PDF-", SAVE),
    _binary("a PNG picture", rb"\x89PNG\r\n", PICTURES),
    _binary("a JPEG picture", rb"\xff\xd8\xff", PICTURES),
    _binary("a GIF picture", rb"GIF8[79]a", PICTURES),
    _binary("a TIFF picture", rb"II\*\x00|MM\x00\*", PICTURES),
    _binary(
        "a RIFF file (a sound, video or WebP picture)", rb"RIFF.{4}(WAVE|AVI |WEBP)", "name tables, texts or pictures"
    ),
    _binary("a numpy array", rb"\x93NUMPY", "save it with numpy.savez as .npz"),
    _binary("an HDF5 file", rb"\x89HDF\r\n", "save its tables as CSV or Parquet"),
    _binary("an SQLite database", rb"SQLite format 3\x00", "save its table as CSV"),
    _binary(
        "a pickle", rb"\x80[\x02-\x05](\x95|[\]}cX(KGMJq])", "fathom never unpickles, since that runs code; " + SAVE
    ),
    _binary("a 7z archive", rb"7z\xbc\xaf\x27\x1c", UNPACK),
    _binary("a RAR archive", rb"Rar!\x1a\x07", UNPACK),
    _binary("packed with bzip2", rb"BZh[1-9]1AY&SY", UNPACK),
    _binary("packed with xz", rb"\xfd7zXZ\x00", UNPACK),
    _binary("packed with zstd", rb"\x28\xb5\x2f\xfd", UNPACK),
    _binary("a tar archive", rb".{257}ustar", UNPACK, "cifar-10-binary.tar.gz"),
)
"""Tried in this order. None of them begins as a text would."""

# A header may begin with a name in angle brackets, even with "<script>": what follows it tells a page.
PAGES = (
    _binary(
        "an HTML page, not data",
        rb"<!doctype html|<(html|head|body)(\s[^>]*)?>(?![\",;\t|])"
        rb"|<script[\s>].*(<(html|head|body)[\s>]|</script>\s*$)",
        "download the file that the page links to",
    ),
    _binary("an XML document", rb"<\?xml", SAVE),
    _binary(
        "a Git LFS pointer, not the data", rb"version https://git-lfs\.github\.com/spec", "fetch it with git lfs pull"
    ),
    _binary("an ARFF file", rb"(%[^\n]*\n\s*)*@relation\s", SAVE),
    _binary("a LIBSVM file", rb"[+-]?[0-9.]+ +[0-9]+:[0-9.e+-]+[ \r\n]", SAVE),
    _binary("a table drawn by a database's shell", rb"\+-{2,}[+-]*\+\s*\n\|", SAVE),
    _binary("an RTF document", rb"\{\\rtf1", SAVE),
)
JSON = _binary("JSON", rb'\{\s*("[^"\r\n]*"\s*:|\}|$)|\[\s*(\{|\[|\])', "rename it to end in .json")
NEEDED = {
    ".parquet": "Parquet",
    ".npz": "NPZ",
    ".zip": "ZIP",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON",
}
NOT_JSON = re.compile(rb"[^{\[\s]")


def check_content(place: Path, ending: str) -> None:
    """Check that a file holds what its name says.

    Args:
        place: of the file.
        ending: of its name, as the reader was found by; empty where nothing reads such a file.

    Raises:
        SourceError: it holds something else; says what, and what to do.
    """
    with place.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(GZIP):
        _check_may_be_packed(place, ending)
        head = first_bytes(place, HEAD_BYTES)
        _check_packed_once(place, head)
    found = _content_of(head, ending)
    if found is not None:
        raise SourceError(f"{place}: is {found.what}{_named(ending)}; {found.ways}")
    needed = NEEDED.get(ending.removesuffix(".gz"))
    if needed and head and _is_other_text(head, needed):
        raise SourceError(f"{place}: is text and no {needed}, though named {ending}; {_way_for_text(head)}")


def _named(ending: str) -> str:
    return f", though named {ending}" if ending else ""


def _check_may_be_packed(place: Path, ending: str) -> None:
    if not ending.endswith(".gz") and ending not in UNPACKED_BY_READER and ending != "-ubyte":
        raise SourceError(f"{place}: is packed with gzip{_named(ending)}; unpack it with gunzip")


def _check_packed_once(place: Path, head: bytes) -> None:
    if head.startswith(GZIP):
        raise SourceError(f"{place}: is packed with gzip twice; unpack it once with gunzip")


def _content_of(head: bytes, ending: str) -> Content | None:
    """What the first bytes say a file holds, where its name says something else."""
    for content in BINARY:
        if content.start.match(head):
            return None if ending in content.endings else content
    if ending not in TABLES:
        return None
    text = _plain_start(head)
    return next((page for page in (*PAGES, JSON) if page.start.match(text)), None)


def _plain_start(head: bytes) -> bytes:
    """The beginning of a text in lower case as ASCII, without mark or blanks."""
    encoding, skipped = encodings_of(head)[0]
    return head[skipped:].decode(encoding, "ignore").encode("ascii", "replace").lstrip().lower()


def _is_other_text(head: bytes, needed: str) -> bool:
    text = _plain_start(head)
    if needed.startswith("JSON"):
        return NOT_JSON.match(text) is not None
    return b"\0" not in text and bool(re.match(rb"[\x09-\x0d\x20-\x7e]{4}", text))


def _way_for_text(head: bytes) -> str:
    text = _plain_start(head)
    page = next((page for page in (*PAGES, JSON) if page.start.match(text)), None)
    return f"it is {page.what}; {page.ways}" if page else "rename it to end in .csv if it is a table"
