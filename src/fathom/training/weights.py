"""Weights: a module's tensors as one safetensors file, each tied one kept once, and checked when they come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from fathom.errors import ModelError

__all__ = ["load_weights", "no_larger_than", "read_weights", "saved_weights"]

# While a module is built, parameters that are tied later stand more than once.
TIMES_ITS_WEIGHTS, FEW_NUMBERS, FEW_TENSORS = 8, 1_000_000, 1000


def saved_weights(module: nn.Module) -> bytes:
    """The bytes of a module's file of weights."""
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    twins = _twins(weights)
    return save({name: value for name, value in weights.items() if name not in twins})


def read_weights(content: bytes) -> dict[str, Tensor]:
    """The tensors of a file of weights, by name.

    Raises:
        ModelError: it is no such file, or what it holds is not a number.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        weights = load(content)
    except SafetensorError as error:
        raise ModelError(f"the weights cannot be read ({error}); copy the whole directory again") from error
    spoilt = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if spoilt:
        raise ModelError(f"the weights hold NaN or infinity, with which nothing can be predicted: {spoilt[:5]}")
    return weights


def load_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a module the weights that ``read_weights`` returned.

    Raises:
        ModelError: they are those of another module.
    """
    try:
        missing, unexpected = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # a net whose shapes another version, or another extension, has changed
        raise ModelError(f"the weights do not fit the network: {str(error).splitlines()[-1].strip()}") from error
    absent = set(missing) - _twins(dict(module.state_dict()))
    if absent or unexpected:
        raise ModelError(f"the weights do not fit the network: {sorted(absent | set(unexpected))[:5]}")


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block refuse to build, in this thread, what is far larger than its weights, before it is filled.

    Raises:
        ModelError: the modules that are built have far more parameters.
    """
    numbers = TIMES_ITS_WEIGHTS * sum(map(Tensor.numel, weights.values())) + FEW_NUMBERS
    tensors = TIMES_ITS_WEIGHTS * len(weights) + FEW_TENSORS
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, parameter: Tensor | None) -> None:
        nonlocal numbers, tensors
        if parameter is None or threading.get_ident() != thread:
            return
        numbers, tensors = numbers - parameter.numel(), tensors - 1
        if min(numbers, tensors) < 0:
            raise ModelError("the weights do not fit the network, which has far more parameters")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _twins(weights: Mapping[str, Tensor]) -> set[str]:
    """The names of weights that are one tensor with another of them, but the first."""
    seen: dict[tuple[int, torch.Size], str] = {}
    filled = {name: value for name, value in weights.items() if value.numel()}
    return {name for name, value in filled.items() if seen.setdefault((value.data_ptr(), value.shape), name) != name}
