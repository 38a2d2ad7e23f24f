"""Tensors to tensors: one file per family of architectures; knows nothing of data.

A net is registered with what it ``takes`` (a kind's name, or a part of a Signal: "vector", "tokens", "maps") and
what it ``gives``. Built from one spec, it tells the SignalSpec of what it gives as ``gives``, and its ``forward``
returns a Signal. ``entry=True`` marks a net that only brings a kind's tensor into the form that other nets take,
``stacks=True`` one that calls its layers as modules, row by row, so that those of several members can be stacked;
``rates`` names the learning rate that a net wants of an optimizer, where the optimizer's own is not the best for it,
``average`` the average of its weights that is to be kept; ``bfloat16=True`` marks one that learns as well in it.
"""

from fathom.registry import Registry

__all__ = ["ACTIVATIONS", "DECODERS", "INITIALIZATIONS", "NETS", "NORMS"]

NETS = Registry("net", "fathom.nets")
DECODERS = Registry("decoder", "fathom.nets")
"""Nets that tell one token after another, inside a head; see ``decoder.Decoder``."""

ACTIVATIONS = Registry("activation", "fathom.nets")
INITIALIZATIONS = Registry("initialization", "fathom.nets")
NORMS = Registry("norm", "fathom.nets")
