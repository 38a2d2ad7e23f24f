"""What every registered net promises, on what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

from fathom.kinds import KINDS
from fathom.nets import ACTIVATIONS, NETS
from fathom.registry import Choice, Entry, Option
from fathom.runtime import seeded
from fathom.signals import Ragged, Signal, SignalSpec
from tests.kinds.columns import ROWS, columns, excused, fitted, sorts_of, taken

WIDTH, TIME, SIDE = 24, 5, 8
MAPS = ((3, 1), (4, 2))
OVERFIT_ROWS = 16
STACKED = 6  # draws of each sort of column that travel together, so that rows differ in many numbers
CONTRACTS = (
    "shape",
    "gradcheck",
    "gradient",
    "rows",
    "padding",
    "seed",
    "save",
    "export",
    "overfit",
    "bfloat16",
)


@dataclass(frozen=True)
class Given:
    """What a net is built from, and what its forward takes, of ROWS rows."""

    spec: Any
    values: tuple[Tensor | Ragged | None, ...]

    def of(self, index: list[int]) -> tuple[Tensor | Ragged | None, ...]:
        return tuple(None if value is None else taken(value, index) for value in self.values)


def given(takes: str) -> Given:
    """The spec and the tensors of what a net takes: a part of a Signal, or a kind's columns."""
    draw = torch.Generator().manual_seed(0)
    if takes == "vector":
        return Given(SignalSpec(WIDTH), (torch.randn(ROWS, WIDTH, generator=draw),))
    if takes == "tokens":
        mask = torch.arange(TIME) < torch.randint(1, TIME + 1, (ROWS, 1), generator=draw)
        mask[0] = True
        return Given(SignalSpec(WIDTH, ("tokens",)), (torch.randn(ROWS, TIME, WIDTH, generator=draw), mask))
    if takes == "maps":
        maps = tuple(torch.randn(ROWS, c, SIDE // stride, SIDE // stride, generator=draw) for c, stride in MAPS)
        return Given(SignalSpec(WIDTH, ("maps",), MAPS), maps)
    return given_kind(takes)


def given_kind(kind: str) -> Given:
    sorts = sorts_of(kind)
    if not KINDS.get(kind).facts["packed"]:
        column = columns()["noise" if "noise" in sorts else sorts[0]]
        found = fitted(kind, column)
        return Given(found.spec, (found.encode(column)[""],))
    drawn = [columns(seed)[sort] for seed in range(STACKED) for sort in sorts]
    kinds = [fitted(kind, column) for column in drawn]
    specs = [one.spec for one in kinds]
    encoded = [one.encode(column)[""] for one, column in zip(kinds, drawn, strict=True)]
    return Given(type(specs[0]).join(specs), (torch.cat(encoded, dim=1),))


GIVEN = {takes: given(takes) for takes in ("vector", "tokens", "maps", *KINDS.names())}
EVERY = pytest.mark.parametrize("entry", list(NETS), ids=lambda entry: entry.name)


def excuse(entry: Entry, contract: str) -> None:
    assert contract in CONTRACTS
    if reason := excused(entry, contract):
        pytest.skip(reason)


def built(entry: Entry, options: dict[str, Any] | None = None, seed: int = 0) -> nn.Module:
    with seeded(seed):
        return NETS.build(Choice(entry.name, options or {}), GIVEN[entry.facts["takes"]].spec)


def small(entry: Entry) -> dict[str, Any]:
    """Options that make a small instance: every count is at most 4."""
    return {name: value for name, option in entry.options.items() if (value := _small(option)) is not None}


def smooth(entry: Entry) -> dict[str, Any]:
    """Options without kinks: of a deep net, a step as small as may be crosses some."""
    return {name: Choice("silu") for name, option in entry.options.items() if option.registry is ACTIVATIONS}


def _small(option: Option) -> Any:
    value = option.default
    if option.range is None or isinstance(value, float | bool):
        return None
    if isinstance(value, tuple) and all(type(item) is int for item in value):
        return (max(int(option.range.low), 4),) * min(2, len(value))
    return max(int(option.range.low), min(value, 4)) if type(value) is int else None


def passed(net: nn.Module, values: tuple[Tensor | Ragged | None, ...], takes: str) -> Signal:
    return net(values) if takes == "maps" else net(*values)


def tensors_of(signal: Signal) -> list[Tensor]:
    found = [signal.vector, signal.tokens, signal.mask, *signal.maps]
    return [value for value in found if value is not None]


def in_double(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        value.double() if isinstance(value, Tensor) and value.is_floating_point() else value for value in values
    )


def without_dropout(net: nn.Module) -> nn.Module:
    net.train()
    for module in net.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    return net


def coarse(net: nn.Module, values: tuple[Tensor | Ragged | None, ...], takes: str) -> Signal:
    """The signal of a net whose products are computed in bfloat16, as the engine may ask while it trains."""
    with torch.autocast("cpu", torch.bfloat16):
        return passed(net, values, takes).float()


def pooled(signal: Signal) -> Tensor:
    """One vector a row, from whatever the net gives."""
    if signal.vector is not None:
        return signal.vector
    if signal.tokens is not None:
        return signal.tokens.mean(1)
    return torch.cat([level.flatten(1) for level in signal.maps], dim=1)


def assert_promise_kept(promise: SignalSpec, signal: Signal, rows: int, side: int | None) -> None:
    """A Signal is what its SignalSpec says."""
    rows = promise.members * rows
    assert signal.members == promise.members
    assert (signal.vector is not None) == ("vector" in promise.gives)
    assert (signal.tokens is not None) == ("tokens" in promise.gives)
    assert bool(signal.maps) == ("maps" in promise.gives)
    if signal.vector is not None:
        assert signal.vector.shape == (rows, promise.width)
    if signal.tokens is not None:
        assert signal.tokens.shape[::2] == (rows, promise.width)
        assert signal.mask is None or signal.mask.shape == signal.tokens.shape[:2]
    assert [level.shape[:2] for level in signal.maps] == [(rows, channels) for channels, _ in promise.maps]
    if side is not None:
        assert [level.shape[2] for level in signal.maps] == [side // stride for _, stride in promise.maps]


@EVERY
def test_a_net_says_what_it_takes_and_gives(entry):
    assert entry.facts["takes"] in GIVEN
    assert entry.facts["gives"]
    assert set(entry.facts["gives"]) <= {"vector", "tokens", "maps"}
    assert entry.summary.endswith(".")


@EVERY
def test_every_exception_names_a_contract_and_a_reason(entry):
    assert set(entry.exempt) <= set(CONTRACTS)
    assert all(len(reason) > 10 for reason in entry.exempt.values())


@EVERY
@pytest.mark.parametrize("training", [True, False])
def test_the_signal_has_the_promised_shape(entry, training):
    excuse(entry, "shape")
    net, takes = built(entry).train(training), entry.facts["takes"]
    assert net.gives.gives == entry.facts["gives"]
    side = SIDE if takes in ("image", "maps") else None
    assert_promise_kept(net.gives, passed(net, GIVEN[takes].values, takes), ROWS, side)


@EVERY
def test_the_signal_is_finite(entry):
    signal = passed(built(entry), GIVEN[entry.facts["takes"]].values, entry.facts["takes"])
    assert all(torch.isfinite(value).all() for value in tensors_of(signal))


@EVERY
def test_gradients_are_those_of_finite_differences(entry):
    excuse(entry, "gradcheck")
    takes = entry.facts["takes"]
    net = built(entry, small(entry) | smooth(entry)).double().eval()
    values = in_double(GIVEN[takes].of([0, 1, 2]))
    names = [name for name, _ in net.named_parameters()]
    # Away from zero, where a dead unit's bias stands on the kink of the next.
    draw = torch.Generator().manual_seed(2)
    starts = [p.detach() + 0.1 * torch.randn(p.shape, generator=draw, dtype=p.dtype) for p in net.parameters()]
    starts = [start.requires_grad_() for start in starts]
    free = [value for value in values if isinstance(value, Tensor) and value.is_floating_point()]
    for value in free:
        value.requires_grad_()

    def outputs(*parameters: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(names, parameters[: len(names)], strict=True))
        arguments = (values,) if takes == "maps" else values
        return tuple(v for v in tensors_of(functional_call(net, named, arguments)) if v.is_floating_point())

    known = [value for value in free if not torch.isnan(value).any()]
    if starts or known:
        assert gradcheck(outputs, (*starts, *known), fast_mode=True)
    assert all(value.dtype == torch.float64 for value in outputs(*starts))


@EVERY
def test_the_gradient_reaches_every_parameter(entry):
    excuse(entry, "gradient")
    net = without_dropout(built(entry))
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():  # a branch that starts at 0 passes no gradient on before the first step
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    signal = passed(net, GIVEN[entry.facts["takes"]].values, entry.facts["takes"])
    # A random projection: a plain sum is constant behind a norm.
    outputs = [value for value in tensors_of(signal) if value.requires_grad]
    total = sum((torch.randn(value.shape, generator=draw) * value).sum() for value in outputs)
    if list(net.parameters()):
        total.backward()
    unreached = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unreached == []


@EVERY
def test_a_row_does_not_depend_on_the_others(entry):
    excuse(entry, "rows")
    takes = entry.facts["takes"]
    net = built(entry).double().eval()
    whole = passed(net, in_double(GIVEN[takes].values), takes)
    beside = passed(net, in_double(GIVEN[takes].of([7, 3, 20])), takes)
    for all_rows, few in zip(tensors_of(whole), tensors_of(beside), strict=True):
        mine = all_rows.view(whole.members, ROWS, *all_rows.shape[1:])[:, [7, 3, 20]].flatten(0, 1)
        if signal_is_longer := mine.shape != few.shape:  # tokens of the whole batch are padded to its longest row
            mine = mine[:, : few.shape[1]]
        assert signal_is_longer or mine.shape == few.shape
        torch.testing.assert_close(few, mine, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("entry", [e for e in NETS if e.facts["takes"] == "tokens"], ids=lambda entry: entry.name)
def test_padding_changes_nothing(entry):
    excuse(entry, "padding")
    net = built(entry).double().eval()
    tokens, mask = in_double(GIVEN["tokens"].values)
    longer = F.pad(tokens.masked_fill(~mask[..., None], 3.0), (0, 0, 0, 4), value=9.0)
    first, second = net(tokens, mask), net(longer, F.pad(mask, (0, 4)))
    if first.vector is not None:
        torch.testing.assert_close(second.vector, first.vector, rtol=1e-9, atol=1e-9)
    if first.tokens is not None:
        torch.testing.assert_close(second.tokens[:, :TIME][mask], first.tokens[mask], rtol=1e-9, atol=1e-9)


@EVERY
def test_one_seed_gives_one_net(entry):
    excuse(entry, "seed")
    first, again, other = (built(entry, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name, _ in built(entry).named_parameters() if first[name].unique().numel() > 1]
    assert not drawn or any(not torch.equal(first[name], other[name]) for name in drawn)


@EVERY
def test_saved_weights_give_the_same_signal(entry):
    excuse(entry, "save")
    takes = entry.facts["takes"]
    net, other = built(entry, seed=0), built(entry, seed=1).eval()
    passed(net, GIVEN[takes].values, takes)  # in training, so that running statistics move
    other.load_state_dict(load(save({k: v.contiguous() for k, v in net.state_dict().items()})))
    first, second = (passed(n.eval(), GIVEN[takes].values, takes) for n in (net, other))
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(first), tensors_of(second), strict=True))


class Plain(nn.Module):
    """A net whose arguments and result are tensors, as an exported graph has them."""

    def __init__(self, net: nn.Module, rebuild: Callable[..., Any]) -> None:
        super().__init__()
        self.net, self.rebuild = net, rebuild

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_of(self.net(*self.rebuild(tensors))))


def as_tensors(values: tuple[Tensor | Ragged | None, ...]) -> tuple[Tensor, ...]:
    """Arguments as an exported graph takes them: of ragged rows the values and the offsets."""
    parts = [(value.values, value.offsets) if isinstance(value, Ragged) else (value,) for value in values]
    return tuple(tensor for part in parts for tensor in part)


@EVERY
@pytest.mark.filterwarnings("ignore")
def test_a_net_exports_with_a_batch_of_any_size(entry):
    excuse(entry, "export")
    takes = entry.facts["takes"]
    values, few = GIVEN[takes].values, GIVEN[takes].of([4, 9, 11])
    ragged = isinstance(values[0], Ragged)
    net = Plain(
        built(entry).eval(),
        lambda tensors: (tensors,) if takes == "maps" else (Ragged(*tensors),) if ragged else tensors,
    )
    batch = torch.export.Dim("batch", min=2, max=1024)
    sizes = ({0: torch.export.Dim.DYNAMIC}, {0: batch + 1}) if ragged else tuple({0: batch} for _ in values)
    exported = torch.export.export(net, as_tensors(values), dynamic_shapes=(sizes,))
    for found, expected in zip(exported.module()(*as_tensors(few)), net(*as_tensors(few)), strict=True):
        torch.testing.assert_close(found, expected)


@EVERY
def test_a_linear_head_on_a_net_overfits_sixteen_rows(entry):
    excuse(entry, "overfit")
    takes = entry.facts["takes"]
    values = GIVEN[takes].of(list(range(OVERFIT_ROWS)))
    net = without_dropout(built(entry))
    labels = (torch.arange(OVERFIT_ROWS) * 7 % 3).repeat(net.gives.members)
    with seeded(0):
        head = nn.Linear(pooled(passed(net, values, takes)).shape[1], 3)
    optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(1000):
        loss = F.cross_entropy(head(pooled(passed(net, values, takes))), labels)
        if loss < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


@EVERY
def test_a_net_computes_coarsely_nearly_the_same(entry):
    excuse(entry, "bfloat16")
    takes = entry.facts["takes"]
    values = GIVEN[takes].values
    net = built(entry).eval()  # a batch norm that learns from 1x1 maps magnifies what is rounded
    with torch.no_grad():
        exact, near = (tensors_of(compute(net, values, takes)) for compute in (passed, coarse))
    for ours, theirs in zip(near, exact, strict=True):
        assert torch.linalg.vector_norm(ours.float() - theirs.float()) < 0.2 * torch.linalg.vector_norm(theirs.float())
    found = tensors_of(coarse(without_dropout(net), values, takes))
    outputs = [value for value in found if value.requires_grad]
    if list(net.parameters()):
        sum(value.square().sum() for value in outputs).backward()
    gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    assert all(gradient.dtype == torch.float32 and gradient.isfinite().all() for gradient in gradients)


# What the tests above must fail on.


class Broken(nn.Module):
    """A net of vectors with one fault."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.layer, self.unused, self.fault = nn.Linear(WIDTH, 4), nn.Linear(2, 2), fault
        self.gives = SignalSpec(5 if fault == "shape" else 4)

    def forward(self, vector: Tensor) -> Signal:
        state = self.layer(vector)
        if self.fault == "rows":
            state = state + state.mean(0)
        if self.fault == "bfloat16" and state.dtype == torch.bfloat16:
            state = state + 1
        if self.fault == "seed":
            state = state + torch.rand(())
        if self.fault == "gradcheck":
            state = state + (state - state.detach())
        return Signal(vector=state)


@pytest.fixture
def broken(request, monkeypatch) -> Entry:
    entry = Entry("broken", lambda spec: Broken(request.param), {"takes": "vector", "gives": ("vector",)})
    monkeypatch.setitem(NETS._entries, "broken", entry)
    monkeypatch.setitem(entry.__dict__, "options", {})
    return entry


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        ("shape", lambda entry: test_the_signal_has_the_promised_shape(entry, True)),
        ("gradcheck", test_gradients_are_those_of_finite_differences),
        ("gradient", test_the_gradient_reaches_every_parameter),
        ("rows", test_a_row_does_not_depend_on_the_others),
        ("seed", test_saved_weights_give_the_same_signal),
        ("bfloat16", test_a_net_computes_coarsely_nearly_the_same),
    ],
    indirect=["broken"],
)
def test_a_net_with_a_fault_is_noticed(broken, test):
    with pytest.raises((AssertionError, RuntimeError), match=re.compile(".", re.DOTALL)):
        test(broken)
