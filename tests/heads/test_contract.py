"""What every registered head promises, on the columns that its target's kind claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from fathom.heads import HEADS, METRICS, Head
from fathom.kinds import KINDS, Kind
from fathom.kinds.beside import own_cells
from fathom.nets.members import MemberLinear
from fathom.registry import Choice, Entry
from fathom.runtime import seeded
from fathom.signals import Loss, Ragged, Signal, SignalSpec
from tests.kinds.columns import columns, excused, fitted, of_form, sorts_of, taken

ROWS, WIDTH, TIME, SIDE = 6, 16, 4, 8
MAPS = ((8, 1), (16, 2))
SHUFFLED = [3, 5, 0, 1, 2, 4]
CONTRACTS = ("truth", "round trip", "missing", "members", "weights", "baseline")


@dataclass(frozen=True)
class Asked:
    """A head with what it is asked for: one column, or all columns of its kind where they travel together."""

    entry: Entry
    sort: str
    kinds: tuple[Kind, ...]
    cells: tuple[pa.ChunkedArray, ...]

    @property
    def target(self) -> Tensor | Ragged:
        encoded = [kind.encode(cells)[""] for kind, cells in zip(self.kinds, self.cells, strict=True)]
        return encoded[0] if len(encoded) == 1 else torch.cat(encoded, dim=1)

    @property
    def spec(self) -> Any:
        specs = [kind.spec for kind in self.kinds]
        return specs[0] if len(specs) == 1 else type(specs[0]).join(specs)


def asked() -> list[Asked]:
    found = []
    for entry in HEADS:
        kind = entry.facts["target"]
        for alike in of_form(kind):
            for sort in sorts_of(alike, target=True):
                cells = (columns()[sort].slice(0, ROWS),)
                found.append(Asked(entry, sort, (fitted(alike, cells[0]),), cells))
        if entry.name == KINDS.get(kind).facts.get("rebuild") and KINDS.get(kind).facts["packed"]:
            several = tuple(columns(seed)[sort].slice(0, ROWS) for seed, sort in enumerate(sorts_of(kind)))
            found.append(Asked(entry, "together", tuple(fitted(kind, one) for one in several), several))
    return [one for one in found if not excused(one.entry, one.sort)]


ASKED = asked()
EVERY = pytest.mark.parametrize("one", ASKED, ids=[f"{one.entry.name}: {one.sort}" for one in ASKED])


def excuse(one: Asked, contract: str) -> None:
    assert contract in CONTRACTS
    if reason := excused(one.entry, contract):
        pytest.skip(reason)


def signal(rows: int = ROWS, members: int = 1, seed: int = 0) -> Signal:
    """A state with every part, which can be learned."""
    draw = torch.Generator().manual_seed(seed)

    def part(*shape: int) -> Tensor:
        return torch.randn(members * rows, *shape, generator=draw).requires_grad_()

    maps = tuple(part(channels, SIDE // stride, SIDE // stride) for channels, stride in MAPS)
    return Signal(part(WIDTH), part(TIME, WIDTH), None, maps, members)


def parts_of(state: Signal) -> list[Tensor]:
    return [value for value in (state.vector, state.tokens, *state.maps) if value is not None]


def built(one: Asked, members: int = 1, **options: Any) -> Head:
    with seeded(0):
        given = SignalSpec(WIDTH, ("vector", "tokens", "maps"), MAPS, members)
        return HEADS.build(Choice(one.entry.name, options), given, one.spec)


def fit(head: Head, state: Signal, target: Tensor | Ragged, *, learned: list[Tensor], steps: int = 300) -> float:
    """Bring the loss down, and return it, a unit of weight."""
    optimizer = torch.optim.Adam([*head.parameters(), *learned], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = head.loss(state, target, None)
        (loss.total / loss.weight).backward()
        optimizer.step()
        schedule.step()
    return unit(head.loss(state, target, None))


def unit(loss: Loss) -> float:
    return float(loss.total.detach()) / float(loss.weight)


@pytest.fixture(scope="module")
def learned() -> dict[int, tuple[Head, Signal]]:
    return {}


def at_the_truth(one: Asked, learned: dict[int, tuple[Head, Signal]]) -> tuple[Head, Signal]:
    """The head with a state that holds the truth, learned once."""
    if id(one) not in learned:
        head, state = built(one), signal()
        fit(head, state, one.target, learned=parts_of(state))
        learned[id(one)] = (head.eval(), state)
    return learned[id(one)]


def others(one: Asked) -> Tensor | Ragged:
    return taken(one.target, SHUFFLED)


def missing(one: Asked) -> Tensor | Ragged:
    """Targets of which none is known, as the kinds encode them."""
    empty = [kind.encode(pa.chunked_array([pa.nulls(ROWS, c.type)]))[""] for kind, c in zip(one.kinds, one.cells)]  # noqa: B905
    return empty[0] if len(empty) == 1 else torch.cat(empty, dim=1)


@pytest.mark.parametrize("entry", list(HEADS), ids=lambda entry: entry.name)
def test_a_head_says_what_it_answers_and_by_what_it_is_measured(entry):
    assert entry.facts["target"] in KINDS.names()
    assert entry.facts["needs"] in ("vector", "tokens", "maps", None)
    assert all(METRICS.get(name) for name in entry.facts["metrics"])
    assert entry.summary.endswith(".")
    assert {one.entry.name for one in ASKED} == set(HEADS.names())


@pytest.mark.parametrize("entry", list(HEADS), ids=lambda entry: entry.name)
def test_every_exception_names_a_contract_and_a_reason(entry):
    assert set(entry.exempt) <= {*CONTRACTS, *columns()}
    assert all(len(reason) > 10 for reason in entry.exempt.values())


@EVERY
def test_the_loss_is_finite_and_reaches_the_state_and_every_parameter(one):
    head, state = built(one), signal()
    loss = head.loss(state, one.target, None)
    assert torch.isfinite(loss.total)
    assert loss.weight > 0
    loss.total.backward()
    assert any(part.grad is not None and part.grad.abs().sum() > 0 for part in parts_of(state))
    assert [name for name, p in head.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []


@EVERY
def test_the_loss_is_lowest_at_the_truth(one, learned):
    excuse(one, "truth")
    head, state = at_the_truth(one, learned)
    at_truth, elsewhere = (unit(head.loss(state, target, None)) for target in (one.target, others(one)))
    assert at_truth < 0.2 * head.baseline_loss
    assert at_truth < 0.5 * elsewhere
    for seed in range(5):
        draw = torch.Generator().manual_seed(seed)
        moved = Signal(
            state.vector + torch.randn(state.vector.shape, generator=draw),
            state.tokens + torch.randn(state.tokens.shape, generator=draw),
            None,
            tuple(level + torch.randn(level.shape, generator=draw) for level in state.maps),
        )
        assert unit(head.loss(moved, one.target, None)) > at_truth


@EVERY
def test_decoding_the_prediction_of_the_truth_gives_the_cells(one, learned):
    excuse(one, "round trip")
    head, state = at_the_truth(one, learned)
    with torch.inference_mode():
        prediction = {name: value.numpy() for name, value in head.predict(state).items()}
    start = 0
    for kind, cells in zip(one.kinds, one.cells, strict=True):
        part = prediction
        if len(one.kinds) > 1:
            end = start + kind.spec.num_outputs
            part, start = {name: value[:, start:end] for name, value in prediction.items()}, end
        assert_same_cells(kind.of_rows(cells).decode(part)[""], own_cells(cells).combine_chunks())


@EVERY
def test_the_weight_is_known_before_the_loss(one):
    head, state = built(one), signal()
    weight = torch.tensor([0.0, 1.0, 2.0, 0.5, 3.0, 1.0])
    for given in (None, weight):
        torch.testing.assert_close(
            head.loss(state, one.target, given).weight.double(), head.weigh(one.target, given).double()
        )


@EVERY
def test_a_weight_of_two_counts_a_row_twice(one):
    excuse(one, "weights")
    head, state = built(one).eval(), signal()
    times = [0, 1, 2, 0, 3, 1]
    index = [row for row, count in enumerate(times) for _ in range(count)]
    repeated = Signal(state.vector[index], state.tokens[index], None, tuple(level[index] for level in state.maps))
    weighted = head.loss(state, one.target, torch.tensor(times, dtype=torch.float32))
    counted = head.loss(repeated, taken(one.target, index), None)
    torch.testing.assert_close(weighted.total, counted.total, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(weighted.weight.double(), counted.weight.double())


@EVERY
def test_the_loss_adds_up_however_a_batch_is_cut(one):
    if one.entry.facts.get("whole_batch"):
        pytest.skip("its registration says whole_batch")
    head, state = built(one).eval(), signal()
    whole = head.loss(state, one.target, None)
    cuts = [[0, 1], [2], [3, 4, 5]]
    parts = [
        head.loss(
            Signal(state.vector[cut], state.tokens[cut], None, tuple(level[cut] for level in state.maps)),
            taken(one.target, cut),
            None,
        )
        for cut in cuts
    ]
    torch.testing.assert_close(sum(part.total for part in parts), whole.total, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(part.weight for part in parts).double(), whole.weight.double())


@EVERY
def test_a_missing_target_weighs_nothing_and_gives_no_gradient(one):
    excuse(one, "missing")
    head, state = built(one), signal()
    nothing = missing(one)
    assert head.weigh(nothing, None) == 0
    assert head.weigh(nothing, torch.ones(ROWS)) == 0
    for weight in (None, torch.full((ROWS,), 2.0)):
        total = head.loss(state, nothing, weight).total
        assert total == 0
        if total.requires_grad:
            grads = torch.autograd.grad(total, [*head.parameters(), *parts_of(state)], allow_unused=True)
            assert all(grad is None or not grad.any() for grad in grads)


@EVERY
def test_members_that_agree_weigh_more_and_answer_alike(one):
    excuse(one, "members")
    head, state = built(one).eval(), signal()
    alike = state.repeated(3)
    alone, together = head.loss(state, one.target, None), head.loss(alike, one.target, None)
    torch.testing.assert_close(together.total, 3 * alone.total, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.weight.double(), 3 * alone.weight.double())
    first, second = head.predict(state), head.predict(alike)
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[k].float(), second[k].float(), rtol=1e-4, atol=1e-3) for k in first)


def of_member(member: int, head: Head, one: Asked) -> Head:
    """A head for one member, with that member's weights."""
    weights = head.state_dict()
    for name, layer in head.named_modules():
        if isinstance(layer, MemberLinear):
            weights[f"{name}.weight"] = layer.weight[member].mT
            weights[f"{name}.bias"] = layer.bias.view(layer.members, -1)[member]
    alone = built(one)
    alone.load_state_dict(weights)
    return alone.eval()


@EVERY
def test_each_member_has_an_output_layer_of_its_own(one):
    excuse(one, "members")
    if one.entry.facts["needs"] != "vector":
        pytest.skip("it does not stand on a vector")
    head = built(one, members=2).eval()
    alike = signal().repeated(2)
    loss = head.loss(alike, one.target, None).total
    assert not torch.allclose(loss, 2 * of_member(0, head, one).loss(signal(), one.target, None).total)


@EVERY
def test_members_that_differ_are_averaged(one):
    excuse(one, "members")
    head = built(one, members=2).eval()
    first, second = signal(seed=1), signal(seed=2)
    both = Signal(
        torch.cat([first.vector, second.vector]),
        torch.cat([first.tokens, second.tokens]),
        None,
        tuple(torch.cat(levels) for levels in zip(first.maps, second.maps, strict=True)),
        members=2,
    )
    alone = [of_member(member, head, one) for member in range(2)]
    joint = head.loss(both, one.target, None).total
    apart = alone[0].loss(first, one.target, None).total + alone[1].loss(second, one.target, None).total
    torch.testing.assert_close(joint, apart, rtol=1e-4, atol=1e-4)
    for name, value in head.predict(both).items():
        assert len(value) == ROWS
        if value.is_floating_point() and name in ("probability", "q0.5"):
            mean = (alone[0].predict(first)[name] + alone[1].predict(second)[name]) / 2
            torch.testing.assert_close(value, mean, rtol=1e-4, atol=1e-4)


@EVERY
def test_a_constant_state_does_as_well_as_the_trivial_answer(one):
    excuse(one, "baseline")
    head, state = built(one), signal(rows=1)
    parts = [part.expand(ROWS, *part.shape[1:]) for part in (state.vector, state.tokens, *state.maps)]
    constant = Signal(parts[0], parts[1], None, tuple(parts[2:]))
    assert head.baseline_loss > 0
    assert fit(head, constant, one.target, learned=[], steps=150) < 1.1 * head.baseline_loss


@EVERY
def test_the_trivial_answer_looks_like_a_prediction(one):
    head = built(one).eval()
    trivial, prediction = head.trivial(ROWS), head.predict(signal())
    if trivial is None:
        return
    assert trivial.keys() == prediction.keys()
    for name, value in trivial.items():
        assert value.shape == prediction[name].shape, name
        assert torch.equal(value[0], value[-1])


@EVERY
def test_what_the_schema_knows_is_not_saved_with_the_weights(one):
    head = built(one)
    assert set(head.state_dict()) == {name for name, _ in head.named_parameters()}


@EVERY
def test_a_head_can_move_to_a_device_without_doubles(one):
    assert all(value.dtype != torch.float64 for value in built(one).buffers())


def assert_same_cells(decoded: pa.Array, cells: pa.Array) -> None:
    """Cells as they came; numbers within a twentieth of their spread, pictures within a few shades."""
    if isinstance(decoded, pa.FixedShapeTensorArray):
        mine = decoded.to_numpy_ndarray().astype(float)
        assert np.abs(mine.reshape(ROWS, -1) - pictures(cells).reshape(ROWS, -1)).mean() < 12
    elif pa.types.is_temporal(decoded.type):
        kind = fitted("datetime", pa.chunked_array([cells]))
        mine, truth = (kind.truth(kind.encode(pa.chunked_array([part]))[""]) for part in (decoded, cells))
        assert np.abs(mine - truth).max() < 0.05 * truth.std()
    elif pa.types.is_floating(decoded.type) or pa.types.is_fixed_size_list(decoded.type):
        mine, truth = numbers(decoded), numbers(cells)
        assert np.abs(mine - truth).max() < 0.05 * max(truth.std(), 1e-9)
    else:
        dictionary = pa.types.is_dictionary(cells.type)
        assert decoded.to_pylist() == (cells.dictionary_decode() if dictionary else cells).to_pylist()


def numbers(cells: pa.Array) -> np.ndarray:
    flat = cells.flatten() if pa.types.is_nested(cells.type) else cells
    return np.array([float(value) for value in flat.to_pylist()])


def pictures(cells: pa.Array) -> np.ndarray:
    if isinstance(cells, pa.FixedShapeTensorArray):
        return cells.to_numpy_ndarray().astype(float)
    import io

    from PIL import Image

    return np.stack([np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in cells.to_pylist()]).astype(float)


class Indifferent(nn.Module):
    """A head whose loss does not look at the target."""

    baseline_loss = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(WIDTH, 1)

    def loss(self, state: Signal, target: Tensor, weight: Tensor | None) -> Loss:
        return Loss(self.output(state.vector).square().sum(), self.weigh(target, weight))

    def weigh(self, target: Tensor, weight: Tensor | None) -> Tensor:
        return torch.tensor(float(len(target)))


@pytest.mark.parametrize(
    "test",
    [
        lambda one: test_the_loss_is_lowest_at_the_truth(one, {}),
        test_a_missing_target_weighs_nothing_and_gives_no_gradient,
        test_a_weight_of_two_counts_a_row_twice,
    ],
)
def test_a_head_with_a_fault_is_noticed(test, monkeypatch):
    entry = Entry("indifferent", lambda state, target: Indifferent(), {**HEADS.get("regress").facts})
    monkeypatch.setitem(HEADS._entries, "indifferent", entry)
    monkeypatch.setitem(entry.__dict__, "options", {})
    cells = (columns()["floats"].slice(0, ROWS),)
    with pytest.raises(AssertionError):
        test(Asked(entry, "floats", (fitted("number", cells[0]),), cells))
