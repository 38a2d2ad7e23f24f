"""Classes of texts: fathom beside TF-IDF and fastText; its nets in equal time; what pretraining brings; how far back
nets remember.

All learn from the same rows and are scored on the same others. McNemar's test is exact, on the rows of which one alone
of fathom and TF-IDF is right.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence

import torch
from recall import NAMES, remembered
from report import table, told_with, write_section
from scipy.stats import binomtest
from text_peers import PEERS, Answered
from text_sets import SETS, Labelled, TextSet, more_film_sentences

import fathom

COMMAND = "python benchmarks/texts.py"
PACKAGES = ("torch", "fathom-nn", "scikit-learn", "fasttext-wheel")
NETS = ("bag", "textcnn", "rnn", "lstm", "gru", "transformer")
NETS_ON = ("SST-2", "AG News")
FAR = (50, 100, 200, 400)
PARTS = ("peers", "nets", "pretrained", "recall")
ENCODER = "transformer"
QUICK_ROWS, QUICK_STEPS, QUICK_FAR = 400, 20, (5, 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="only these")
    parser.add_argument("--seconds", type=int, default=60, help="of training, for each net of the second table")
    parser.add_argument("--pretrain-seconds", type=int, default=300, help="of each encoder of the third table")
    parser.add_argument("--steps", type=int, default=1500, help="of each net of the fourth table")
    parser.add_argument("--seeds", type=int, default=3, help="of the last two tables")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="little of everything, to try it; writes no page")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for part in asked.part or PARTS:
        text = {"peers": _peers, "nets": _nets, "pretrained": _pretrained, "recall": _recall}[part](asked)
        print(text, flush=True)
        if not asked.quick:
            write_section(f"texts-{part}", text)


def _peers(asked: argparse.Namespace) -> str:
    rows = []
    for name in SETS:
        parts = _set(name, quick=asked.quick)
        budget = {"budget": f"{QUICK_STEPS}steps"} if asked.quick else {}
        answered = {"fathom": _fathom(parts, **budget), **{peer: fit(*parts) for peer, fit in PEERS.items()}}
        compared = _mcnemar(answered["fathom"], answered["TF-IDF, linear"], parts.test)
        for peer, one in answered.items():
            rows.append((name, peer, *_cells(one, parts.test), compared if peer == "fathom" else ""))
            print(rows[-1], flush=True)
    head = ("texts", "classifier", "accuracy", "seconds", "parameters", "against TF-IDF")
    return _section("Classes of texts", asked, table(head, rows))


def _nets(asked: argparse.Namespace) -> str:
    rows = []
    budget = f"{QUICK_STEPS}steps" if asked.quick else f"{asked.seconds}s"
    for name in NETS_ON:
        parts = _set(name, quick=asked.quick)
        for net in NETS:
            one = _fathom(parts, net=net, budget=budget, baseline=False)
            rows.append((name, net, *_cells(one, parts.test)))
            print(rows[-1], flush=True)
    words = f"Each net as fathom builds it by default, {asked.seconds} s of training."
    return _section("Nets for texts", asked, words, table(("texts", "net", "accuracy", "seconds", "parameters"), rows))


def _pretrained(asked: argparse.Namespace) -> str:
    """One encoder from scratch, and after it learned hidden words of texts whose labels nobody showed it."""
    taught, told = ([f"{QUICK_STEPS}steps"] * 2) if asked.quick else (f"{asked.pretrain_seconds}s", f"{asked.seconds}s")
    parts = _set("SST-2", quick=asked.quick)
    own, news = parts.train.texts, _set("AG News", quick=asked.quick).train.texts
    corpora = {
        "nothing": [],
        "SST-2": own,
        "SST-2 and Rotten Tomatoes": [*own, *more_film_sentences()],
        "SST-2 and AG News": [*own, *news],
    }
    rows = []
    for name, texts in corpora.items():
        with tempfile.TemporaryDirectory() as place:
            started: dict[str, object] = {"net": ENCODER}
            if texts:
                out = f"{place}/language"
                fathom.pretrain({"texts": texts}, net=ENCODER, budget=taught, out=out, report=False)
                started = {"start": out}
            found = [_fathom(parts, **started, budget=told, baseline=False, seed=seed) for seed in range(asked.seeds)]
        shares = [statistics.mean(_right(one, parts.test)) for one in found]
        spread = f"{statistics.median(shares):.4f} [{min(shares):.4f}-{max(shares):.4f}]"
        rows.append(
            (name, spread, f"{statistics.median(one.seconds for one in found):.1f}", f"{found[0].parameters:,}")
        )
        print(rows[-1], flush=True)
    words = (
        f"SST-2 by the net {ENCODER}, {asked.seconds} s of training: from scratch, and after it told hidden words of "
        f"training texts, without their labels, for {asked.pretrain_seconds} s. The median [least-most] of "
        f"{asked.seeds} seeds of the second training."
    )
    head = ("pretrained on", "accuracy", "seconds", "parameters")
    return _section("What pretraining brings", asked, words, table(head, rows))


def _recall(asked: argparse.Namespace) -> str:
    steps, far = (QUICK_STEPS, QUICK_FAR) if asked.quick else (asked.steps, FAR)
    rows = []
    for name in NAMES:
        started = time.perf_counter()
        found = [[remembered(name, count, steps, seed) for seed in range(asked.seeds)] for count in far]
        seconds = (time.perf_counter() - started) / asked.seeds
        rows.append(
            (
                name,
                *(f"{statistics.median(one):.3f} [{min(one):.3f}-{max(one):.3f}]" for one in found),
                f"{seconds:.0f}",
            )
        )
        print(rows[-1], flush=True)
    words = (
        f"Which of eight tokens stood first, asked behind N others: the median share told right [least-most] of "
        f"{asked.seeds} seeds after {steps:,} steps with 1 to N others; by chance 0.125. Each reads onward alone, and "
        "answers from its last state; the transformer from the mean of its tokens."
    )
    head = ("net", *(f"N = {count}" for count in far), "seconds")
    return _section("How far back nets remember", asked, words, table(head, rows))


def _set(name: str, *, quick: bool) -> TextSet:
    train, test = SETS[name]()
    if not quick:
        return TextSet(train, test)
    few = list(range(0, len(train.labels), max(1, len(train.labels) // QUICK_ROWS)))
    return TextSet(
        Labelled([train.texts[row] for row in few], [train.labels[row] for row in few]), test.some(QUICK_ROWS)
    )


def _fathom(parts: TextSet, **config: object) -> Answered:
    """fathom, with all that a run does, and its score on rows that it is given for that."""
    train, test = (part._asdict() for part in parts)
    started = time.perf_counter()
    run = fathom.fit(train, "labels", test=test, kinds={"labels": "category"}, **config)
    seconds = time.perf_counter() - started
    labels = run.predict({"texts": parts.test.texts})["labels"].to_pylist()
    return Answered(labels, seconds, sum(weight.numel() for weight in run.model.network.parameters()))


def _right(answered: Answered, test: Labelled) -> list[bool]:
    return [told == true for told, true in zip(answered.labels, test.labels, strict=True)]


def _cells(one: Answered, test: Labelled) -> tuple[str, ...]:
    return f"{statistics.mean(_right(one, test)):.4f}", f"{one.seconds:.1f}", f"{one.parameters:,}"


def _mcnemar(one: Answered, other: Answered, test: Labelled) -> str:
    """On how many rows one alone is right, and how likely so uneven a share is where both are as good."""
    pairs: Iterable[tuple[bool, bool]] = list(zip(_right(one, test), _right(other, test), strict=True))
    first, second = (sum(pair == alone for pair in pairs) for alone in ((True, False), (False, True)))
    chance = binomtest(first, first + second).pvalue if first + second else 1.0
    return f"{first} : {second}, p = {chance:.2g}"


def _section(title: str, asked: argparse.Namespace, *parts: str) -> str:
    said: Sequence[str] = (f"## {title}", told_with(" ".join([COMMAND, *sys.argv[1:]]), PACKAGES), *parts)
    return "\n\n".join(said)


if __name__ == "__main__":
    main()
