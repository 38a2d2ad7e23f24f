"""One token after another: drawn as asked, the same with a cache as without, whatever rows stand beside."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from fathom.heads.beam import beam_search
from fathom.heads.writing import Sampling, Teller, Voice, Writer, chances
from fathom.nets import DECODERS
from fathom.nets.decoder import DecoderSpec, Memory
from fathom.registry import Choice
from fathom.runtime import seeded

SIZE, WIDTH, LENGTH, END, BEGIN = 11, 16, 24, 3, 2
NETS = pytest.mark.parametrize("net", DECODERS.names())
GREEDY, FREE = Sampling(), Sampling(temperature=1.0)


def voice(net: str = "transformer", asks: bool = False, members: int = 1, seed: int = 0, sharp: float = 4.0) -> Voice:
    options = {"width": WIDTH, "depth": 2}
    with seeded(seed):
        decoder = DECODERS.build(Choice(net, options), DecoderSpec(LENGTH, WIDTH if asks else None)).double().eval()
        table, output = torch.randn(2, SIZE, WIDTH, dtype=torch.float64)
    return Voice(lambda ids: table[ids], decoder, lambda state: sharp * state @ output.T / WIDTH, members)


def memory(rows: int, seed: int = 5) -> Memory:
    draw = torch.Generator().manual_seed(seed)
    return Memory(torch.randn(rows, 4, WIDTH, generator=draw, dtype=torch.float64), None)


def first(rows: int) -> Tensor:
    return torch.full((rows, 1), BEGIN)


def written(writer: Writer, most: int) -> Tensor:
    return torch.stack([writer.step() for _ in range(most)], dim=1)


def told_anew(said: Voice, ids: Tensor, asked: Memory | None) -> Tensor:
    """The chances of the next token, from all tokens at once."""
    with torch.no_grad():
        return said.tell(said.net(said.enter(ids), asked)[:, -1]).log_softmax(1)


@NETS
@pytest.mark.parametrize("asks", [False, True])
def test_the_likeliest_tokens_are_those_of_computing_all_anew(net, asks):
    said, asked = voice(net, asks), memory(4) if asks else None
    ids = torch.arange(4, 8).unsqueeze(1)
    found = written(Writer(Teller(said, 4, asked, 20), ids, end=END), 12)
    for place in range(12):
        following = told_anew(said, ids, asked).argmax(1)
        over = (ids[:, 1:] == END).any(1)
        following[over] = END
        assert torch.equal(found[:, place], following)
        ids = torch.cat([ids, following.unsqueeze(1)], dim=1)
    assert len(found.unique(dim=0)) > 1


@NETS
def test_a_row_is_written_the_same_whatever_stands_beside_it(net):
    said, seeds = voice(net, True, sharp=1.0), [7, 8, 9, 10, 12]
    asked = memory(5)
    together = written(Writer(Teller(said, 5, asked, 20), first(5), end=END, sampling=FREE, seeds=seeds), 15)
    for row in range(5):
        one = Memory(asked.tokens[row : row + 1], None)
        writer = Writer(Teller(said, 1, one, 20), first(1), end=END, sampling=FREE, seeds=[seeds[row]])
        alone = written(writer, 15)
        assert torch.equal(alone[0], together[row])
    assert len({tuple(row.tolist()) for row in together}) > 3
    assert len((together == END).sum(1).unique()) > 2  # rows that had ended were left out while others went on


def test_seeds_decide_and_nothing_else():
    def drawn(seed: int) -> Tensor:
        writer = Writer(Teller(voice(sharp=1.0), 1, None, 20), first(1), end=END, sampling=FREE, seeds=[seed])
        return written(writer, 15)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_what_is_never_to_be_written_is_not():
    said = voice()
    likeliest = int(written(Writer(Teller(said, 1, None, 5), first(1), end=END), 1))
    again = written(Writer(Teller(said, 1, None, 5), first(1), end=END, never=[likeliest]), 1)
    assert int(again) != likeliest


def test_a_row_can_be_stopped():
    writer = Writer(Teller(voice(sharp=0.5), 2, None, 20), first(2), end=END, never=[END])
    writer.step()
    writer.stop(0)
    after = written(writer, 3)
    assert (after[0] == END).all()
    assert (after[1] != END).all()
    assert writer.ended.tolist() == [True, False]


def test_beyond_its_window_the_later_half_is_taken_up_anew():
    said = voice("gpt")
    teller, ids = Teller(said, 1, None, 3 * LENGTH), torch.randint(4, SIZE, (1, 2 * LENGTH))
    for place in range(2 * LENGTH):
        told = teller(ids[:, place : place + 1])
        held = place + 1 if place < LENGTH else LENGTH // 2 + (place - LENGTH) % (LENGTH - LENGTH // 2 + 1)
        torch.testing.assert_close(told, told_anew(said, ids[:, place + 1 - held : place + 1], None))


def test_of_a_prompt_beyond_the_window_the_last_tokens_count():
    said, ids = voice("gpt"), torch.randint(4, SIZE, (2, LENGTH + 9))
    torch.testing.assert_close(Teller(said, 2, None, 99)(ids), told_anew(said, ids[:, -LENGTH:], None))


def test_members_tell_the_mean_of_their_chances():
    said, asked = voice(asks=True, members=2), memory(6)
    told = Teller(said, 3, asked, 5)(first(3)).exp()
    apart = [told_anew(said, first(3), Memory(half, None)).exp() for half in asked.tokens.split(3)]
    torch.testing.assert_close(told, (apart[0] + apart[1]) / 2)


def test_a_low_temperature_sharpens_and_a_high_one_evens_out():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    torch.testing.assert_close(chances(logits, FREE), logits.softmax(1))
    torch.testing.assert_close(chances(logits, Sampling(0.5)), (2 * logits).softmax(1))


def test_the_k_likeliest_and_the_nucleus_are_those_of_the_papers():
    share = torch.tensor([[0.05, 0.5, 0.15, 0.3]])
    torch.testing.assert_close(chances(share.log(), Sampling(1.0, 2)), torch.tensor([[0, 0.625, 0, 0.375]]))
    torch.testing.assert_close(chances(share.log(), Sampling(1.0, 0, 0.6)), torch.tensor([[0, 0.625, 0, 0.375]]))
    torch.testing.assert_close(chances(share.log(), Sampling(1.0, 0, 0.4)), torch.tensor([[0.0, 1.0, 0, 0]]))
    torch.testing.assert_close(chances(share.log(), Sampling(1.0, 99, 1.0)), share)


@pytest.mark.parametrize("sampling", [Sampling(0.7, 5), Sampling(1.3, 0, 0.8), Sampling(0.9, 6, 0.7)], ids=str)
def test_chances_are_those_of_transformers(sampling):
    transformers = pytest.importorskip("transformers")
    logits = torch.randn(20, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    warpers = [transformers.TemperatureLogitsWarper(sampling.temperature)]
    warpers += [transformers.TopKLogitsWarper(sampling.top_k)] if sampling.top_k else []
    warpers += [transformers.TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []
    theirs = logits
    for warper in warpers:
        theirs = warper(torch.zeros(20, 1, dtype=torch.int64), theirs)
    torch.testing.assert_close(chances(logits, sampling), theirs.softmax(1))


def test_tokens_are_drawn_as_often_as_their_chances_say():
    rows, said = 4000, voice(sharp=1.0)
    writer = Writer(Teller(said, rows, None, 2), first(rows), end=END, sampling=FREE, seeds=range(rows))
    counts = torch.bincount(writer.step(), minlength=SIZE).double()
    expected = rows * told_anew(said, first(1), None).exp()[0]
    assert float(((counts - expected) ** 2 / expected).sum()) < 35  # chi-square of 10 degrees: one in 8,000


def likelihoods(said: Voice, texts: list[tuple[int, ...]], asked: Memory) -> dict[tuple[int, ...], float]:
    """The log-likelihood of each text, asked one thing."""
    found = {}
    for length in {len(text) for text in texts}:
        alike = [text for text in texts if len(text) == length]
        ids = torch.tensor([[BEGIN, *text] for text in alike])
        with torch.no_grad():
            asked_alike = Memory(asked.tokens.expand(len(alike), -1, -1), None)
            told = said.tell(said.net(said.enter(ids[:, :-1]), asked_alike)).log_softmax(2)
        totals = told.gather(2, ids[:, 1:].unsqueeze(2)).sum((1, 2))
        found |= dict(zip(alike, totals.tolist(), strict=True))
    return found


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_beam_as_wide_as_all_texts_finds_the_best_of_them(penalty):
    said, most, rows = voice(asks=True, sharp=1.5), 3, 3
    asked = memory(rows)
    found = beam_search(
        Teller(said, rows, asked, most), first(rows), end=END, beams=SIZE**2, most_tokens=most, length_penalty=penalty
    )
    inner = [token for token in range(SIZE) if token != END]
    texts = [(*head, END) for n in range(most) for head in itertools.product(inner, repeat=n)]
    texts += list(itertools.product(inner, repeat=most))
    for row in range(rows):
        likely = likelihoods(said, texts, Memory(asked.tokens[row : row + 1], None))
        best = max(texts, key=lambda text, likely=likely: likely[text] / ((5 + len(text)) / 6) ** penalty)
        assert tuple(found[row].tolist()) == best + (END,) * (most - len(best))


@NETS
def test_one_beam_without_a_penalty_finds_what_the_likeliest_tokens_are(net):
    said, asked = voice(net, True), memory(4)
    options = {"end": END, "beams": 1, "most_tokens": 12, "length_penalty": 0.0, "never": [END]}
    likeliest = written(Writer(Teller(said, 4, asked, 12), first(4), end=END, never=[END]), 12)
    assert torch.equal(beam_search(Teller(said, 4, asked, 12), first(4), **options), likeliest)


@NETS
def test_more_beams_find_no_worse_texts_on_average(net):
    said, asked = voice(net, True, sharp=2.0), memory(12)
    means = []
    for beams in (1, 8):
        options = {"end": END, "beams": beams, "most_tokens": 8, "length_penalty": 0.0}
        found = beam_search(Teller(said, 12, asked, 9), first(12), **options)
        texts = [tuple(row[: row.index(END) + 1] if END in row else row) for row in found.tolist()]
        one = [Memory(asked.tokens[k : k + 1], None) for k in range(12)]
        means.append(sum(likelihoods(said, [text], m)[text] for text, m in zip(texts, one, strict=True)))
    assert means[1] >= means[0] - 1e-9


@pytest.mark.parametrize("temperature", [1e-30, 1e-40, 1e-300])
def test_the_smallest_temperature_takes_the_likeliest_token(temperature):
    told = torch.tensor([[-3.0, -0.5, -0.9], [-700.0, -800.0, -900.0]])
    assert chances(told, Sampling(temperature)).tolist() == [[0, 1, 0], [1, 0, 0]]
