"""Batch to batch, in training only: samples altered so that the network learns what does not matter.

An augmentation is registered with what it ``takes``: the kinds of the inputs that it alters. One class is built for
the spec of an input and alters each sample by itself (``Augment``) or mixes two samples of a batch (``Mix``).
"""

from fathom.augment.augment import AUGMENTS, AUTO, NONE, Augment, Mix, chosen, explicit

__all__ = ["AUGMENTS", "AUTO", "NONE", "Augment", "Mix", "chosen", "explicit"]
