"""German to English on Multi30k: fathom's command beside a plain torch.nn.Transformer of its size, in equal time.

Each is a process of its own, one after another. BLEU is sacrebleu's, of the file of answers to the 1,000 rows of 2016;
fathom's networks answer greedily and by beams.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from report import table, told_with, write_section

DATA = Path(os.environ.get("FATHOM_DATA", Path(__file__).parents[2] / "shared" / "data"))
FOLDER = DATA / "text" / "multi30k_en_de"
PARTS = {"train": "train", "val": "val", "test": "test_2016_flickr"}
PLAIN = Path(__file__).with_name("plain_translation.py")
COMMAND = "python benchmarks/translation.py"
HEAD = ("Multi30k, German to English", "BLEU, greedy", "BLEU, beams", "seconds", "parameters")
BEAMS = 4
QUICK_ROWS, QUICK_SECONDS = 200, 10
# The state is read by an LSTM both ways, and told by one that asks it (Bahdanau et al. 2015).
RECURRENT = ("--net", "lstm", "--head", "generate", "--set", "head.net=lstm")


class Translated(NamedTuple):
    """What a system comes to."""

    greedy: float
    beams: float | None
    seconds: float
    parameters: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--only", choices=SYSTEMS, action="append", help="may be given several times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="of the plain loop; fathom measures how many are best")
    parser.add_argument("--quick", action="store_true", help="few rows and seconds, to try it; writes no page")
    asked = parser.parse_args()
    seconds = QUICK_SECONDS if asked.quick else 60 * asked.minutes
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = _unpacked(Path(place) / "multi30k", QUICK_ROWS if asked.quick else None)
        for name in asked.only or SYSTEMS:
            found = SYSTEMS[name](folder, Path(place), seconds, asked)
            beams = "" if found.beams is None else f"{found.beams:.1f}"
            rows.append((name, f"{found.greedy:.1f}", beams, f"{found.seconds:.0f}", f"{found.parameters:,}"))
            print(rows[-1], flush=True)
    told = told_with(f"{COMMAND} --minutes {asked.minutes:g}", ("torch", "fathom-nn", "sacrebleu"))
    words = f"{seconds / 60:g} minutes of training; beams follow {BEAMS} answers. BLEU by sacrebleu's defaults."
    text = "\n\n".join(["## Translation", told, words, table(HEAD, rows)])
    print(text)
    if not asked.quick:
        write_section("translation", text)


def _fathom(folder: Path, place: Path, seconds: float, asked: argparse.Namespace, *options: str) -> Translated:
    out = place / f"run{len(list(place.iterdir()))}"
    command = ["fit", folder, "--target", "en", "--budget", f"{seconds:g}s", "--seed", asked.seed, "--out", out]
    started = time.perf_counter()
    _typed(*command, "--no-report", *options)
    took = time.perf_counter() - started
    source = folder / "test.de"
    greedy, beams = (_typed("generate", out, "--input", source, *more) for more in ((), ("--beams", BEAMS)))
    return Translated(_bleu(folder, greedy), _bleu(folder, beams), took, _parameters(out))


def _recurrent(folder: Path, place: Path, seconds: float, asked: argparse.Namespace) -> Translated:
    return _fathom(folder, place, seconds, asked, *RECURRENT)


def _plain(folder: Path, place: Path, seconds: float, asked: argparse.Namespace) -> Translated:
    answers = place / "plain.txt"
    started = time.perf_counter()
    words = [
        sys.executable,
        PLAIN,
        folder,
        answers,
        "--seconds",
        seconds,
        "--seed",
        asked.seed,
        "--threads",
        asked.threads,
    ]
    told = json.loads(subprocess.run(list(map(str, words)), check=True, stdout=subprocess.PIPE, text=True).stdout)
    took = time.perf_counter() - started
    return Translated(_bleu(folder, answers.read_text("utf-8")), None, took, told["parameters"])


SYSTEMS: dict[str, Callable[..., Translated]] = {
    "fathom": _fathom,
    "fathom, LSTM with attention": _recurrent,
    "plain PyTorch": _plain,
}


def _unpacked(folder: Path, most: int | None) -> Path:
    """The parts under plain names, the first rows of each where there is a most."""
    folder.mkdir()
    for part, name in PARTS.items():
        for tongue in ("de", "en"):
            lines = gzip.decompress((FOLDER / f"{name}.{tongue}.gz").read_bytes()).decode().splitlines()[:most]
            (folder / f"{part}.{tongue}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _typed(*words: object) -> str:
    """What fathom prints of a command."""
    command = [sys.executable, "-m", "fathom.cli", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _bleu(folder: Path, answers: str) -> float:
    from sacrebleu import corpus_bleu

    truth = (folder / "test.en").read_text("utf-8").splitlines()
    return corpus_bleu(answers.removesuffix("\n").split("\n"), [truth]).score


def _parameters(run: Path) -> int:
    from safetensors import safe_open

    with safe_open(run / "model" / "weights.safetensors", "pt") as weights:
        return sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118


if __name__ == "__main__":
    main()
