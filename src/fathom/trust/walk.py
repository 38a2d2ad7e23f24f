"""What backpropagation does to one row: forward pass, loss, gradients and an update, layer by layer."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from fathom.errors import SchemaError
from fathom.kinds.pictures import pixel_shape
from fathom.model import Model
from fathom.nets.stacked import Stacked
from fathom.registry import Choice
from fathom.signals import Batch, Ragged, Role, Signal, to_device
from fathom.training import OPTIMIZERS
from fathom.training.clipping import clip
from fathom.training.hidden import hidden_matrices
from fathom.training.optimizers import parameter_groups
from fathom.trust.sentences import pieces_of, text_columns

__all__ = ["Passed", "Step", "Walk", "walked"]

FIRST_VALUES, LONGEST_CELL = 5, 60

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Passed:
    """A layer that the row passes.

    Attributes:
        name: where it is in the network.
        what: its class.
        shape: of what it gives, (M·1, ...).
        mean: of what it gives.
        deviation: likewise.
        low: the least of what it gives.
        high: the largest.
        zeros: the share of zeros.
        first: the first few values.
        gradient_given: norm of the loss's gradient by what the layer gives; None where none comes so far.
        gradient: norm of the loss's gradient by its own weights; None where it has none.
    """

    name: str
    what: str
    shape: tuple[int, ...]
    mean: float
    deviation: float
    low: float
    high: float
    zeros: float
    first: tuple[float, ...]
    gradient_given: float | None
    gradient: float | None


@dataclass(frozen=True)
class Step:
    """One update by this row alone.

    Attributes:
        optimizer: its name.
        rate: the learning rate.
        moved: for each layer with weights the norm of its update over that of its weights; None where these are all 0.
        loss: of the row, behind it.
    """

    optimizer: str
    rate: float
    moved: Figures
    loss: float


@dataclass(frozen=True)
class Walk:
    """All that happens to a row.

    Attributes:
        cells: of the columns that go in.
        tokens: of each column of texts the pieces that it becomes.
        truth: of the columns that are asked for.
        answer: what the model predicts of it.
        losses: of each head, in units of the trivial answer's; None where the row has no target of it.
        loss: what is differentiated: their sum, over their number.
        layers: in the order in which the row passes them.
        steps: updates, each from the model's own weights.
    """

    cells: dict[str, str]
    tokens: dict[str, tuple[str, ...]]
    truth: dict[str, str]
    answer: dict[str, str]
    losses: Figures
    loss: float
    layers: tuple[Passed, ...]
    steps: tuple[Step, ...]


def walked(model: Model, row: pa.Table, optimizers: Sequence[Choice], *, clip_norm: float = 0.0) -> Walk:
    """Walk a row through a copy of the network, in eval mode: without dropout, batch norms by what they have kept.

    Args:
        model: stays as it is.
        row: one row with every input and target column.
        optimizers: whose first step is taken; those that search along the loss, or average weights, are left out.
        clip_norm: the largest norm of the gradient that a step sees; 0 does not clip.

    Raises:
        SchemaError: the row has no value of any target.
    """
    batch = next(model.schema.encode(row, whole=False).in_order(1))
    network = _copied(model)
    batch = to_device(batch, next(network.parameters()).device)
    outputs: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name, module in network.named_modules():
            if _is_layer(module):
                hooks.callback(module.register_forward_hook(_keeping(outputs, name)).remove)
        loss, losses = _backward(network, batch)
    if all(found is None for found in losses.values()):
        raise SchemaError(f"the row has no value of {' or '.join(map(repr, network.head_names))}: there is no loss")
    steps = [_stepped(model, batch, choice, clip_norm) for choice in optimizers if _takes_a_plain_step(choice)]
    answer = model.predict(row)
    return Walk(
        cells={column.name: _told(row[column.name][0]) for column in model.schema.of_role(Role.INPUT)},
        tokens=_tokens(model, batch),
        truth={name: _told(row[name][0]) for name in model.targets},
        answer={name: _told(values[0]) for name, values in zip(answer.column_names, answer.columns, strict=True)},
        losses=losses,
        loss=loss,
        layers=tuple(_passed(name, network.get_submodule(name), output) for name, output in outputs.items()),
        steps=tuple(steps),
    )


def _tokens(model: Model, batch: Batch) -> dict[str, tuple[str, ...]]:
    texts = [(column, batch[key]) for key, column in text_columns(model).items()]
    return {column.name: pieces_of(column, text.values) for column, text in texts if isinstance(text, Ragged)}


def _told(cell: pa.Scalar) -> str:
    """A cell in a few words; of what is long the beginning, of a picture its size."""
    shape = pixel_shape(cell.type)
    value = None if shape is not None else cell.as_py()
    if isinstance(value, dict) and "path" in value:  # an encoded picture
        value = value["path"] or "a picture"
    if isinstance(value, float):
        value = f"{value:.6g}"
    words = f"{shape[0]} × {shape[1]} pixels" if shape is not None else "" if value is None else str(value)
    return words if len(words) <= LONGEST_CELL else f"{words[: LONGEST_CELL - 1]}…"


def _copied(model: Model) -> Any:
    return copy.deepcopy(model.network).eval().requires_grad_()


def _is_layer(module: nn.Module) -> bool:
    """Whether something happens in a module itself."""
    own = next(module.parameters(recurse=False), None) is not None
    return own or not (isinstance(module, nn.Identity | nn.Dropout) or any(True for _ in module.children()))


def _keeping(outputs: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def keep(module: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Signal):
            parts = (output.vector, output.tokens, *output.maps)
            output = next((part for part in parts if part is not None), None)
        if isinstance(output, Tensor) and output.numel() and name not in outputs:
            if output.requires_grad:
                output.retain_grad()
            outputs[name] = output

    return keep


def _losses(network: Any, batch: Batch) -> tuple[Tensor, Figures]:
    """The loss to be differentiated, and each head's, None where the row has no target of it."""
    terms: list[Tensor] = []
    found: Figures = dict.fromkeys(network.head_names)
    for part in network.parts:
        for name, loss in network.loss(batch, part).items():
            if float(loss.weight) > 0:
                terms.append(loss.total / (loss.weight * loss.unit))
                found[name] = (found[name] or 0.0) + terms[-1].item() * len(found)
    return torch.stack(terms).sum() if terms else torch.zeros(()), found


def _backward(network: Any, batch: Batch) -> tuple[float, Figures]:
    total, found = _losses(network, batch)
    if total.requires_grad:
        total.backward()
    return total.item(), found


def _passed(name: str, module: nn.Module, output: Tensor) -> Passed:
    values = output.detach().float().cpu()
    gradients = [weight.grad for weight in module.parameters(recurse=False) if weight.grad is not None]
    return Passed(
        name,
        type(module).__name__,
        tuple(values.shape),
        float(values.mean()),
        float(values.std(correction=0)),
        float(values.min()),
        float(values.max()),
        float((values == 0).float().mean()),
        tuple(values.flatten()[:FIRST_VALUES].tolist()),
        None if output.grad is None else float(output.grad.norm()),
        math.hypot(*(float(gradient.norm()) for gradient in gradients)) if gradients else None,
    )


def _takes_a_plain_step(choice: Choice) -> bool:
    facts = OPTIMIZERS.get(choice.name).facts
    return not (facts.get("full_batch") or facts.get("averages"))


def _stepped(model: Model, batch: Batch, choice: Choice, clip_norm: float) -> Step:
    """The first step of an optimizer, from the model's weights."""
    network, facts = _copied(model), OPTIMIZERS.get(choice.name).facts
    _backward(network, batch)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    hidden = hidden_matrices(network) if facts.get("hidden") else None
    rate = 0.0
    for parameters in network.parts.values():
        gradients = [weight.grad for weight in parameters if weight.grad is not None]
        clip(gradients, clip_norm, stacked=all(isinstance(weight, Stacked) for weight in parameters))
        optimizer = OPTIMIZERS.build(choice, parameter_groups(parameters, apart=facts["decays"], hidden=hidden))
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
    with torch.no_grad():
        total, _ = _losses(network, batch)
    return Step(choice.name, rate, _moved(network, before), total.item())


def _moved(network: nn.Module, before: Mapping[str, Tensor]) -> Figures:
    """The norm of each layer's update over that of its weights, None where these are all 0."""
    found: Figures = {}
    for name, module in network.named_modules():
        own = {f"{name}.{key}".lstrip("."): weight.detach() for key, weight in module.named_parameters(recurse=False)}
        own = {key: weight for key, weight in own.items() if key in before}
        if own:
            step = math.hypot(*(float((weight - before[key]).norm()) for key, weight in own.items()))
            size = math.hypot(*(float(before[key].norm()) for key in own))
            found[name] = step / size if size else None
    return found
