"""The layers of a trained network: what each gives, how many parameters it holds, and what it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from fathom.model import Model
from fathom.schema import Column
from fathom.signals import Role, Signal, to_device

__all__ = ["Layer", "layers_of"]

ROWS_SENT = 2
TEXT = "ten words stand for whatever may be written here today"  # where there are no tokens nothing is computed


@dataclass(frozen=True)
class Layer:
    """One module.

    Attributes:
        name: where it is in the network.
        what: its class.
        shape: what it gives for one row, or None where the forward pass does not call it as a module.
        members: for how many members it does so.
        parameters: how many it holds itself.
        operations: floating-point operations for one row, of all members: those of matrix products and convolutions,
            beside which all others are few; None where the forward pass does not call it as a module.
    """

    name: str
    what: str
    shape: tuple[int, ...] | None
    members: int
    parameters: int
    operations: int | None


@dataclass
class _Seen:
    """What was seen of a module in a forward pass: the first tensor that it gave, and what it computed itself."""

    shape: tuple[int, ...] | None = None
    operations: int = 0


def layers_of(model: Model) -> tuple[Layer, ...]:
    """Modules that hold parameters, compute, or hold no other module, in the order of their names in the network."""
    return tuple(_layers(model))


def _layers(model: Model) -> Iterator[Layer]:
    seen = _seen(model)
    counted: set[nn.Parameter] = set()
    for name, module in model.network.named_modules():
        own = set(module.parameters(recurse=False)) - counted
        counted |= own
        found = seen.get(name, _Seen())
        if own or found.operations or not any(True for _ in module.children()):
            rows, *shape = found.shape or (ROWS_SENT,)
            yield Layer(
                name,
                type(module).__name__,
                None if found.shape is None else tuple(shape),
                max(1, rows // ROWS_SENT),
                sum(parameter.numel() for parameter in own),
                found.operations if name in seen else None,
            )


def _seen(model: Model) -> dict[str, _Seen]:
    """What each module does, seen by sending rows through that lack all but texts; where nothing comes in, targets."""
    inputs = model.schema.of_role(Role.INPUT)
    blank = pa.table({column.name: _blank(column) for column in inputs or model.schema.of_role(Role.TARGET)})
    batch = to_device(
        next(model.schema.encode(blank, targets=not inputs, whole=False).in_order(ROWS_SENT)), _device(model)
    )
    counter, seen = _Operations(), dict[str, _Seen]()
    watch = _Watch(counter, seen)
    with ExitStack() as stack, torch.no_grad(), counter:
        for name, module in model.network.named_modules():
            stack.callback(module.register_forward_pre_hook(watch.entered).remove)
            stack.callback(module.register_forward_hook(watch.left(name)).remove)
        if inputs:
            model.network.predict(batch)
        else:  # a language model answers nothing: it tells the next token
            model.network.loss(batch, "network")
    return seen


def _blank(column: Column) -> pa.Array:
    return pa.array([TEXT] * ROWS_SENT) if column.kind.name == "text" else pa.nulls(ROWS_SENT)


def _device(model: Model) -> torch.device:
    return next((parameter.device for parameter in model.network.parameters()), torch.device("cpu"))


class _Operations(TorchDispatchMode):
    """Counts floating-point operations by torch's own formulas.

    Torch's ``FlopCounterMode`` counts alike, but loads torch's compiler to be left alone by it, which takes seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options, formula = kwargs or {}, flop_registry.get(func.overloadpacket)
        if formula is None:
            with self:
                parts = func.decompose(*args, **options)
            if parts is not NotImplemented:
                return parts
        output = func(*args, **options)
        if formula is not None:
            self.total += int(formula(*args, **options, out_val=output))
        return output


class _Watch:
    """Parts what is computed among the modules that compute it: a module's own is not that of those it calls.

    Args:
        counter: counts the operations of all of them.
        seen: receives what each module did.
    """

    def __init__(self, counter: _Operations, seen: dict[str, _Seen]) -> None:
        self._counter, self._seen = counter, seen
        self._inside: list[int] = []  # of each call that has not returned: what was counted before it, and in its calls

    def entered(self, module: nn.Module, given: Any) -> None:
        self._inside.append(self._counter.total)

    def left(self, name: str) -> Any:
        def note(module: nn.Module, given: Any, output: Any) -> None:
            computed = self._counter.total - self._inside.pop()
            self._inside = [before + computed for before in self._inside]
            found = self._seen.setdefault(name, _Seen())
            found.operations += computed // ROWS_SENT
            tensor = output.vector if isinstance(output, Signal) else output
            if found.shape is None and isinstance(tensor, Tensor):
                found.shape = tuple(tensor.shape)

        return note
