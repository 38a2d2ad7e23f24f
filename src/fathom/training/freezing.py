"""Which parameters learn, from when on, and how fast: for networks that start from another.

Parameters are told by their names, as ``fathom inspect`` shows them: ``branches``, ``body``, ``heads``, and below.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fathom.errors import ConfigError, listed

__all__ = ["Freezing", "depths_of", "matching", "scales_of"]

ALL_BUT_HEADS = "all but heads"
BRANCHES, HEADS, MEMBERS, HELD = "branches", "heads", "networks", "net"


class Freezing:
    """Keeps some parameters as they are, all along or until their turn comes.

    Args:
        module: what is trained.
        freeze: names, or runs of them between dots, of parameters that never learn, stars standing for anything; or
            "all but heads".
        unfreeze: the share of the steps after which the next layer below the heads begins to learn; 0 lets all learn
            from the start (Howard and Ruder 2018, section 3.3).

    Raises:
        ConfigError: a name fits nothing, or nothing is left to learn.
    """

    def __init__(self, module: nn.Module, freeze: tuple[str, ...], unfreeze: float) -> None:
        self._module, self._step = module, unfreeze
        parameters, depths = dict(module.named_parameters()), depths_of(module)
        frozen = {name for name, depth in depths.items() if depth > 0} if freeze == (ALL_BUT_HEADS,) else set()
        for pattern in freeze if freeze != (ALL_BUT_HEADS,) else ():
            found = matching(parameters, pattern)
            if not found:
                there = dict.fromkeys(".".join(name.split(".")[:3]) for name in parameters)
                raise ConfigError(f"freeze = {pattern!r} fits no parameter (there are {listed(there, 8)})")
            frozen |= set(found)
        frozen |= {name for name, parameter in parameters.items() if not parameter.requires_grad}
        self._depths = [(parameter, depths[name]) for name, parameter in parameters.items() if name not in frozen]
        if not self._depths:
            raise ConfigError(f"freeze = {list(freeze)} leaves nothing to learn")
        self._switches = bool(frozen)
        for name in frozen:
            parameters[name].requires_grad_(False)

    def thaw(self, progress: float) -> None:
        """Let the layers learn whose turn has come.

        Args:
            progress: the share of the steps that is behind, in 0 to 1.
        """
        if self._step:
            depth = int(progress / self._step + 1e-9)
            for parameter, own in self._depths:
                parameter.requires_grad_(own <= depth)

    def to_train(self) -> None:
        """Bring the module into training mode, but for the statistics of norms that do not learn."""
        self._module.train()
        if self._switches:
            for layer in self._module.modules():
                if isinstance(layer, _BatchNorm) and layer.weight is not None and not layer.weight.requires_grad:
                    layer.eval()

    def release(self) -> None:
        """Let everything learn again."""
        self._module.requires_grad_(True)


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """The names that a pattern means: a whole one, or a run of it between dots; stars stand for anything."""
    wanted = pattern.split(".")

    def fits(name: str) -> bool:
        parts = name.split(".")
        runs = (parts[start : start + len(wanted)] for start in range(len(parts) - len(wanted) + 1))
        return any(all(map(fnmatchcase, run, wanted)) for run in runs)

    return [name for name in names if fits(name)]


def depths_of(module: nn.Module) -> dict[str, int]:
    """How many layers stand between each parameter and what is answered: 0 for those of heads.

    A layer is an item of a list of modules (a block, a stage), with what is registered behind it; what is registered
    before the first is one of its own. Branches stand below the body, and a net that a head holds below that head.
    """
    layers: dict[str, list[str]] = {}  # of each stack
    places: dict[str, tuple[str, int]] = {}
    for name, _ in module.named_parameters():
        stack, layer = _placed(name)
        known = layers.setdefault(stack, [])
        if not known or (layer and layer not in known):
            known.append(layer)
        places[name] = (stack, known.index(layer) if layer else len(known) - 1)
    bodies = [len(found) for stack, found in layers.items() if stack and not stack.startswith((BRANCHES, HEADS))]
    below = {stack: max(bodies, default=0) if stack.startswith(BRANCHES) else 0 for stack in layers}
    return {name: below[stack] + len(layers[stack]) - place if stack else 0 for name, (stack, place) in places.items()}


def scales_of(module: nn.Module, decay: float) -> dict[nn.Parameter, float]:
    """What the learning rate of each parameter is multiplied by: ``decay`` for each layer between it and the answer.

    Source: discriminative fine-tuning (Howard and Ruder 2018, section 3.2, where it is 1 / 2.6).
    """
    parameters = dict(module.named_parameters())
    return {parameters[name]: decay**depth for name, depth in depths_of(module).items()}


def _placed(name: str) -> tuple[str, str]:
    """The stack of layers that a parameter stands in, nothing for heads; and the layer, nothing where none is named."""
    parts = name.split(".")
    if parts[0] == MEMBERS:
        parts = parts[2:]
    head = parts[0] == HEADS
    if head and HELD not in parts[2:3]:
        return "", ""
    first, passed = (3, 0) if head else (2, 2) if parts[0] == BRANCHES else (1, 0)  # branches.0, and in it nets.0
    rest = parts[first:]
    number = next((place for place, part in enumerate(rest) if place >= passed and part.isdigit()), None)
    return ".".join(parts[:first]), "" if number is None else ".".join(rest[: number + 1])
